"""Planes through label maps: nearly axial, coronal or sagittal, of a head that is turned and stretched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtranslate.config import PlaneName
from medtranslate.phantom.canvas import Plane
from medtranslate.phantom.label_maps import LabelMap

AXES: dict[PlaneName, tuple[int, int, int]] = {
    "axial": (1, 0, 2),
    "coronal": (2, 0, 1),
    "sagittal": (2, 1, 0),
}
"""Axes of the head (right to left, back to front, bottom to top) along rows, along columns, and across."""

_THICK_MM: dict[PlaneName, tuple[float, ...]] = {
    "axial": (1.0, 3.0, 5.0, 8.0),
    "coronal": (1.0, 1.0, 2.0),
    "sagittal": (1.0, 1.0, 2.0),
}
"""Thickness of slices. In thick ones, slanting bone reaches further in the window of the brain. Only thin
volumes have coronal and sagittal slices of full resolution."""


def draw_plane(
    rng: np.random.Generator, head: LabelMap, size: int, name: PlaneName = "axial"
) -> tuple[Plane, NDArray[np.float64]]:
    """Draw a plane that shows the whole head from one side.

    Returns:
        The plane, and the step across it through the thickness of its slice, [3] in mm of the map.
    """
    extent, along = np.array(head.codes.shape, np.float32) * head.spacing, AXES[name]
    low, high = (head.lowest, head.highest) if name == "axial" else (0, head.codes.shape[along[2]])
    height = rng.uniform(low, high) * head.spacing[along[2]]
    pixel = max(extent[[*along[:2]]]) * rng.uniform(1.0, 1.15) / size
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    turn = _rotation(np.radians(rng.normal(0.0, [8.0, 3.0, 4.0]).clip(-20, 20)))
    stretch = np.exp(rng.normal(0.0, [0.06, 0.06, 0.06])).clip(0.85, 1.18)
    # As in a volume in axial layout (LPS): rows and columns run against the axes of the head.
    steps = np.zeros((3, 3))
    across = rng.choice(_THICK_MM[name]) * (1 if name == "axial" else -1)
    for step, axis, length in zip(steps, along, (-pixel, -pixel, across), strict=True):
        step[axis] = length * (mirror if axis == 0 else 1.0)
    rows, columns, normal = (turn @ (step * stretch) for step in steps)
    middle = head.centre * head.spacing if name == "axial" else extent / 2
    middle[along[2]] = height
    rows, columns = rows.astype(np.float32), columns.astype(np.float32)
    origin = (middle - (size - 1) / 2 * (rows + columns)).astype(np.float32)
    return Plane(origin, rows, columns, (size, size)), normal


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    (a, b, c), (x, y, z) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -x], [0, x, a]])
    about_y = np.array([[b, 0, y], [0, 1, 0], [-y, 0, b]])
    about_z = np.array([[c, -z, 0], [z, c, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned
