"""Measures how far a translation moves, loses or invents anatomy, on phantom pairs whose truth is known.

Slices are [B, 1, S, S] in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation
from torch import Tensor
from torch.nn import functional

from medtranslate import phantom
from medtranslate.config import Modality, NetworkSettings, ScaleSettings, StreamContrast
from medtranslate.transforms import AIR, find_frame, into_frame, isolate, mr_top, scale_ct, scale_mr

SHIFTS = ((0, 0), (3, -2), (-1, 4))
"""Rows and columns by which sources are moved."""

CLEAR = 3.0
"""Contrast-to-noise ratio in the source from which a lesion has to be there in the translation."""

THERE = 0.25
"""Share of the lesion's true contrast that a translation must show at least."""

SUBTLE = 0.1
"""Contrast in [-1, 1] below which the truth itself shows no lesion, so that it has no sign."""

SMALLEST = 5
"""Pixels of a lesion at least."""

FOREIGN = 0.3
"""Contrast in [-1, 1] from which a spot that the truth does not have is an invented lesion."""

Image = NDArray[np.float32]

Translate = Callable[[Tensor], Tensor]


def displacement(translate: Translate, sources: Tensor, truths: Tensor) -> tuple[float, float]:
    """Measure how far translations lie from their truth, in pixels: median and 95th percentile.

    Sources are moved by the known `SHIFTS`; a translation that moves with them is at the truth so moved. The
    distance is the peak of their cross-correlation, to a twentieth of a pixel (Guizar-Sicairos et al.,
    "Efficient subpixel image registration algorithms", Optics Letters 33, 2008).
    """
    found = []
    for shift in SHIFTS:
        made = translate(moved(sources, shift))
        for one, truth in zip(made[:, 0].numpy(), moved(truths, shift)[:, 0].numpy(), strict=True):
            lag, _, _ = phase_cross_correlation(truth + 1, one + 1, upsample_factor=20, normalization=None)
            found.append(float(np.hypot(*lag)))
    return float(np.median(found)), float(np.percentile(found, 95))


def moved(slices: Tensor, shift: tuple[int, int]) -> Tensor:
    """Move slices by rows and columns; air comes in."""
    rows, columns = shift
    # Negative padding crops.
    return functional.pad(slices, (columns, -columns, rows, -rows), value=AIR)


@dataclass(frozen=True)
class Twins:
    """The same slices with lesions and without, CT and MR, all in the frame of the former's CT."""

    ct: Tensor
    mr: Tensor
    healthy_ct: Tensor
    healthy_mr: Tensor

    def of(self, modality: Modality) -> tuple[Tensor, Tensor]:
        """Return the slices of a modality with lesions, and without."""
        return (self.ct, self.healthy_ct) if modality == "ct" else (self.mr, self.healthy_mr)


@cache
def twins(
    seed: int, count: int, network: NetworkSettings, scale: ScaleSettings, contrast: StreamContrast
) -> Twins:
    """Draw phantom slices with lesions and without."""
    ill, well = (
        phantom.slices(seed, count, network.size, contrast=contrast, lesions=lesions)
        for lesions in (True, False)
    )
    framed = []
    for index in range(count):
        one = slice(index, index + 1)
        top = mr_top(ill.mr[one], scale.mr_percentile)
        ct = scale_ct(torch.cat([ill.ct[one], well.ct[one]]), scale.ct_curve)
        mr = scale_mr(torch.cat([ill.mr[one], well.mr[one]]), top)
        frame, head = find_frame(ct[:1], "ct", network.margin, scale=scale)
        framed.append([into_frame(isolate(image[None], head), frame, network.size) for image in (*ct, *mr)])
    first, second, third, fourth = (torch.cat(images) for images in zip(*framed, strict=True))
    return Twins(ct=first, healthy_ct=second, mr=third, healthy_mr=fourth)


@dataclass(frozen=True)
class Lesions:
    """How many lesions a translation had to show and shows, and how many slices show one that is not there.

    Attributes:
        contrast: median over lesions of their contrast in the translation over that in the truth.
        slices: those in which a brain is seen.
    """

    clear: int
    kept: int
    contrast: float
    slices: int
    invented: int


def lesions(made: Tensor, healthy_made: Tensor, pairs: Twins, to: Modality) -> Lesions:
    """Count lesions kept with the right sign, and invented ones, in translations of twins.

    A slice and its healthy twin differ by the lesion alone, for they have the same noise. A lesion is a
    connected place, brighter or darker than the twin by `CLEAR` times the source's noise, whose mean
    differs by `SUBTLE` in the truth. It is kept where the translations of the twins differ there with the
    truth's sign, by `THERE` of its contrast. Invented are spots in the translation of a healthy brain
    (`invented`).
    """
    source, healthy_source = (_planes(slices) for slices in pairs.of("mr" if to == "ct" else "ct"))
    truth, healthy_truth = (_planes(slices) for slices in pairs.of(to))
    changes = [source - healthy_source, truth - healthy_truth, _planes(made - healthy_made)]
    shares, spots = [], []
    for index, ct in enumerate(_planes(pairs.healthy_ct)):
        inside = brain(ct)
        if not inside.any():
            continue
        seen, expected, shown = (change[index] for change in changes)
        level = CLEAR * noise(healthy_source[index], inside)
        for place in (*_places(seen > level), *_places(seen < -level)):
            if abs(expected[place].mean()) > SUBTLE:
                shares.append(float(shown[place].mean() / expected[place].mean()))
        spots.append(invented(_planes(healthy_made)[index], healthy_truth[index], inside))
    return Lesions(
        clear=len(shares),
        kept=sum(share >= THERE for share in shares),
        contrast=float(np.median(shares)) if shares else float("nan"),
        slices=len(spots),
        invented=sum(spots),
    )


def noise(image: Image, inside: NDArray[np.bool_]) -> float:
    """Estimate noise: the deviation of what a 3 x 3 mean takes away, by the median, which few edges move.

    1.4826 times the median of normal numbers' sizes is their deviation; a mean of nine with the pixel itself
    among them leaves 8/9 of its variance.
    """
    rest = np.abs(image - ndimage.uniform_filter(image, 3))[inside]
    return float(1.4826 * np.median(rest) / np.sqrt(8 / 9))


def invented(made: Image, truth: Image, inside: NDArray[np.bool_]) -> bool:
    """Tell if a translation [S, S] shows a spot that its truth does not have.

    Blurred edges and a level that is off everywhere are errors of another kind. So the mean over 5 x 5
    pixels must differ by `FOREIGN` more than it does in the median, where the truth itself is even (its mean
    varies by less than a third of that in the same pixels), over at least `SMALLEST` connected pixels.
    """
    error, mean = ndimage.uniform_filter(made - truth, 5), ndimage.uniform_filter(truth, 3)
    uneven = ndimage.maximum_filter(mean, 5) - ndimage.minimum_filter(mean, 5)
    off = np.abs(error - np.median(error[inside])) > FOREIGN
    return bool(_places(off & inside & (uneven < FOREIGN / 3)))


def brain(ct: Image) -> NDArray[np.bool_]:
    """Find the largest place inside the skull of a CT slice [S, S] in a brain window, away from bone."""
    soft = ndimage.binary_erosion((ct > -0.9) & (ct < 0.6), iterations=2)
    places = _places(soft)
    return max(places, key=np.count_nonzero) if places else np.zeros_like(soft)


def _places(seen: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Find connected places of at least `SMALLEST` pixels."""
    labels, count = ndimage.label(seen)
    places = (labels == label for label in range(1, count + 1))
    return [place for place in places if np.count_nonzero(place) >= SMALLEST]


def _planes(slices: Tensor) -> Image:
    planes: Image = slices[:, 0].float().numpy()
    return planes
