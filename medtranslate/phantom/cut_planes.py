"""Planes through label maps: nearly axial, coronal or sagittal, of a head that is turned and stretched."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medtranslate.phantom.canvas import Plane
from medtranslate.phantom.label_maps import LabelMap
from medtranslate.phantom.tissues import Floats

View = Literal["axial", "coronal", "sagittal"]

VIEWS: dict[View, tuple[int, int, int]] = {"axial": (1, 0, 2), "coronal": (2, 0, 1), "sagittal": (2, 1, 0)}
"""Axes of the head, right to left, back to front and bottom to top, along rows, along columns and across."""

_SIGNS: dict[View, tuple[int, int, int]] = {"axial": (-1, -1, 1), "coronal": (-1, -1, -1), "sagittal": (-1, -1, -1)}
"""Whether they run along those axes or against them, as the slices of a volume in axial layout do (LPS)."""

_THICK_MM: dict[View, tuple[float, ...]] = {
    "axial": (1.0, 3.0, 5.0, 8.0),
    "coronal": (1.0, 1.0, 2.0),
    "sagittal": (1.0, 1.0, 2.0),
}
"""Thickness of slices. In thick ones, slanting bone reaches further in the window of the brain. Volumes that
are seen from other sides have thin ones."""


def draw_plane(
    rng: np.random.Generator, head: LabelMap, size: int, view: View = "axial"
) -> tuple[Plane, NDArray[np.float64]]:
    """Draw a plane that shows all of a head from one side.

    Returns:
        The plane, and the step across it through the thickness of its slice, [3] in mm of the map.
    """
    extent = np.array(head.codes.shape, np.float32) * head.spacing
    along = VIEWS[view]
    low, high = (head.lowest, head.highest) if view == "axial" else (0, head.codes.shape[along[2]])
    height = rng.uniform(low, high) * head.spacing[along[2]]
    pixel = max(extent[[*along[:2]]]) * rng.uniform(1.0, 1.15) / size
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    turn = _rotation(np.radians(rng.normal(0.0, [8.0, 3.0, 4.0]).clip(-20, 20)))
    stretch = np.exp(rng.normal(0.0, [0.06, 0.06, 0.06])).clip(0.85, 1.18)
    steps = np.zeros((3, 3))
    lengths = pixel, pixel, rng.choice(_THICK_MM[view])
    for step, axis, sign, length in zip(steps, along, _SIGNS[view], lengths, strict=True):
        step[axis] = sign * length * (mirror if axis == 0 else 1.0)
    rows, columns, across = (turn @ (step * stretch) for step in steps)
    rows, columns = rows.astype(np.float32), columns.astype(np.float32)
    middle = head.centre * head.spacing if view == "axial" else extent / 2
    middle[along[2]] = height
    origin = middle - (size - 1) / 2 * (rows + columns)
    plane = Plane(*(each.astype(np.float32) for each in (origin, rows, columns)), (size, size))
    return plane, across


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    (a, b, c), (x, y, z) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -x], [0, x, a]])
    about_y = np.array([[b, 0, y], [0, 1, 0], [-y, 0, b]])
    about_z = np.array([[c, -z, 0], [z, c, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned
