"""Measures of a translated slice beside its truth, in grey values of the pair's window, 0 to 255.

Arrays are [X, Y, 1], as `read_volume` gives a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.exposure import match_histograms

from medtranslate.metrics import Values, Voxels, mae, score

GREY = (0.0, 255.0)

BONE = 235.0
"""Least grey value of bone: 91 HU in the brain window."""

FLUID, SMOOTH = 20.0, 2.0
"""Fluid is darker than the median inside the skull by this, in a picture smoothed by this sigma in mm."""

MARGIN = 12.0
"""Millimetres from bone to the inside of the skull, so that fluid is that of ventricles and wide cisterns."""

SCALES, SHIFT = (0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08), 6
"""Scales, and pixels each way, of the moves after which bone is compared once more."""

LEAST_FLUID = 100.0
"""Square millimetres of fluid in a slice that is measured."""


@dataclass(frozen=True)
class Areas:
    """Parts of the true CT: the inside of the skull, its fluid, and its brain, which is the rest."""

    inside: Voxels
    fluid: Voxels
    brain: Voxels
    pixel_mm: float = 1.0

    @property
    def shows_fluid(self) -> bool:
        """Return True for a slice in which fluid is measured."""
        return float(self.fluid.sum()) * self.pixel_mm**2 >= LEAST_FLUID and bool(self.brain.any())


def areas_of(ct: Values, pixel_mm: float = 1.0, margin_mm: float = MARGIN) -> Areas:
    """Find fluid and brain in a true CT; a picture's pixels are taken for millimetres."""
    bone = ct >= BONE
    rim = ndimage.binary_dilation(bone, _IN_PLANE, iterations=max(1, round(margin_mm / pixel_mm)))
    inside = _filled(bone) & ~rim
    fluid = fluid_in(ct, inside, pixel_mm)
    return Areas(inside, fluid, inside & ~fluid, pixel_mm)


def fluid_in(ct: Values, inside: Voxels, pixel_mm: float) -> Voxels:
    """Select what is darker than the median inside the skull."""
    if not inside.any():
        return inside
    found: Voxels = inside & (blurred(ct, SMOOTH / pixel_mm) < np.median(ct[inside]) - FLUID)
    return found


def slice_measures(
    made: Values, truth: Values, mask: Voxels, areas: Areas, *, ct: bool, apart: Move | None = None
) -> dict[str, float]:
    """Measure one slice.

    Args:
        made: a translation or a rung.
        truth: the scan that it stands for.
        mask: the scored pixels, without what `made` invents (`medtranslate.evaluation.masking`).
        areas: of the true CT, whatever the direction.
        ct: both are CT, so bone and the extent of fluid are measured, and each is aligned by its own bone.
        apart: of MR, the move from its place to that of the CT which it is made of.

    Returns:
        Measures by name; those that the slice has not are missing.
    """
    found: dict[str, float | None] = {
        **{name: value for name, value in score(made, truth, mask, GREY)[0].items() if name != "psnr"},
        "mae matched": mae(matched(made, truth, mask), truth, mask),
        "gradient": gradient_correlation(made, truth, mask),
    }
    if areas.shows_fluid:
        found["fluid"] = fluid_less_brain(made, areas)
        found["true fluid"] = fluid_less_brain(truth, areas)
    if apart:
        found["mae aligned"] = mae(apart.back_on(made), truth, mask)
    if ct:
        found["bone"] = dice(made >= BONE, truth >= BONE)
        moved = aligned(made, truth)
        found["bone aligned"] = dice(moved >= BONE, truth >= BONE)
        found["mae aligned"] = mae(moved, truth, mask)
        if areas.shows_fluid:
            ours = fluid_in(made, areas.inside, areas.pixel_mm)
            found["fluid dice"] = dice(ours, areas.fluid)
            found["shared fluid"] = fluid_apart(made, truth, ours & areas.fluid, areas.pixel_mm)
    return {name: float(value) for name, value in found.items() if value is not None}


def fluid_less_brain(values: Values, areas: Areas) -> float:
    """Subtract the mean of brain from that of fluid in the smoothed picture."""
    values = blurred(values, SMOOTH / areas.pixel_mm)
    return float(values[areas.fluid].mean() - values[areas.brain].mean())


def fluid_apart(made: Values, truth: Values, shared: Voxels, pixel_mm: float) -> float | None:
    """Subtract true fluid from made fluid where both are fluid, in smoothed pictures; None for too little."""
    if float(shared.sum()) * pixel_mm**2 < LEAST_FLUID:
        return None
    sigma = SMOOTH / pixel_mm
    return float((blurred(made, sigma) - blurred(truth, sigma))[shared].mean())


def dice(ours: Voxels, theirs: Voxels) -> float | None:
    """Compute 2 |A and B| / (|A| + |B|); None if both are empty."""
    total = int(ours.sum() + theirs.sum())
    return 2 * int((ours & theirs).sum()) / total if total else None


def matched(made: Values, truth: Values, mask: Voxels) -> Values:
    """Give a translation the truth's histogram inside the mask, which parts anatomy from contrast."""
    found = made.copy()
    found[mask] = match_histograms(made[mask], truth[mask])
    return found


def gradient_correlation(made: Values, truth: Values, mask: Voxels) -> float | None:
    """Correlate the gradients along each axis of the plane, and average the two.

    Penney et al., "A comparison of similarity measures for use in 2-D-3-D medical image registration", IEEE
    TMI 17(4), 1998; Sobel filters. None if an image is constant along an axis.
    """
    found = []
    for axis in (0, 1):
        ours, theirs = (ndimage.sobel(values[:, :, 0], axis)[mask[:, :, 0]] for values in (made, truth))
        if not (np.ptp(ours) and np.ptp(theirs)):
            return None
        found.append(float(np.corrcoef(ours, theirs)[0, 1]))
    return float(np.mean(found))


def blurred(values: Values, sigma: float) -> Values:
    """Blur a slice by a Gaussian, sigma in pixels."""
    made: Values = ndimage.gaussian_filter(values, (sigma, sigma, 0))
    return made


def shifted(values: Values, pixels: int) -> Values:
    """Shift a slice along its rows."""
    return np.roll(values, pixels, axis=0)


def interval(cases: Mapping[str, Sequence[float]]) -> list[float]:
    """Return the mean over slices, and 95 % of 2,000 bootstraps in which whole cases are drawn."""
    sums, counts = (np.array([size(values) for values in cases.values()]) for size in (sum, len))
    drawn = np.random.default_rng(0).integers(len(sums), size=(2_000, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (2.5, 97.5))
    return [round(float(value), 3) for value in (sums.sum() / counts.sum(), low, high)]


@dataclass(frozen=True)
class Move:
    """A scale of slices [X, Y, 1] about their middle, then a shift in pixels along both axes."""

    scale: float = 1.0
    rows: int = 0
    columns: int = 0

    def on(self, values: Values) -> Values:
        """Move a slice."""
        if self == Move():
            return values
        shifted = ndimage.shift(_scaled(values, self.scale), (self.rows, self.columns), order=0)
        moved: Values = shifted[:, :, None]
        return moved

    def back_on(self, values: Values) -> Values:
        """Move a slice by the inverse."""
        shifted = ndimage.shift(values[:, :, 0], (-self.rows, -self.columns), order=0)
        moved: Values = _scaled(shifted[:, :, None], 1 / self.scale)[:, :, None]
        return moved


def aligned(made: Values, truth: Values) -> Values:
    """Move a slice by the one of some shifts and scales about its middle after which bone fits best."""
    return fitting_move(made, truth).on(made)


def fitting_move(made: Values, truth: Values) -> Move:
    """Find the one of some shifts and scales of a CT after which its bone fits the true one best.

    Pairs of pictures are rarely of one plane and scale. What fits after such a move has the right shape, and
    lies where the MR has it. The move is chosen by the Dice of bone alone.
    """
    there = (truth[:, :, 0] >= BONE).astype(np.float32)
    spectrum = np.fft.rfft2(there)
    best, found = 0.0, Move()
    for scale in SCALES:
        here = (_scaled(made, scale) >= BONE).astype(np.float32)
        if total := float(here.sum() + there.sum()):
            shared = np.fft.irfft2(spectrum * np.conj(np.fft.rfft2(here)), s=there.shape)
            near = np.roll(shared, (SHIFT, SHIFT), (0, 1))[: 2 * SHIFT + 1, : 2 * SHIFT + 1]
            if (fit := 2 * float(near.max()) / total) > best:
                rows, columns = np.array(np.unravel_index(near.argmax(), near.shape)) - SHIFT
                best, found = fit, Move(scale, int(rows), int(columns))
    return found


def _scaled(values: Values, scale: float) -> Values:
    """Scale a slice [X, Y, 1] about its middle, to [X, Y]."""
    middle = (np.array(values.shape[:2]) - 1) / 2
    scaled: Values = ndimage.affine_transform(
        values[:, :, 0], np.eye(2) / scale, middle * (1 - 1 / scale), order=1
    )
    return scaled


_IN_PLANE: NDArray[np.bool_] = ndimage.generate_binary_structure(2, 1)[:, :, None]


def _filled(bone: Voxels) -> Voxels:
    filled: Voxels = ndimage.binary_fill_holes(bone[:, :, 0])[:, :, None]
    return filled
