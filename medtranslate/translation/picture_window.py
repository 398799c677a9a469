"""The window of a CT picture: the HU that its black and white stand for."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medtranslate.config import ScaleSettings
from medtranslate.config.types import Ends, Window, ends_of
from medtranslate.errors import UsageError
from medtranslate.io import Volume

_END = 0.01
"""Share of the grey levels that count as black, and as white."""

_BLACK_AREA = np.ones((5, 5, 1), np.bool_)
"""Pixels that are black together where a picture shows air: noise leaves no such area in fluid."""

_HAZE = 0.04
"""Share of the grey levels up to which what adjoins air is air, because JPEG makes a haze about edges."""

_IN_PLANE = ndimage.generate_binary_structure(2, 2)[:, :, None]
"""A pixel and its eight neighbours in a slice."""


def asked_window(window: Window | None, picture_hu: tuple[float, float] | None) -> Ends | None:
    """Find the HU of black and white that are asked for; None if no window is.

    Raises:
        UsageError: the way from grey values to HU is given, too.
    """
    if window is None:
        return None
    if picture_hu:
        raise UsageError("--window and --picture-hu both say which HU a CT picture shows; give one of them")
    return ends_of(window)


def in_known_window(picture: Volume, window: Ends, scale: ScaleSettings) -> Volume:
    """Show a CT picture in the window in which a model knows pictures.

    Grey values stand for HU linearly, but for the ends. White is anything above the window, and stays white.
    Black is air where an area is black, with what is nearly black beside it. Elsewhere noise was cut, and the
    HU are those of black.

    Args:
        picture: [X, Y, Z], axial, of grey values from 0 to `levels`.
        window: HU of its black and white.
        scale: of the model.
    """
    levels, grey = float(picture.meta.levels or 0), picture.values
    (black, white), (low, high) = window, scale.shown_window
    shown = (black - low + grey * ((white - black) / levels)) * (levels / (high - low))
    air = ndimage.binary_opening(grey <= _END * levels, _BLACK_AREA)
    shown[ndimage.binary_propagation(air, _IN_PLANE, grey <= _HAZE * levels)] = 0.0
    shown[grey >= (1 - _END) * levels] = levels
    return picture.with_values(np.clip(shown, 0.0, levels).astype(np.float32))
