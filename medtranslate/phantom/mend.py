"""What label maps of heads lack: sinuses, bones of the face, what fills the nose, eyes, nuclei of the brain.

Most maps come from MR, in which air is as dark as bone. So their sinuses, nose and mastoids are solid bone in
part; elsewhere the nose is hollow, sinuses have no wall, and cheeks have no bone. Few tell the nuclei from
the brain around them. Iron makes these dark in T2, as blood does (Hallgren and Sourander, "The effect of age
on the non-haemin iron in the human brain", J. Neurochemistry 3 (1958) 41).

All are found by their places in the standard head of `parts`, which is laid over a map by the box of its
cerebrum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from medtranslate.phantom.canvas import tube
from medtranslate.phantom.parts import DEEP, FACE, ORBIT, Part, Point
from medtranslate.phantom.tissues import LABEL, NUCLEI, Floats

_LEFT, _RIGHT, _BACK, _FRONT, _TOP = -70.0, 70.0, -104.0, 72.0, 78.0
"""Ends of the cerebrum of the standard head in mm."""

_LEAST_MM, _ALIKE = 60.0, 0.75
"""Least extent of a whole brain along each axis, and the least ratio of its scales along two."""


@dataclass(frozen=True)
class Aired:
    """A box in which bone is air from a depth on.

    Attributes:
        low, high: its corners in mm of the standard head.
        wall: thickness of the bone that remains, in mm.
        share: of what is deeper, air; the rest is walls between small cells.
    """

    low: Point
    high: Point
    wall: float
    share: float = 1.0


_AIRED = (
    Aired((-24.0, 2.0, -66.0), (24.0, 72.0, -16.0), 2.0),  # sphenoid, ethmoid, nose
    Aired((-46.0, 20.0, -80.0), (46.0, 66.0, -44.0), 2.0),  # maxillary sinuses
    Aired((-26.0, 56.0, -30.0), (26.0, 90.0, 12.0), 3.5),  # frontal sinuses
    Aired((40.0, -52.0, -66.0), (76.0, -12.0, -30.0), 2.5, 0.6),  # mastoids
    Aired((-76.0, -52.0, -66.0), (-40.0, -12.0, -30.0), 2.5, 0.6),
)

_CELL_MM = 1.3
"""Sigma of the noise whose hills are the cells of a mastoid."""

_NOSE = (-13.0, 14.0, -70.0), (13.0, 82.0, -40.0)
"""Corners of the nasal cavity in mm of the standard head: septum and turbinates, and slits of air."""

_ETHMOID = (-17.0, 12.0, -40.0), (17.0, 68.0, -16.0)
"""Corners of the ethmoid, which is small cells of air."""

_SHEET_MM, _BENT_MM, _BEND_MM = 6.0, 1.5, 4.0
"""From the middle of a sheet of the nose to that of the next, their largest bend, and its sigma."""

_SLIT, _CORE = 0.4, 0.1
"""Share of the nose that is air, and that is the bone within its sheets."""

_THIN_MM, _WALLS, _LAMINA = 1.6, 0.35, 0.12
"""Sigma of the noise whose zeros are walls of the ethmoid; share of it that is wall, and bone in the wall."""

_WALL_MM, _WIDE_MM = 1.2, 2.5
"""Thickness of the bone about a sinus, at least a voxel, and least radius of an air space that is one."""

_BONES = ("cortical bone", "diploe", "marrow", "tooth")

_FACIAL = [part for part in FACE if part.tissue in _BONES and part.start[1] >= 0]
"""Bones of the face and teeth, without the spine."""

_CHEEKS = (((44.0, 0.0, -80.0), (68.0, 62.0, -50.0)), ((-68.0, 0.0, -80.0), (-44.0, 62.0, -50.0)))
"""Corners of the cheeks in mm of the standard head."""

_BARE = 0.1
"""Cheeks have less than this share of bone in a map that does not know the bones of the face."""

_NUCLEI = [part for part in DEEP if part.tissue in NUCLEI]


@dataclass(frozen=True)
class Standard:
    """Place of the standard head in a map.

    Attributes:
        origin: voxel of the anterior commissure, [3].
        step: voxels of a millimetre of the standard head along each axis, [3].
    """

    origin: Floats
    step: Floats

    @classmethod
    def of(cls, brain: NDArray[np.bool_], spacing: Floats) -> Standard | None:
        """Lay the standard head over a map, a few millimetres off.

        Args:
            brain: [X, Y, Z] in RAS order, grey and white matter.
            spacing: of the voxels in mm.

        Returns:
            None if the map does not show the whole width and length of a brain.
        """
        places = np.argwhere(brain)
        if not len(places):
            return None
        low, high = places.min(axis=0), places.max(axis=0)
        if ((high - low) * spacing).min() < _LEAST_MM:
            return None
        wide, long = (high - low)[:2] / (_RIGHT - _LEFT, _FRONT - _BACK)
        scales = sorted([wide, long] * spacing[:2])
        if scales[0] < _ALIKE * scales[1]:
            return None
        # A map may end anywhere below, so the height follows from width and length.
        tall = float(np.mean(scales)) / float(spacing[2])
        origin = low[0] - _LEFT * wide, low[1] - _BACK * long, high[2] - _TOP * tall
        return cls(np.array(origin, np.float32), np.array([wide, long, tall], np.float32))

    def box(self, low: ArrayLike, high: ArrayLike, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Find the voxels between two corners in mm."""
        first, last = (self.origin + np.asarray(corner) * self.step for corner in (low, high))
        starts, stops = np.floor(first).astype(int).clip(0), np.ceil(last).astype(int).clip(0) + 1
        return tuple(map(slice, np.minimum(starts, shape).tolist(), np.minimum(stops, shape).tolist()))

    def points(self, box: tuple[slice, ...]) -> Floats:
        """Compute the places of a box's voxels in mm, [3, X, Y * Z]."""
        sides = [
            (np.arange(side.start, side.stop) - zero) / step
            for side, zero, step in zip(box, self.origin, self.step, strict=True)
        ]
        found = np.stack(np.meshgrid(*sides, indexing="ij")).astype(np.float32)
        return found.reshape(3, found.shape[1], -1)


def air_of(
    bone: NDArray[np.bool_], air: NDArray[np.bool_], place: Standard, spacing: Floats
) -> NDArray[np.bool_]:
    """Select the bone of a map that should be air.

    Args:
        bone: [X, Y, Z], skull.
        air: [X, Y, Z], air within the head.
        place: of the standard head.
        spacing: of the voxels in mm.
    """
    found = np.zeros(bone.shape, np.bool_)
    depth = ndimage.distance_transform_edt(bone | air, sampling=spacing)
    noise = np.random.default_rng(0).standard_normal(bone.shape, np.float32)
    hills = ndimage.gaussian_filter(noise, _CELL_MM / spacing)
    for aired in _AIRED:
        box = place.box(aired.low, aired.high, bone.shape)
        deep = depth[box] > aired.wall
        if deep.any():
            found[box] |= deep & (hills[box] >= np.quantile(hills[box][deep], 1 - aired.share))
    return found & bone


def facial_bones_of(soft: NDArray[np.bool_], skull: NDArray[np.bool_], place: Standard) -> NDArray[np.uint8]:
    """Label the bones of the face in soft tissue, [X, Y, Z], if a map does not know them; 0 elsewhere.

    Args:
        soft: [X, Y, Z], soft tissue outside the skull.
        skull: [X, Y, Z].
        place: of the standard head.
    """
    found = np.zeros(soft.shape, np.uint8)
    boxes = [place.box(*corners, soft.shape) for corners in _CHEEKS]
    bone, cheeks = (sum(int(part[box].sum()) for box in boxes) for part in (skull, soft | skull))
    if bone >= _BARE * cheeks:
        return found
    for part in _FACIAL:
        _lay_both(part, place, found)
    return np.where(soft, found, 0).astype(np.uint8)


def filling_of(air: NDArray[np.bool_], place: Standard, spacing: Floats) -> NDArray[np.uint8]:
    """Label what is no air in the nose and the ethmoid of a map, [X, Y, Z]; 0 elsewhere.

    Args:
        air: [X, Y, Z], air within the head.
        place: of the standard head.
        spacing: of the voxels in mm.
    """
    nose, ethmoid = (place.box(*corners, air.shape) for corners in (_NOSE, _ETHMOID))
    random = np.random.default_rng(1)
    bend = _smooth_noise(random, air[nose].shape, _BEND_MM / spacing)
    across = place.points(nose)[0].reshape(bend.shape) + _BENT_MM / 2 * bend
    sheets = -np.cos(2 * np.pi / _SHEET_MM * across)
    walls = np.abs(_smooth_noise(random, air[ethmoid].shape, _THIN_MM / spacing))
    found = np.zeros(air.shape, np.uint8)
    for box, away, tissues in (
        (nose, sheets, {"mucosa": 1 - _SLIT, "cortical bone": _CORE}),
        (ethmoid, walls, {"mucosa": _WALLS, "cortical bone": _LAMINA}),
    ):
        here = air[box]
        for tissue, share in tissues.items() if here.any() else ():
            found[box][here & (away <= np.quantile(away[here], share))] = LABEL[tissue]
    return found


def _smooth_noise(random: np.random.Generator, shape: tuple[int, ...], sigma: Floats) -> Floats:
    """Draw noise of standard deviation 1."""
    noise: Floats = ndimage.gaussian_filter(random.standard_normal(shape, np.float32), sigma)
    return noise / (noise.std() or 1.0) if noise.size else noise


def wall_of(
    soft: NDArray[np.bool_], air: NDArray[np.bool_], place: Standard, spacing: Floats
) -> NDArray[np.bool_]:
    """Select the soft tissue about the sinuses of a map that should be their wall of bone.

    Args:
        soft: [X, Y, Z], soft tissue outside the skull.
        air: [X, Y, Z], air within the head.
        place: of the standard head.
        spacing: of the voxels in mm.
    """
    found = np.zeros(air.shape, np.bool_)
    thick = max(_WALL_MM, float(spacing.max()))
    for aired in _AIRED[:3]:
        box = place.box(aired.low, aired.high, air.shape)
        deep = ndimage.distance_transform_edt(air[box], sampling=spacing) > _WIDE_MM
        if deep.any():
            reach = ndimage.distance_transform_edt(~deep, sampling=spacing)
            found[box] |= soft[box] & (reach <= _WIDE_MM + thick)
    return found


def orbits_of(soft: NDArray[np.bool_], place: Standard) -> NDArray[np.uint8]:
    """Label eyes, and fat and muscles about them, in the soft tissue of a map, [X, Y, Z]; 0 elsewhere."""
    found = np.zeros(soft.shape, np.uint8)
    for part in ORBIT:
        _lay_both(part, place, found)
    return np.where(soft, found, 0).astype(np.uint8)


def nuclei_of(brain: NDArray[np.bool_], place: Standard) -> NDArray[np.uint8]:
    """Label the nuclei in the brain of a map, [X, Y, Z]; 0 elsewhere."""
    found = np.zeros(brain.shape, np.uint8)
    for part in _NUCLEI:
        _lay_both(part, place, found)
    return np.where(brain, found, 0).astype(np.uint8)


def _lay_both(part: Part, place: Standard, found: NDArray[np.uint8]) -> None:
    for side in (1.0, -1.0) if part.both else (1.0,):
        _lay(part, side, place, found)


def _lay(part: Part, side: float, place: Standard, found: NDArray[np.uint8]) -> None:
    """Label the voxels of a part, whose x is multiplied by `side`, and of its wall."""
    mirror = np.array([side, 1, 1], np.float32)
    start, end, radii = (np.array(each, np.float32) for each in (part.start, part.end, part.radii))
    start, end = start * mirror, end * mirror
    tissue, thick = part.wall or ("", 0.0)
    reach = radii * max(1.0, part.taper) + np.float32(thick)
    box = place.box(np.minimum(start, end) - reach, np.maximum(start, end) + reach, found.shape)
    here = found[box]
    if not here.size:  # beyond the edge of the map
        return
    distance = tube(place.points(box), start, end, radii, part.taper).reshape(here.shape)
    if part.wall:
        here[distance < thick] = LABEL[tissue]
    here[distance < 0] = LABEL[part.tissue]
