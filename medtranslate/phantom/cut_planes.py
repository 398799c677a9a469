"""Planes through heads: nearly axial, coronal or sagittal, turned, and stretched in label maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtranslate.config import PlaneName
from medtranslate.phantom.canvas import Plane
from medtranslate.phantom.head import Head
from medtranslate.phantom.label_maps import LabelMap

AXES: dict[PlaneName, tuple[int, int, int]] = {
    "axial": (1, 0, 2),
    "coronal": (2, 0, 1),
    "sagittal": (2, 1, 0),
}
"""Axes of the head (right to left, back to front, bottom to top) along rows, along columns, and across."""

_THIN_MM = (1.0, 1.0, 2.0)
"""Thickness of the slices of thin volumes."""

_THICK_MM: dict[PlaneName, tuple[float, ...]] = {
    "axial": (1.0, 3.0, 5.0, 8.0),
    "coronal": _THIN_MM,
    "sagittal": _THIN_MM,
}
"""Thickness of slices. In thick ones, slanting bone reaches further in the window of the brain. Only thin
volumes have coronal and sagittal slices of full resolution."""


_BANDS_MM = ((0.15, 0.0, 45.0), (0.2, 115.0, 170.0))
"""Shares of the axial planes of label maps that lie in a band alone, and its ends below the highest plane:
the vertex, and the skull base with the nape. Series of thick slices have more of both than maps drawn from
evenly, and few maps have a neck."""

_WIDEST = np.array([85.0, 112.0, 90.0])
"""From the middle of a digital head to where planes and the field of view end, in mm of the standard head."""

_MIDDLE, _LOWEST = np.array([0.0, -4.0, 4.0]), (-165.0, -100.0)
"""That middle, and where the field of view of coronal and sagittal planes ends, in the neck or the jaw."""


def draw_plane(
    rng: np.random.Generator,
    head: LabelMap,
    size: int,
    name: PlaneName = "axial",
    *,
    of_series: bool = False,
) -> tuple[Plane, NDArray[np.float64]]:
    """Draw a plane that shows the whole head of a label map from one side.

    Args:
        of_series: axial planes lie as often in `_BANDS_MM` as those of series of thick slices.

    Returns:
        The plane, and the step across it through the thickness of its slice, [3] in mm of the map.
    """
    extent, along = np.array(head.codes.shape, np.float32) * head.spacing, AXES[name]
    low, high = (head.lowest, head.highest) if name == "axial" else (0, head.codes.shape[along[2]])
    if name == "axial" and of_series:
        low, high = _band(rng, low, high, float(head.spacing[2]))
    height = rng.uniform(low, high) * head.spacing[along[2]]
    pixel = max(extent[[*along[:2]]]) * rng.uniform(1.0, 1.15) / size
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    turn = _rotation(np.radians(rng.normal(0.0, [8.0, 3.0, 4.0]).clip(-20, 20)))
    stretch = np.exp(rng.normal(0.0, [0.06, 0.06, 0.06])).clip(0.85, 1.18)
    steps = _steps(name, pixel, rng.choice(_THICK_MM[name]))
    steps[:, 0] *= mirror
    middle = head.centre * head.spacing if name == "axial" else extent / 2
    middle[along[2]] = height
    return _about(middle, (steps * stretch) @ turn.T, size)


def draw_axial_plane(rng: np.random.Generator, head: Head, size: int) -> Plane:
    """Draw an axial plane of a digital head: mostly brain, one in eight face and neck, lesions favoured."""
    height = rng.uniform(-58.0, 74.0) if rng.random() < 0.87 else rng.uniform(-98.0, -58.0)
    if head.lesions and rng.random() < 0.25:
        lesion = head.lesions[0]
        height = lesion.centre[2] + rng.uniform(-0.7, 0.7) * lesion.radii[2]
    share = np.sqrt(1.0 - (max(height - 9.0, 0.0) / 85.0) ** 2)
    centre = (
        head.rotation.T @ (np.array([0.0, -17.0 if height > -15.0 else -7.0, height]) * head.scale)
        + head.shift
    )
    side = 205.0 * share * float(head.scale[1]) * rng.uniform(1.04, 1.3)
    step = side / size
    middle = centre + np.array([rng.uniform(-5, 5), rng.uniform(-5, 5), 0.0])
    origin = middle + np.array([0.5, 0.5, 0.0]) * (side - step)
    return Plane(
        origin.astype(np.float32),
        np.array([0, -step, 0], np.float32),
        np.array([-step, 0, 0], np.float32),
        (size, size),
    )


def draw_head_plane(
    rng: np.random.Generator, head: Head, size: int, name: PlaneName
) -> tuple[Plane, NDArray[np.float64]]:
    """Draw a plane that shows a whole digital head from one side, as in a thin volume.

    Returns:
        The plane, and the step across it to the next slice, [3] in mm of the scan.
    """
    along, middle, half = AXES[name], _MIDDLE.copy(), _WIDEST.copy()
    if name != "axial":
        bottom, top = rng.uniform(*_LOWEST), middle[2] + half[2]
        middle[2], half[2] = (bottom + top) / 2, (top - bottom) / 2
    middle[along[2]] += rng.uniform(-1.0, 1.0) * half[along[2]]
    pixel = 2 * float(head.scale.max()) * max(half[[*along[:2]]]) * rng.uniform(1.0, 1.15) / size
    turn = _rotation(np.radians(rng.normal(0.0, [8.0, 3.0, 4.0]).clip(-20, 20)))
    steps = _steps(name, pixel, rng.choice(_THIN_MM))
    return _about(head.rotation.T @ (middle * head.scale) + head.shift, steps @ turn.T, size)


def _band(rng: np.random.Generator, low: float, high: float, step: float) -> tuple[float, float]:
    """Narrow the range of the axial planes to one of `_BANDS_MM`, or to none of them.

    Args:
        low, high: of the whole range.
        step: from plane to plane, in mm.
    """
    drawn = rng.random()
    for share, above, below in _BANDS_MM:
        if drawn < share:
            return max(low, high - below / step), max(low, high - above / step)
        drawn -= share
    return low, high


def _steps(name: PlaneName, pixel: float, across: float) -> NDArray[np.float64]:
    """List the steps along rows, along columns and across in mm, each [3].

    As in a volume in axial layout (LPS), rows and columns run against the axes of the head.
    """
    steps = np.zeros((3, 3))
    for step, axis, length in zip(
        steps, AXES[name], (-pixel, -pixel, across if name == "axial" else -across), strict=True
    ):
        step[axis] = length
    return steps


def _about(
    middle: NDArray[np.floating], steps: NDArray[np.float64], size: int
) -> tuple[Plane, NDArray[np.float64]]:
    """Lay a plane about a point, and give the step across it."""
    rows, columns = steps[:2].astype(np.float32)
    origin = (middle - (size - 1) / 2 * (rows + columns)).astype(np.float32)
    return Plane(origin, rows, columns, (size, size)), steps[2]


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    (a, b, c), (x, y, z) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -x], [0, x, a]])
    about_y = np.array([[b, 0, y], [0, 1, 0], [-y, 0, b]])
    about_z = np.array([[c, -z, 0], [z, c, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned
