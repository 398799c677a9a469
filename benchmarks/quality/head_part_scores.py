"""Scores of the small models of `head_parts`, by the measures of the scoreboard and the lesions.

Translations are scored as the networks draw them: nothing clears the air around the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.ablation.appearance import apart
from benchmarks.ablation.rows import Row
from benchmarks.quality.head_volumes import BODY_HU, FLUID_HU, Head, as_grey, deep_in, spoken, wide
from benchmarks.quality.label_heads import MADE, label_heads
from benchmarks.quality.lesion_measures import found_in, summary
from benchmarks.quality.lesion_slices import KINDS, cut_slices
from benchmarks.quality.lesions import Scene, plane, scene_of
from benchmarks.quality.pair_measures import GREY, Areas, areas_of, dice, slice_measures
from benchmarks.quality.pair_sets import PAIR_SETS, WINDOWS, PairSet
from benchmarks.quality.rungs import projections, showing
from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.config.types import Contrast, Ends
from medtranslate.io import Volume
from medtranslate.io.layout import to_axial
from medtranslate.metrics import Voxels, head_mask, invented, mae, outline
from medtranslate.modality import OTHER
from medtranslate.phantom import read_label_map
from medtranslate.translation.framed import frame
from medtranslate.translation.volume import translate_framed

SCORES = ("mae", "mae matched", "swd", "bone", "bone 300", "ventricles", "fluid", "true fluid", "fluid dice")
LESIONS = ("clear", "kept", "right sign")

EVERY_SLICE, EVERY_PICTURE = 6, 4
"""Each n-th slice of the head of a label map, and each n-th picture of the choosing cases, is scored."""

LESION_SLICES, LESION_SEED = 2, 31
"""Slices that are given a lesion of each kind, and the seed of their places."""

BONE_HU, WHOLE_BONE_HU = 91.0, 300.0
"""Least HU of bone where a brain window ends, and where CT is whole."""

TARGETS: tuple[Modality, Modality] = ("ct", "mr")


@dataclass(frozen=True, eq=False)
class WholeHead:
    """A head painted from a label map in each contrast, with the same CT.

    Attributes:
        places: of the slices that are scored; the rest holds those slices alone, [X, Y, slices].
        mask: the head.
        deep: voxels in which fluid is that of ventricles, and `fluid` the ventricles.
    """

    heads: Sequence[Head]
    places: NDArray[np.intp]
    mask: Voxels
    deep: Voxels
    fluid: Voxels


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one set, by modality, with the windows and areas of their CT."""

    pairs: PairSet
    contrast: Contrast
    windows: list[Ends]
    shown: dict[Modality, list[Volume]]
    areas: list[Areas]
    patches: dict[Modality, Tensor]


@dataclass(frozen=True, eq=False)
class Cases:
    """All that a model is scored on."""

    whole: WholeHead
    pictures: Sequence[Pictures]
    scenes: Sequence[Scene]


def open_cases(label_map: Path, data: Path) -> Cases:
    """Paint the heads of a label map, read the choosing cases of the pairs, and cut slices with lesions."""
    slices = cut_slices(read_label_map(label_map), LESION_SLICES, LESION_SEED)
    scenes = [scene for each in slices for kind in KINDS if (scene := scene_of(each, kind))]
    return Cases(whole_head(label_map), [pictures_of(pairs, data) for pairs in PAIR_SETS], scenes)


def whole_head(label_map: Path) -> WholeHead:
    heads = list(label_heads(label_map))
    ct = heads[0].of("ct")
    assert heads[0].fluid is not None
    share = to_axial(heads[0].fluid)
    across, along, up = ct.spacing
    mask = outline((ct.values > BODY_HU).T, (up, along, across)).T
    places = np.array([at for at in range(0, ct.shape[2], EVERY_SLICE) if mask[:, :, at].any()])
    deep, fluid = deep_in(ct.values, ct.spacing), wide(share.values > 0.5, ct.spacing)
    return WholeHead(heads, places, *(found[:, :, places] for found in (mask, deep, fluid & deep)))


def pictures_of(pairs: PairSet, data: Path) -> Pictures:
    names = pairs.names(data, "choosing", EVERY_PICTURE)
    contrasts = {pairs.contrasts[name[:2]] for name in names}
    assert len(contrasts) == 1
    shown = {side: [pairs.read(data, name, side) for name in names] for side in TARGETS}
    patches = {side: projections([picture.values for picture in shown[side]]) for side in TARGETS}
    areas = [areas_of(picture.values) for picture in shown["ct"]]
    windows = [WINDOWS[name[:2]] for name in names]
    return Pictures(pairs, contrasts.pop(), windows, shown, areas, patches)


def score(model: Model, cases: Cases) -> Iterator[Row]:
    """Yield a row for each set, contrast and direction."""
    yield from of_whole_head(model, cases.whole)
    for pictures in cases.pictures:
        yield from of_pictures(model, pictures)
    yield from of_lesions(model, cases.scenes)


def of_whole_head(model: Model, whole: WholeHead) -> Iterator[Row]:
    """Score a head of a label map from and to each contrast."""
    at = np.s_[:, :, whole.places]
    spacing = whole.heads[0].of("ct").spacing
    true_ct = whole.heads[0].of("ct")
    grey = as_grey(true_ct, "ct", model)[at]
    whole_range = model.description.scale.ct_window[1] > WHOLE_BONE_HU
    made = drawn([head.of("mr") for head in whole.heads], model, "ct", places=whole.places)
    for head, ct in zip(whole.heads, made, strict=True):
        ours = ct.values[at]
        bones = {
            name: dice((ours >= limit) & whole.mask, (true_ct.values[at] >= limit) & whole.mask)
            for name, limit in (("bone", BONE_HU), ("bone 300", WHOLE_BONE_HU))
            if name == "bone" or whole_range
        }
        fluid = wide(ours < FLUID_HU, spacing) & whole.deep
        error = mae(as_grey(ct, "ct", model)[at], grey, whole.mask)
        found = {**bones, "ventricles": dice(fluid, whole.fluid), "mae": error}
        yield {"set": f"label map, {head.contrast}", "to": "ct", **found}
    for head in whole.heads:
        [mr] = drawn([true_ct], model, "mr", head.contrast, whole.places)
        true = as_grey(spoken(head, "mr", model), "mr", model)[at]
        yield {
            "set": f"label map, {head.contrast}",
            "to": "mr",
            "mae": mae(as_grey(mr, "mr", model)[at], true, whole.mask),
        }


def of_pictures(model: Model, pictures: Pictures) -> Iterator[Row]:
    """Score the pictures of a set in both directions."""
    for to in TARGETS:
        contrast = pictures.contrast if to == "mr" else None
        made = [
            drawn([source], showing(model, window), to, contrast)[0].values
            for source, window in zip(pictures.shown[OTHER[to]], pictures.windows, strict=True)
        ]
        found = []
        for image, truth, source, areas in zip(
            made, pictures.shown[to], pictures.shown[OTHER[to]], pictures.areas, strict=True
        ):
            mask = head_mask([truth.values, source.values], [GREY, GREY])
            counted = mask | invented(image, truth.values, GREY)
            found.append(slice_measures(image, truth.values, counted, areas, ct=to == "ct"))
        means = {
            name: fmean(each[name] for each in found if name in each)
            for name in SCORES
            if any(name in each for each in found)
        }
        swd = 1000 * apart(pictures.patches[to], projections(made))
        yield {"set": f"pictures, {pictures.pairs.name}", "to": to, **means, "swd": swd}


def of_lesions(model: Model, scenes: Sequence[Scene]) -> Iterator[Row]:
    """Count the lesions that are kept from each contrast."""
    for contrast in MADE:
        sources = [scene.slice.mr(contrast) for scene in scenes]
        found = [
            found_in(plane(ct), scene.slice.truth, plane(mr), scene.site, scene.slice.pixel)
            for scene, mr, ct in zip(scenes, sources, drawn(sources, model, "ct"), strict=True)
        ]
        counts = summary(found)
        yield {"set": f"lesions, {contrast}", "to": "ct", **{name: counts[name] for name in LESIONS}}


def drawn(
    sources: Sequence[Volume],
    model: Model,
    to: Modality,
    contrast: Contrast | None = None,
    places: NDArray[np.intp] | None = None,
) -> list[Volume]:
    """Translate volumes as the networks draw them, in a contrast if the model has a choice.

    Args:
        places: slices that are translated; the others stay empty (default: all).
    """
    description, told = replace(model.description, anatomy="other"), model.description.network.told
    wanted = contrast if told else None
    bare = Model(description, model.generators, model.means, contrast=wanted, window=model.window)
    seen = [frame(source, OTHER[to], model) for source in sources]
    if places is not None:
        seen = [replace(each, shown=np.intersect1d(each.shown, places)) for each in seen]
    return [done.volume for done in translate_framed(seen, bare, to)]
