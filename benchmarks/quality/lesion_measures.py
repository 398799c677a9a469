"""Measures of a lesion in a translated CT, of what a CT invents, and of the uncertainty there.

Arrays are [X, Y]. HU are limited to the brain window first, in which a lesion is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmarks.quality.pair_sets import WINDOW
from medtranslate.metrics import Values, Voxels

CLEAR_HU, CLEAR_MM2 = 6.0, 25.0
"""A clear lesion differs from the brain around it by this in the true CT, and is as large as this."""

RING_MM = (2.0, 10.0)
"""Distances from a lesion between which brain is its surroundings."""

KEPT = 0.5
"""Share of the true contrast, with its sign, from which on a lesion is kept."""

SEEN = 0.15
"""Difference from the surroundings, as a share of their brightness, from which on an MR shows a lesion."""

BONE_HU, EDGE_MM = 91.0, 2.0
"""Least HU of bone, and the edge of a collection of fluid in which bone is not counted."""

INVENTED_HU, SHOWN_HU, INVENTED_MM2, MARGIN_MM, SMOOTH_MM = 10.0, 5.0, 50.0, 3.0, 2.0
"""Least difference of an invented blob from the truth, and from the median of the translated brain; its least
area; its distance from fluid and bone; and the deviation of the Gaussian that smooths both differences."""

RISEN = 2.0
"""Times the brain's median from which on the uncertainty has risen."""

SPOTS, SPOT_TRIES = 20, 400
"""Spots elsewhere in the brain that a lesion is compared with, and places that are tried for them."""


@dataclass(frozen=True)
class Site:
    """Pixels of a lesion, and of the brain around it."""

    lesion: Voxels
    around: Voxels

    def contrast(self, ct: Values) -> float:
        """Subtract the mean of the surroundings from that of the lesion, in HU of the window."""
        seen = ct.clip(*WINDOW)
        return float(seen[self.lesion].mean() - seen[self.around].mean())


@dataclass(frozen=True)
class Found:
    """One clear lesion in a translation.

    Attributes:
        true, made: contrast in HU.
        shown: difference in the MR from the surroundings, as a share of their brightness.
        bone: share of its pixels that are made as bone, without its edge; nan if nothing is left.
        doubt: uncertainty in the lesion, in medians of the brain's; None if it was not measured.
        raw_doubt: the same of the samples alone, if the model is calibrated.
        spots: the same at other places of the brain (`spots_in`), and `raw_spots` of the samples alone.
    """

    true: float
    made: float
    shown: float
    bone: float
    doubt: float | None = None
    raw_doubt: float | None = None
    spots: tuple[float, ...] = ()
    raw_spots: tuple[float, ...] = ()

    @property
    def right_sign(self) -> bool:
        """Return True if the lesion is brighter or darker than brain as it should be."""
        return self.made * self.true > 0

    @property
    def kept(self) -> bool:
        """Return True if the lesion is seen as it should be."""
        return self.made / self.true >= KEPT

    @property
    def seen(self) -> bool:
        """Return True if the MR shows the lesion."""
        return self.shown >= SEEN


def site_of(lesion: Voxels, brain: Voxels, pixel: Sequence[float]) -> Site | None:
    """Find the surroundings of a lesion; None if it or they are too small.

    Args:
        lesion: its pixels.
        brain: pixels of brain alone, whether under the lesion or not.
        pixel: sides of a pixel in mm.
    """
    away = ndimage.distance_transform_edt(~lesion, sampling=pixel)
    site = Site(lesion, brain & (away > RING_MM[0]) & (away < RING_MM[1]))
    least = CLEAR_MM2 / np.prod(pixel)
    return site if min(site.lesion.sum(), site.around.sum()) >= least else None


def is_clear(site: Site, truth: Values) -> bool:
    return abs(site.contrast(truth)) >= CLEAR_HU


def found_in(made: Values, truth: Values, mr: Values, site: Site, pixel: Sequence[float]) -> Found:
    """Measure a lesion in a CT that was made of an MR, beside the true CT, both in HU."""
    core = ndimage.distance_transform_edt(site.lesion, sampling=pixel) > EDGE_MM
    bone = float((made[core] >= BONE_HU).mean()) if core.any() else np.nan
    brightness = float(mr[site.around].mean())
    shown = abs(float(mr[site.lesion].mean()) / brightness - 1)
    return Found(site.contrast(truth), site.contrast(made), shown, bone)


def doubt_in(uncertainty: Values, site: Site, brain: Voxels) -> float:
    """Divide the mean uncertainty in a lesion by its median in the rest of the brain."""
    rest = float(np.median(uncertainty[brain & ~site.lesion]))
    return float(uncertainty[site.lesion].mean()) / rest if rest else np.nan


def spots_in(uncertainty: Values, site: Site, brain: Voxels) -> tuple[float, ...]:
    """Divide the mean uncertainty in spots of a lesion's shape, elsewhere in the brain, by its median."""
    rest, places = brain & ~site.lesion, np.argwhere(site.lesion)
    if not rest.any():
        return ()
    median, rng, found = float(np.median(uncertainty[rest])), np.random.default_rng(0), list[float]()
    for shift in rng.integers(-min(brain.shape), min(brain.shape), (SPOT_TRIES, 2)):
        moved = places + shift
        if (moved < 0).any() or (moved >= brain.shape).any() or not rest[tuple(moved.T)].all():
            continue
        found.append(float(uncertainty[tuple(moved.T)].mean()) / median if median else np.nan)
        if len(found) == SPOTS:
            break
    return tuple(found)


def ranks(doubts: Sequence[float], spots: Sequence[float]) -> float:
    """Compute the share of pairs in which a lesion is more uncertain than a spot (area under the ROC)."""
    ours, others = np.array(doubts)[:, None], np.array(spots)[None]
    return float(np.mean(ours > others) + np.mean(ours == others) / 2)


def invented_blobs(made: Values, truth: Values, brain: Voxels, pixel: Sequence[float]) -> list[float]:
    """List the areas in mm2 of blobs in the brain that the true CT has not.

    The difference is smoothed, and its median over the brain is subtracted: a brain that is too bright
    everywhere is no lesion. Where the translation is as bright as its brain is, it has lost what the truth
    shows, such as bright grey matter, and has invented nothing.

    Args:
        brain: pixels of brain alone; those near others are left out.
    """
    inside = ndimage.distance_transform_edt(brain, sampling=pixel) > MARGIN_MM
    if not inside.any():
        return []
    sigma = SMOOTH_MM / np.array(pixel)
    weight = np.maximum(ndimage.gaussian_filter(brain.astype(np.float32), sigma), 1e-6)

    def smooth(image: Values) -> Values:
        # Only brain is averaged, so that a blurred ventricle does not count.
        found: Values = ndimage.gaussian_filter(np.where(brain, image, 0.0), sigma) / weight
        found -= np.median(found[inside])
        return found

    shown = made.clip(*WINDOW)
    wrong, own = smooth(shown - truth.clip(*WINDOW)), smooth(shown)
    areas: list[float] = []
    for sign in (1, -1):
        blobs, _ = ndimage.label(inside & (sign * wrong > INVENTED_HU) & (sign * own > SHOWN_HU))
        areas += [float(size * np.prod(pixel)) for size in np.bincount(blobs.ravel())[1:]]
    return [area for area in areas if area >= INVENTED_MM2]


def summary(found: Iterable[Found]) -> dict[str, float]:
    """Average the lesions of a kind and contrast; shares are in per cent, doubts are medians."""
    every = list(found)
    lost = [one for one in every if not one.kept]
    means = {
        "clear": float(len(every)),
        "true HU": _mean(one.true for one in every),
        "made HU": _mean(one.made for one in every),
        "right sign": _share(one.right_sign for one in every),
        "kept": _share(one.kept for one in every),
        "seen": _share(one.seen for one in every),
        "kept of seen": _share(one.kept for one in every if one.seen),
        "as bone": 100 * _mean(one.bone for one in every if np.isfinite(one.bone)),
    }
    for prefix, doubts, spots in (
        ("", [one.doubt for one in lost if one.doubt is not None], [at for one in lost for at in one.spots]),
        (
            "raw ",
            [one.raw_doubt for one in lost if one.raw_doubt is not None],
            [at for one in lost for at in one.raw_spots],
        ),
    ):
        means[f"{prefix}doubt"] = float(np.median(doubts)) if doubts else np.nan
        means[f"{prefix}doubled"] = _share(doubt >= RISEN for doubt in doubts)
        means[f"{prefix}elsewhere"] = _share(at >= RISEN for at in spots)
        means[f"{prefix}rank"] = 100 * ranks(doubts, spots) if doubts and spots else np.nan
    return {name: value for name, value in means.items() if np.isfinite(value)}


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return float(np.mean(every)) if every else np.nan


def _share(values: Iterable[bool]) -> float:
    return 100 * _mean(values)
