"""Heads from label maps: real anatomy, of which the tissue at each voxel is known.

A map tells fewer tissues apart than a digital head is painted with. So a table names for each of its labels
a tissue of `tissues`, or a part of the head that is divided by depth: soft tissue into skin, fat and muscle,
the skull into its tables and the diploe, brain into what stays and what atrophy turns into fluid. The depths
differ from head to head, and so does the shape, which is turned, stretched and bent (as Billot et al. do,
"SynthSeg", Medical Image Analysis 86, 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.errors import InputRefused, SettingsError
from medtranslate.io import read_volume
from medtranslate.io.layout import to_axial
from medtranslate.phantom.ct_map import LOWEST_HU, tissues_of
from medtranslate.phantom.mend import (
    Standard,
    air_of,
    facial_bones_of,
    filling_of,
    nuclei_of,
    orbits_of,
    wall_of,
)
from medtranslate.phantom.tissues import LABEL, NUCLEI, TISSUES, Floats
from medtranslate.records.places import stem_of

TABLES = Path(__file__).parent / "tables"
"""Tables of public maps, by the names of their files without suffix, and of tools that make maps."""

PARTS = ("soft tissue", "skull", "grey matter", "white matter")
"""Labels of a table that are divided by depth."""

STEP_MM = 0.25
"""Depths are kept as multiples of this, up to 255 of them."""

_IN_PLANE = np.ones((3, 3, 1), np.bool_)
"""A voxel and its eight neighbours in an axial plane."""

_FACE = ("skin", "fat", "muscle", "gland", "mucosa")
"""Soft tissues of maps that tell them apart."""

_SPECK_MM3 = 1000.0
_AROUND_MM, _SURROUNDED = 6.0, 0.75
"""Bone and air are neither where brain and fluid are more than this share of what lies around them."""

_OPEN_MM, _SKIN_MM = 5.0, 2.0
"""Bone less deep than the second is skin, beneath air of the first as radius: in an ear there is less."""

_THICK_MM, _MARGIN = 3.0, 3
"""Longest side of the voxels of a CT, and the voxels of air that stay around its head."""

DEPTHS = 256
KINDS = len(TISSUES) + len(PARTS)
_SOFT, _SKULL = (len(TISSUES) + PARTS.index(name) for name in ("soft tissue", "skull"))


@dataclass(frozen=True, eq=False)
class LabelMap:
    """One head.

    Attributes:
        codes: [X, Y, Z] in RAS order; 256 times the kind of tissue plus its depth. Kinds are the labels of
            `TISSUES`, and then `PARTS`. Depth is that below the air in soft tissue, below its surface in the
            skull, and the distance to fluid in grey and white matter.
        beneath: [X, Y, Z], distance to the nearest bone of the skull in steps, at most 255.
        spacing: of the voxels in mm.
        lowest, highest: planes between which the head's slices are drawn.
        centre: of the head in those planes, in voxels.
        mr: [X, Y, Z], a real MR of the head, 0 to about 1000; None where MR is painted.
        told: [7], brightness of the tissues of `TOLD` in it, in [-1, 1].
    """

    codes: NDArray[np.uint16]
    beneath: NDArray[np.uint8]
    spacing: Floats
    lowest: float
    highest: float
    centre: Floats
    mr: Floats | None = None
    told: Floats | None = None


def read_label_map(path: Path, table: Path | None = None, *, face: bool = True) -> LabelMap:
    """Read a label map with its table, or a CT in HU, which needs none.

    Args:
        path: of the map, a volume of any format.
        table: YAML that names a tissue of `TISSUES`, or one of `PARTS`, for each label under `tissues`
            (default: `NAME.yaml` beside the map, else the table of that name in `TABLES`, else that
            of the tool for a map `TOOL-NAME`).
        face: add what its face lacks: bones, eyes, the walls of sinuses, and what fills a hollow nose.

    Raises:
        InputRefused: the map is no volume of such labels, or the slices of a CT are thick.
        SettingsError: there is no table, or it names an unknown tissue.
    """
    axial = to_axial(read_volume(path))
    # From LPS to RAS order.
    values, spacing = axial.values[::-1, ::-1], np.array(axial.spacing, np.float32)
    if values.min() < LOWEST_HU:
        return _of_ct(values, spacing, path)
    return divide(_kinds(values, read_table(path, table), path), spacing, face=face)


def _of_ct(hu: Floats, spacing: Floats, path: Path) -> LabelMap:
    if spacing.max() > _THICK_MM:
        raise InputRefused(
            f"{path}: CT whose voxels are {spacing.max():.4g} mm long; a head is cut in all planes, so give"
            f" thinner slices, of at most {_THICK_MM:g} mm"
        )
    kinds = tissues_of(hu, spacing, {part: len(TISSUES) + index for index, part in enumerate(PARTS)})
    places = np.argwhere(kinds > 0)
    if not len(places):
        raise InputRefused(f"{path}: CT that shows no head")
    low, high = (places.min(axis=0) - _MARGIN).clip(0), places.max(axis=0) + 1 + _MARGIN
    return divide(kinds[tuple(map(slice, low, high))], spacing, face=False, bone=False)


def read_table(path: Path, table: Path | None = None) -> dict[int, str]:
    """Read the table of a label map: the tissue or part that each of its labels is.

    Raises:
        SettingsError: there is none, or it names an unknown tissue.
    """
    name = f"{stem_of(path)}.yaml"
    tool = f"{stem_of(path).partition('-')[0]}.yaml"
    places = (path.parent / name, TABLES / name, TABLES / tool)
    found = table or next((one for one in places if one.is_file()), None)
    if found is None:
        raise SettingsError(
            f"{path}: no table of its labels; write {name} beside it with `tissues: {{0: air, 1: csf, ...}}`"
        )
    try:
        content: Any = yaml.safe_load(found.read_text(encoding="utf-8"))
        tissues = {int(label): str(tissue) for label, tissue in content["tissues"].items()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise SettingsError(f"{found}: no table of labels ({error}); see docs/data.md") from None
    if unknown := sorted(set(tissues.values()) - LABEL.keys() - set(PARTS)):
        raise SettingsError(
            f"{found}: unknown tissues {', '.join(unknown)}; known are {', '.join([*LABEL, *PARTS[:2]])}"
        )
    return tissues


def _kinds(labels: NDArray[Any], table: Mapping[int, str], path: Path) -> NDArray[np.uint8]:
    present = np.unique(labels)
    if missing := sorted(set(present.tolist()) - table.keys()):
        raise InputRefused(f"{path}: its table lacks the labels {', '.join(map(str, missing[:8]))}")
    number = {name: LABEL.get(name, 0) for name in table.values()}
    number |= {part: len(TISSUES) + index for index, part in enumerate(PARTS)}
    names = [table[int(label)] for label in present]
    kinds = np.array([number[name] for name in names], np.uint8)
    found: NDArray[np.uint8] = kinds[np.searchsorted(present, labels)]
    return found


def divide(kinds: NDArray[np.uint8], spacing: Floats, *, face: bool = True, bone: bool = True) -> LabelMap:
    """Measure the depth of each voxel in its part, after loose pieces beside the head are removed.

    Args:
        kinds: [X, Y, Z] in RAS order, labels of `TISSUES` and then `PARTS`.
        spacing: of the voxels in mm.
        face: add what a face lacks.
        bone: mend bone, and lay air into it, as maps of MR need it.
    """
    pieces, count = ndimage.label(kinds > 0)
    if count > 1:
        kinds = np.where(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])), kinds, 0)
    if bone:
        kinds = _with_skin(_without_specks(kinds, spacing), spacing)
    # Sinuses and the mouth are air, but the skin is on the outside.
    outside = ~ndimage.binary_fill_holes(kinds > 0)
    kinds = _mended(kinds, outside, spacing, face=face, bone=bone)
    soft, skull, grey, white = (kinds == len(TISSUES) + index for index in range(len(PARTS)))
    depth = np.zeros(kinds.shape, np.float32)
    for where, origin in (
        (soft, outside),
        (skull, ~skull),
        (grey | white, kinds == LABEL["csf"]),
    ):
        if where.any() and origin.any():
            depth[where] = _away(origin, spacing)[where]
    beneath = _away(skull, spacing) if skull.any() else np.full(kinds.shape, np.inf, np.float32)
    steps, beneath = (np.clip(mm / STEP_MM, 0, DEPTHS - 1) for mm in (depth, beneath))
    places = np.argwhere(kinds > 0)
    brain = np.flatnonzero((grey | white).any(axis=(0, 1)))
    low, high = places.min(axis=0), places.max(axis=0)
    lowest = brain[0] if len(brain) else low[2]
    return LabelMap(
        kinds.astype(np.uint16) * DEPTHS + steps.astype(np.uint16),
        beneath.astype(np.uint8),
        spacing,
        float(max(low[2], lowest - 25.0 / spacing[2])),
        float(high[2]),
        ((low + high) / 2).astype(np.float32),
    )


def _without_specks(kinds: NDArray[np.uint8], spacing: Floats) -> NDArray[np.uint8]:
    """Make fluid of bone and air in the brain, which are errors of a map, and of loose bone beside it.

    Loose bone elsewhere becomes soft tissue.
    """
    bone = kinds == _SKULL
    bones, _ = ndimage.label(bone)
    speck = (np.bincount(bones.ravel()) < _SPECK_MM3 / np.prod(spacing))[bones]
    within = np.isin(kinds, [LABEL["csf"], *(len(TISSUES) + PARTS.index(name) for name in PARTS[2:])])
    around = ndimage.gaussian_filter(within.astype(np.float32), _AROUND_MM / spacing)
    inside = (bone | (kinds == LABEL["air"])) & (around > _SURROUNDED)
    loose = np.where(bone & speck, np.where(around > 1 - _SURROUNDED, LABEL["csf"], _SOFT), kinds)
    return np.where(inside, LABEL["csf"], loose).astype(np.uint8)


def _with_skin(kinds: NDArray[np.uint8], spacing: Floats) -> NDArray[np.uint8]:
    """Make soft tissue of bone at the surface of a head: some tools put a shell of it about the neck."""
    if not (kinds == _SOFT).any():
        return kinds
    outside = ~ndimage.binary_fill_holes(kinds > 0, _IN_PLANE)
    open_air = _away(~outside, spacing) > _OPEN_MM
    shell = (kinds == _SKULL) & (_away(open_air, spacing) < _OPEN_MM + _SKIN_MM)
    return np.where(shell, _SOFT, kinds).astype(np.uint8)


def _mended(
    kinds: NDArray[np.uint8], outside: NDArray[np.bool_], spacing: Floats, *, face: bool, bone: bool
) -> NDArray[np.uint8]:
    """Add sinuses, mastoids, the inside of the face and deep nuclei, where a map lacks them."""
    soft, skull, grey, white = (kinds == len(TISSUES) + PARTS.index(name) for name in PARTS)
    brain, nuclei = grey | white, [LABEL[name] for name in NUCLEI]
    place = Standard.of(brain | np.isin(kinds, nuclei), spacing)
    if place is None:
        return kinds
    # A nose is open at its nostrils, and closed in most axial planes.
    hollow = (kinds == 0) & (~outside | ndimage.binary_fill_holes(kinds > 0, _IN_PLANE))
    if bone:
        hollow |= air_of(skull, hollow, place, spacing)
    found = np.where(hollow, LABEL["air"], kinds)
    if face:
        soft |= np.isin(kinds, [LABEL[name] for name in _FACE])
        if not (kinds == LABEL["vitreous"]).any():
            orbits = orbits_of(soft, place)
            found = np.where(orbits > 0, orbits, found)
        bones = facial_bones_of(soft, skull, place)
        found = np.where(bones > 0, bones, found)
        found[wall_of(soft, hollow, place, spacing)] = LABEL["cortical bone"]
        filling = filling_of(hollow, place, spacing)
        found = np.where(filling > 0, filling, found)
    if not np.isin(kinds, nuclei).any():
        laid = nuclei_of(brain, place)
        found = np.where(laid > 0, laid, found)
    return found.astype(np.uint8)


def _away(origin: NDArray[np.bool_], spacing: Floats) -> Floats:
    """Measure the distance of each voxel from the nearest one of some, in mm."""
    away: Floats = ndimage.distance_transform_edt(~origin, sampling=spacing).astype(np.float32)
    return away
