"""Heads from label maps: real anatomy, of which the tissue at each voxel is known.

A map tells fewer tissues apart than a digital head is painted with. So a table names for each of its labels a
tissue of `tissues`, or a part of the head that is divided by depth: soft tissue into skin, fat and muscle, the
skull into its tables and the diploe, brain into what stays and what atrophy turns into fluid. The depths
differ from head to head, like the shape (Billot et al., "SynthSeg", Medical Image Analysis 86, 2023, bend and
turn label maps so).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.errors import InputRefused, SettingsError
from medtranslate.phantom.canvas import Plane, field
from medtranslate.phantom.head import draw_waves
from medtranslate.phantom.tissues import LABEL, TISSUES, Floats

TABLES = Path(__file__).parent / "tables"
"""Tables of public maps, by the name of the map's file without its suffix."""

PARTS = ("soft tissue", "skull", "grey matter", "white matter")
"""Labels of a table that are divided by depth."""

STEP_MM = 0.25
"""Depths are kept as multiples of this, up to 255 of them."""

_SPECK_MM3 = 1000.0
_DEPTHS = 256
_KINDS = len(TISSUES) + len(PARTS)
_MOST_VOXELS = 2**27
_LESIONS = ("tumour", "oedema", "haemorrhage", "infarct", "calcification")


@dataclass(frozen=True, eq=False)
class LabelMap:
    """One head.

    Attributes:
        codes: [X, Y, Z] in RAS order; 256 times the kind of tissue plus its depth. Kinds are the labels of
            `TISSUES`, and then `PARTS`; depth is from the air in soft tissue, from the surface of the skull in
            it, and from fluid in grey and white matter.
        spacing: of the voxels in mm.
        lowest, highest: planes between which the head's slices are drawn.
        centre: of the head in those planes, in voxels.
    """

    codes: NDArray[np.uint16]
    spacing: Floats
    lowest: float
    highest: float
    centre: Floats


def read_label_map(path: Path, table: Path | None = None) -> LabelMap:
    """Read a label map in NIfTI with its table.

    Args:
        path: of the map.
        table: YAML that names a tissue of `TISSUES`, or one of `PARTS`, for each label under `tissues`
            (default: `NAME.yaml` beside the map, else the table of that name in `TABLES`).

    Raises:
        InputRefused: the map is no three-dimensional NIfTI of such labels.
        SettingsError: there is no table, or it names an unknown tissue.
    """
    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))
        if len(image.shape) != 3 or np.prod(image.shape) > _MOST_VOXELS:
            raise InputRefused(f"{path}: a label map has three axes and at most {_MOST_VOXELS} voxels")
        labels = np.asanyarray(image.dataobj)
    except (OSError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputRefused(f"{path}: no label map ({error}); give a NIfTI file") from None
    kinds = _kinds(labels, read_table(path, table), path)
    return divide(kinds, np.array(image.header.get_zooms()[:3], np.float32))


def read_table(path: Path, table: Path | None = None) -> dict[int, str]:
    """Read the table of a label map: the tissue or part that each of its labels is.

    Raises:
        SettingsError: there is none, or it names an unknown tissue.
    """
    name = path.name.removesuffix(".gz").removesuffix(".nii") + ".yaml"
    found = table or next((one for one in (path.parent / name, TABLES / name) if one.is_file()), None)
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


def divide(kinds: NDArray[np.uint8], spacing: Floats) -> LabelMap:
    """Measure the depth of each voxel in its part, after loose pieces beside the head are removed."""
    pieces, count = ndimage.label(kinds > 0)
    if count > 1:
        kinds = np.where(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])), kinds, 0)
    bones, _ = ndimage.label(kinds == len(TISSUES) + PARTS.index("skull"))
    sizes = np.bincount(bones.ravel())
    # Specks of bone in the sulci are errors of the map.
    kinds = np.where((bones > 0) & (sizes < _SPECK_MM3 / np.prod(spacing))[bones], LABEL["csf"], kinds)
    soft, skull, grey, white = (kinds == len(TISSUES) + index for index in range(len(PARTS)))
    # Sinuses and the mouth are air, but the skin is on the outside.
    outside = ~ndimage.binary_fill_holes(kinds > 0)
    depth = np.zeros(kinds.shape, np.float32)
    for where, origin in (
        (soft, outside),
        (skull, ~skull),
        (grey | white, kinds == LABEL["csf"]),
    ):
        if where.any() and origin.any():
            near = ndimage.distance_transform_edt(~origin, sampling=spacing).astype(np.float32)
            depth[where] = near[where]
    steps = np.clip(depth / STEP_MM, 0, _DEPTHS - 1).astype(np.uint16)
    places = np.argwhere(kinds > 0)
    brain = np.flatnonzero((grey | white).any(axis=(0, 1)))
    low, high = places.min(axis=0), places.max(axis=0)
    lowest = brain[0] if len(brain) else low[2]
    return LabelMap(
        kinds.astype(np.uint16) * _DEPTHS + steps,
        spacing,
        float(max(low[2], lowest - 25.0 / spacing[2])),
        float(high[2]),
        ((low + high) / 2).astype(np.float32),
    )


@dataclass(frozen=True, eq=False)
class Cut:
    """One plane through a head, and what is drawn in it.

    Attributes:
        voxels: [3, size, size], places of the pixels in the map.
        step: from one of the planes that make up a thick slice to the next, in voxels.
        tissues: [variants, kinds, depths], the label of `TISSUES` for each code.
        variant: [size, size], which of the variants holds.
        plane: without the bends, in mm.
        lesion: label of a lesion, and where it is; in the brain alone.
    """

    voxels: Floats
    step: Floats
    tissues: NDArray[np.uint8]
    variant: NDArray[np.int64]
    plane: Plane
    lesion: tuple[int, NDArray[np.bool_]] | None


def draw_cut(head: LabelMap, rng: np.random.Generator, size: int, *, lesions: bool = True) -> Cut:
    """Draw a nearly axial plane of a head that is turned, stretched, bent and perhaps mirrored.

    Rows run from front to back, columns from right to left, or the reverse in a mirrored head.
    """
    extent = np.array(head.codes.shape, np.float32) * head.spacing
    height = rng.uniform(head.lowest, head.highest) * head.spacing[2]
    side = max(extent[:2]) * rng.uniform(1.0, 1.15)
    pixel = side / size
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    turn = _rotation(np.radians(rng.normal(0.0, [8.0, 3.0, 4.0]).clip(-20, 20)))
    stretch = np.exp(rng.normal(0.0, [0.06, 0.06, 0.06])).clip(0.85, 1.18)
    rows = (turn @ (np.array([0.0, -pixel, 0.0]) * stretch)).astype(np.float32)
    columns = (turn @ (np.array([-pixel * mirror, 0.0, 0.0]) * stretch)).astype(np.float32)
    normal = turn @ (np.array([0.0, 0.0, rng.choice([1.0, 3.0, 5.0])]) * stretch)
    middle = np.array([*(head.centre[:2] * head.spacing[:2]), height], np.float32)
    plane = Plane(
        (middle - (size - 1) / 2 * (rows + columns)).astype(np.float32), rows, columns, (size, size)
    )
    points = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij")).astype(np.float32)
    places = plane.origin[:, None, None] + np.einsum("ac,ahw->chw", np.stack([rows, columns]), points)
    for axis in range(3):
        places[axis] += field(draw_waves(rng, 5, 70, 200, rng.uniform(0.0, 3.5)), plane)
        places[axis] += field(draw_waves(rng, 6, 18, 50, rng.uniform(0.0, 0.8)), plane)
    patchy = field(draw_waves(rng, 10, 12, 40, 1.0), plane)
    return Cut(
        places / head.spacing[:, None, None],
        (normal / head.spacing).astype(np.float32),
        _tissues(rng),
        (patchy > rng.uniform(0.2, 1.2)).astype(np.int64),
        plane,
        _draw_lesion(rng, head, places, plane) if lesions and rng.random() < 0.3 else None,
    )


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    (a, b, c), (x, y, z) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -x], [0, x, a]])
    about_y = np.array([[b, 0, y], [0, 1, 0], [-y, 0, b]])
    about_z = np.array([[c, -z, 0], [z, c, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned


def _tissues(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw which tissue lies at which depth of each part, [variants, kinds, depths].

    In the second variant, muscle is streaked with fat, and diploe is dense.
    """
    depth = np.arange(_DEPTHS) * STEP_MM
    found = np.empty((2, _KINDS, _DEPTHS), np.uint8)
    found[:] = np.arange(_KINDS)[:, None].clip(max=len(TISSUES) - 1)
    skin, fat, table = rng.uniform(0.8, 2.5), rng.uniform(1.5, 7.0), rng.uniform(0.9, 2.4)
    lost = rng.uniform(0.2, 1.8) if rng.random() < 0.5 else 0.0
    soft, skull, grey, white = range(len(TISSUES), _KINDS)
    for variant, (inner, core) in enumerate((("muscle", "diploe"), ("fat", "cortical bone"))):
        found[variant, soft] = np.where(
            depth < skin, LABEL["skin"], np.where(depth < skin + fat, LABEL["fat"], LABEL[inner])
        )
        found[variant, skull] = np.where(depth <= table, LABEL["cortical bone"], LABEL[core])
        found[variant, grey] = np.where(depth < lost, LABEL["csf"], LABEL["grey matter"])
        found[variant, white] = np.where(depth < lost, LABEL["csf"], LABEL["white matter"])
    return found


def _draw_lesion(
    rng: np.random.Generator, head: LabelMap, places: Floats, plane: Plane
) -> tuple[int, NDArray[np.bool_]]:
    """Draw a rough ellipse about a pixel of the plane; what of it lies outside the brain is not shown."""
    size = plane.shape[0]
    centre = places[:, *rng.integers(size // 4, 3 * size // 4, 2)]
    radii = rng.uniform(3.0, 25.0) * rng.uniform(0.5, 1.0, 3)
    away = (places - centre[:, None, None]) / radii[:, None, None]
    rough = 0.35 * field(draw_waves(rng, 6, 10, 40, 1.0), plane)
    label = LABEL[_LESIONS[int(rng.integers(len(_LESIONS)))]]
    return label, (away**2).sum(axis=0) < 1.0 + rough


def paint_cut(
    head: LabelMap, cut: Cut, values: Floats, rng: np.random.Generator, planes: int = 4
) -> tuple[Floats, NDArray[np.bool_]]:
    """Paint images of a cut: the mean of planes across its thickness, between whose pixels lie random steps.

    A pixel has the mean of several voxels near it, which is the partial volume of a real one.

    Args:
        values: value of each tissue in each image, [channels, tissues].

    Returns:
        Images [channels, size, size], and True where the first plane shows the head.
    """
    brain = np.isin(np.arange(len(TISSUES)), _BRAIN)
    shape = np.array(head.codes.shape)[:, None, None]
    images = np.zeros((len(values), *cut.variant.shape), np.float32)
    pixel = np.abs(cut.voxels[:, 1:, 1:] - cut.voxels[:, :-1, :-1]).mean(axis=(1, 2))
    flat = head.codes.ravel()
    tissues = cut.tissues.reshape(2, -1)
    inside = None
    for index in range(planes):
        jitter = rng.uniform(-0.5, 0.5, (3, *cut.variant.shape)) * np.maximum(pixel, 0.7)[:, None, None]
        across = ((index + 0.5) / planes - 0.5) * cut.step[:, None, None]
        voxels = np.rint(cut.voxels + jitter + across).astype(np.int64)
        beyond = ((voxels < 0) | (voxels >= shape)).any(axis=0)
        voxels = voxels.clip(0, shape - 1)
        code = flat[(voxels[0] * shape[1] + voxels[1]) * shape[2] + voxels[2]]
        tissue = tissues[cut.variant, code]
        tissue[beyond] = 0
        if cut.lesion is not None:
            label, where = cut.lesion
            tissue[where & brain[tissue]] = label
        images += values[:, tissue]
        inside = tissue > 0 if inside is None else inside
    images /= planes
    assert inside is not None
    return images, inside


_BRAIN = [LABEL[name] for name in ("grey matter", "white matter", "deep nuclei", "pallidum", "brainstem")]
