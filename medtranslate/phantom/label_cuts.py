"""Planes cut from label maps: turned, stretched, bent and perhaps mirrored, and painted as any contrast."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medtranslate.config import PlaneName
from medtranslate.phantom.canvas import Plane, field
from medtranslate.phantom.cut_planes import draw_plane
from medtranslate.phantom.head import draw_waves
from medtranslate.phantom.label_maps import DEPTHS, KINDS, STEP_MM, LabelMap
from medtranslate.phantom.tissues import LABEL, TISSUES, Floats

_NUMBERS = (0.25, 0.35, 0.25, 0.15)
"""Shares of the cuts with so many lesions, from none on."""

_FLUID = 0.25
"""Share of the lesions that are collections of fluid: cysts, cavities, hygromas, often beside the skull."""

_THICKER_MM, _FLUID_MM, _SOME = 3.5, 8.0, 0.3
"""Most bone and most fluid that is added beneath the skull, and the share of heads with some of either. The
maps are of few and mostly young people. Skulls of others are thicker, and brains shrink away from them."""

_TABLE_MM = 1.5
"""Inner table of bone that is added; the rest of it is diploe."""

LESIONS = {"tumour": 0.15, "oedema": 0.15, "haemorrhage": 0.35, "infarct": 0.15, "calcification": 0.2}
"""Shares of the other lesions. Dense ones are more frequent than in patients, since what is rare is lost."""

_FAT = (0.4, 0.7, 1.0, 1.5, 2.2)
"""From place to place, the fat under the skin is thicker than a head's usual fat by these factors."""

USUAL = _FAT.index(1.0)
"""The variant of the tissues in most places."""

_SHEETS, _PARTED = 0.15, 0.6
"""Half of the band of a field, of standard deviation 1, within which fat lies between muscles, at most, and
the share of heads with such sheets; coarse or blurred MR of the others would not show them."""

_EVEN = 0.4
"""Share of heads without patches of fat in muscle: an even nape is not to be taken for brain in a skull."""

_RIMMED, _RIM, _WIDER = ("haemorrhage", "tumour"), 0.6, (1.2, 1.8)
"""Lesions about which brain swells, the share of them that shows it, and the size of oedema over theirs."""

_BRAIN = [
    LABEL[name]
    for name in ("grey matter", "white matter", "deep nuclei", "pallidum", "brainstem", "cerebellar cortex")
]


@dataclass(frozen=True, eq=False)
class Lesion:
    """A rough ellipsoid, in the brain alone; it covers oedema, too, which is drawn before it.

    Attributes:
        label: of its tissue.
        centre, radii: in voxels of the map.
        rough: [size, size], what each pixel adds to the square of the radius.
    """

    label: int
    centre: Floats
    radii: Floats
    rough: Floats

    def covers(self, voxels: Floats) -> NDArray[np.bool_]:
        """Select the places [3, size, size] within it."""
        away = (voxels - self.centre[:, None, None]) / self.radii[:, None, None]
        inside: NDArray[np.bool_] = (away**2).sum(axis=0) < 1.0 + self.rough
        return inside


@dataclass(frozen=True, eq=False)
class Cut:
    """One plane through a head, and what is drawn in it.

    Attributes:
        voxels: [3, size, size], places of the pixels in the map.
        step: from one of the planes that make up a thick slice to the next, in voxels.
        tissues: [variants, kinds, depths], the label of `TISSUES` for each code.
        variant: [size, size], which of the variants holds.
        added: bone and fluid beneath the skull, in mm.
        plane: without the bends, in mm.
        lesions: what of them lies outside the brain is not shown.
    """

    voxels: Floats
    step: Floats
    tissues: NDArray[np.uint8]
    variant: NDArray[np.int64]
    added: tuple[float, float]
    plane: Plane
    lesions: tuple[Lesion, ...]


def draw_cut(
    head: LabelMap,
    rng: np.random.Generator,
    size: int,
    *,
    lesions: bool = True,
    name: PlaneName = "axial",
    of_series: bool = False,
) -> Cut:
    """Draw a plane of a head that is turned, stretched, bent and perhaps mirrored.

    Rows run from front to back in an axial plane, and from top to bottom in the others. Columns run from
    right to left, or the reverse in a mirrored head; in a sagittal plane from front to back.

    Args:
        name: of the anatomical plane that is nearest.
        of_series: axial cuts lie where slices of thick series do, and not evenly through the head.
    """
    plane, normal = draw_plane(rng, head, size, name, of_series=of_series)
    points = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij")).astype(np.float32)
    places = plane.origin[:, None, None] + np.einsum(
        "ac,ahw->chw", np.stack([plane.rows, plane.columns]), points
    )
    for axis in range(3):
        places[axis] += field(draw_waves(rng, 5, 70, 200, rng.uniform(0.0, 3.5)), plane)
        places[axis] += field(draw_waves(rng, 6, 18, 50, rng.uniform(0.0, 0.8)), plane)
    return Cut(
        places / head.spacing[:, None, None],
        (normal / head.spacing).astype(np.float32),
        _tissues(rng),
        draw_variants(rng, plane, head),
        (_some(rng, _THICKER_MM), _some(rng, _FLUID_MM)),
        plane,
        draw_lesions(rng, head, places, plane) if lesions and head.mr is None else (),
    )


def _some(rng: np.random.Generator, most: float) -> float:
    """Draw what a share of heads has and the others lack."""
    return float(rng.uniform(0.0, most)) if rng.random() < _SOME else 0.0


def draw_variants(rng: np.random.Generator, plane: Plane, head: LabelMap) -> NDArray[np.int64]:
    """Draw which variant of `_tissues` holds at each pixel, [size, size]: the usual one beside a real MR."""
    even = rng.random() < _EVEN
    patchy = field(draw_waves(rng, 10, 12, 40, 1.0), plane) > (np.inf if even else rng.uniform(0.8, 2.0))
    width = rng.uniform(0.0, _SHEETS) if rng.random() < _PARTED else 0.0
    sheet = np.abs(field(draw_waves(rng, 8, 25, 70, 1.0), plane)) < width
    thick = np.rint(USUAL + field(draw_waves(rng, 4, 60, 160, 1.0), plane)).clip(0, len(_FAT) - 1)
    variants = len(_FAT) * np.where(patchy, 1, 2 * sheet) + thick.astype(np.int64)
    return variants if head.mr is None else np.full_like(variants, USUAL)


def _tissues(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw which tissue lies at which depth of each part, [variants, kinds, depths].

    Variants are `_FAT` in usual places, then where fat replaces muscle and diploe is dense, and then in the
    sheets of fat between muscles.
    """
    depth = np.arange(DEPTHS) * STEP_MM
    found = np.empty((3, len(_FAT), KINDS, DEPTHS), np.uint8)
    found[:] = np.arange(KINDS)[:, None].clip(max=len(TISSUES) - 1)
    skin, fat, table = rng.uniform(0.8, 2.5), rng.uniform(1.5, 7.0), rng.uniform(0.6, 2.2)
    lost = rng.uniform(0.2, 1.8) if rng.random() < 0.5 else 0.0
    soft, skull, grey, white = range(len(TISSUES), KINDS)
    inner, core = ("muscle", "fat", "fat"), ("diploe", "cortical bone", "diploe")
    for place, (deep, dense) in enumerate(zip(inner, core, strict=True)):
        under = skin + fat * np.array(_FAT)[:, None]
        found[place, :, soft] = np.where(
            depth < skin, LABEL["skin"], np.where(depth < under, LABEL["fat"], LABEL[deep])
        )
        found[place, :, skull] = np.where(depth <= table, LABEL["cortical bone"], LABEL[dense])
        found[place, :, LABEL["muscle"]] = LABEL[deep]
    found[:, :, grey] = np.where(depth < lost, LABEL["csf"], LABEL["grey matter"])
    found[:, :, white] = np.where(depth < lost, LABEL["csf"], LABEL["white matter"])
    return found.reshape(-1, KINDS, DEPTHS)


def draw_lesions(
    rng: np.random.Generator, head: LabelMap, places: Floats, plane: Plane
) -> tuple[Lesion, ...]:
    """Draw the lesions of a cut, about pixels of its plane.

    Args:
        places: of its pixels in the map, [3, rows, columns] in mm.
    """
    count, found = rng.choice(len(_NUMBERS), p=_NUMBERS), list[Lesion]()
    for _ in range(count):
        lesion = _draw_lesion(rng, head, places, plane)
        if TISSUES[lesion.label].name in _RIMMED and rng.random() < _RIM:
            wider = lesion.radii * np.float32(rng.uniform(*_WIDER))
            found.append(replace(lesion, label=LABEL["oedema"], radii=wider))
        found.append(lesion)
    return tuple(found)


def _draw_lesion(rng: np.random.Generator, head: LabelMap, places: Floats, plane: Plane) -> Lesion:
    """Draw a lesion about a pixel of the plane."""
    size = plane.shape[0]
    centre = places[:, *rng.integers(size // 5, 4 * size // 5, 2)]
    fluid = rng.random() < _FLUID
    radii = rng.uniform(3.0, 40.0 if fluid else 25.0) * rng.uniform(0.5, 1.0, 3)
    rough = 0.35 * field(draw_waves(rng, 6, 10, 40, 1.0), plane)
    label = LABEL["csf" if fluid else rng.choice([*LESIONS], p=[*LESIONS.values()])]
    return Lesion(
        label, (centre / head.spacing).astype(np.float32), (radii / head.spacing).astype(np.float32), rough
    )


def paint_cut(
    head: LabelMap,
    cut: Cut,
    values: Floats,
    rng: np.random.Generator,
    planes: int = 4,
    away: float = 0.0,
    own: bool = False,
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Paint images of a cut: the mean of planes across its thickness, between whose pixels lie random steps.

    A pixel has the mean of several voxels near it, which is the partial volume of a real one.

    Args:
        values: value of each tissue in each image, [channels, tissues].
        away: from the cut up to a neighbour that is painted in its place, in thicknesses.
        own: show the head's own MR in the last image.

    Returns:
        Images [channels, size, size], True where the first plane shows the head, and the share of each pixel
        that lesions cover.
    """
    replaced = np.isin(np.arange(len(TISSUES)), [*_BRAIN, LABEL["oedema"]])
    shape = np.array(head.codes.shape)[:, None, None]
    images = np.zeros((len(values), *cut.variant.shape), np.float32)
    covered = np.zeros(cut.variant.shape, np.float32)
    pixel = np.abs(cut.voxels[:, 1:, 1:] - cut.voxels[:, :-1, :-1]).mean(axis=(1, 2))
    flat = head.codes.ravel()
    tissues = cut.tissues.reshape(len(cut.tissues), -1)
    inside = None
    for index in range(planes):
        jitter = rng.uniform(-0.5, 0.5, (3, *cut.variant.shape)) * np.maximum(pixel, 0.7)[:, None, None]
        across = (away + (index + 0.5) / planes - 0.5) * cut.step[:, None, None]
        voxels = np.rint(cut.voxels + jitter + across).astype(np.int64)
        beyond = ((voxels < 0) | (voxels >= shape)).any(axis=0)
        voxels = voxels.clip(0, shape - 1)
        place = (voxels[0] * shape[1] + voxels[1]) * shape[2] + voxels[2]
        tissue = tissues[cut.variant, flat[place]]
        if any(cut.added):
            _add(cut.added, tissue, head.beneath.ravel()[place] * STEP_MM)
        tissue[beyond] = 0
        ill = np.zeros(tissue.shape, np.bool_)
        for lesion in cut.lesions:
            here = lesion.covers(cut.voxels + across) & replaced[tissue]
            tissue[here] = lesion.label
            ill |= here
        covered += ill
        images += values[:, tissue]
        if own:
            assert head.mr is not None
            images[-1] += np.where(beyond, 0.0, head.mr.ravel()[place]) - values[-1, tissue]
        inside = tissue > 0 if inside is None else inside
    images /= planes
    covered /= planes
    assert inside is not None
    return images, inside, covered


def _add(added: tuple[float, float], tissue: NDArray[np.uint8], beneath: Floats) -> None:
    """Turn brain and fluid beneath the skull into more bone, and brain beneath that into fluid.

    Args:
        tissue: labels of the pixels, changed in place.
        beneath: distance of the pixels to the skull of the map, in mm.
    """
    bone, fluid = added
    brain = np.isin(tissue, _BRAIN)
    within = brain | (tissue == LABEL["csf"])
    tissue[within & (beneath < bone)] = LABEL["diploe"]
    tissue[within & (beneath < bone) & (beneath >= bone - _TABLE_MM)] = LABEL["cortical bone"]
    tissue[brain & (beneath >= bone) & (beneath < bone + fluid)] = LABEL["csf"]
