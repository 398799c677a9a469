"""Rules by which a pair is scored: what compares at all, the range, the scale, and what is warned of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medtranslate.errors import InputRefused, SettingsError
from medtranslate.io import Volume
from medtranslate.metrics import (
    PROFILES,
    SCHNEIDER,
    SSIM_WINDOW,
    WHOLE_CT,
    Range,
    Values,
    Voxels,
    covers,
    foreground_top,
    onto_range,
    percentile_range,
)
from medtranslate.metrics.window_tells import seems_other
from medtranslate.records import Densities, ModelInfo, Scores, Translation

PILED_UP = 0.01
"""Share of the voxels that a window piles up at each of its ends."""
PERCENTILES = "0.5 to 99.5 percentile of the reference inside the mask"
FIXED = "fixed by the profile; PSNR and similarity are those of both images clipped to it, MAE is not clipped"


@dataclass(frozen=True, kw_only=True)
class ScoringRules:
    """Rules by which a pair is scored.

    Attributes:
        profile: definition of the scores, a key of `metrics.PROFILES`.
        data_range: lowest and highest value that scores refer to (default: the profile's rule).
        resample_reference: bring reference and mask onto the prediction's grid where theirs differ; voxels
            that the reference does not reach are not scored.
        register: "rigid" finds the reference's place by mutual information and resamples it there.
        missing_is_air: what a smaller prediction leaves out of the reference is scored as air.
        unmasked: score every voxel beside those in the mask.
        densities: relative electron densities of the water-equivalent path lengths.
    """

    profile: str = "image"
    data_range: Range | None = None
    resample_reference: bool = False
    register: Literal["none", "rigid"] = "none"
    missing_is_air: bool = False
    unmasked: bool = False
    densities: Densities = SCHNEIDER


def check_pair(volumes: Mapping[str, Volume], rules: ScoringRules, model: ModelInfo | None) -> None:
    """Refuse volumes that do not compare by these rules.

    Raises:
        InputRefused: modalities or grey levels differ; the profile is for CT in HU and the volumes, or what
            the model can say, are not; or an uncertainty is negative.
        SettingsError: a range is given and the profile fixes its own.
    """
    _check_kind(volumes["prediction"], volumes["reference"], model)
    _check_profile(rules, volumes, model)
    _check_uncertainty(volumes)


def _check_kind(prediction: Volume, reference: Volume, model: ModelInfo | None) -> None:
    """Demand one modality, as far as it is known, and pictures of one depth, or volumes."""
    names = f"prediction ({prediction.name}) and reference ({reference.name})"
    ours = prediction.meta.modality or (model and model.to)
    theirs = reference.meta.modality
    if ours and theirs and ours != theirs:
        raise InputRefused(f"{names} are {ours} and {theirs}; give a reference of the prediction's modality")
    levels = [volume.meta.levels for volume in (prediction, reference)]
    if levels[0] != levels[1]:
        kinds = " and ".join(
            f"a picture with grey levels up to {top}" if top else "a volume" for top in levels
        )
        raise InputRefused(f"{names} are {kinds}, whose values do not compare; convert one of them")


def _check_profile(rules: ScoringRules, volumes: Mapping[str, Volume], model: ModelInfo | None) -> None:
    """Hold a profile of the whole CT range to CT in HU that can hold it."""
    profile = rules.profile
    if PROFILES[profile].hu_range is None:
        return
    if rules.data_range:
        raise SettingsError(f"--range: the profile {profile} fixes its own range; leave --range out")
    for role in ("prediction", "reference"):
        volume = volumes[role]
        if volume.is_picture or volume.meta.modality == "mr":
            kind = "a picture" if volume.is_picture else "an MR"
            raise InputRefused(
                f"{role} ({volume.name}): is {kind}, the profile {profile} is for CT in HU; use the"
                " profile image"
            )
    if model and not covers(model.output_range, WHOLE_CT):
        low, high = model.output_range
        raise InputRefused(
            f"prediction ({volumes['prediction'].name}): the model {model.name} can say {low:g} to {high:g}"
            f" {model.unit} only, and the profile {profile} scores {WHOLE_CT[0]:g} to {WHOLE_CT[1]:g} HU: not"
            " representable, so not scored; use the profile image"
        )


def _check_uncertainty(volumes: Mapping[str, Volume]) -> None:
    """Demand values in the prediction's unit of an uncertainty map, where there is one."""
    if (given := volumes.get("uncertainty")) is None:
        return
    name = f"uncertainty ({given.name})"
    if (lowest := float(given.values.min())) < 0:
        raise InputRefused(
            f"{name}: holds {lowest:g}; give standard deviations or error limits, which are not negative"
        )
    if given.meta.levels != volumes["prediction"].meta.levels:
        raise InputRefused(
            f"{name}: grey levels and volumes do not compare; give it in the prediction's unit"
        )


def declared_range(
    rules: ScoringRules, levels: int | None, model: ModelInfo | None
) -> tuple[Range, str] | None:
    """Range that is known before looking at the values, and the rule that it comes from."""
    fixed = PROFILES[rules.profile].hu_range
    if fixed:
        return fixed, FIXED
    if rules.data_range:
        return rules.data_range, "given; both images are clipped to it"
    if levels:
        return (0.0, float(levels)), "grey levels of the pictures"
    if model:
        rule = f"output range that the model {model.name} declares; both images are clipped to it"
        return model.output_range, rule
    return None


def levels_range(volume: Volume | None) -> Range | None:
    """Range of a picture's grey levels; None for a volume."""
    levels = volume.meta.levels if volume is not None else None
    return (0.0, float(levels)) if levels else None


def seen_range(volume: Values, mask: Voxels, what: str) -> Range:
    """`percentile_range` inside the mask; (0, 1) for an empty mask, where nothing is scored.

    Raises:
        InputRefused: the range is empty.
    """
    if not mask.any():
        return 0.0, 1.0
    low, high = percentile_range(volume, mask)
    if not low < high:
        raise InputRefused(
            f"{what}: is {low:g} all over the mask, so its range is empty; give --range or --mask"
        )
    return low, high


def on_model_scale(reference: Values, field: Voxels | None, model: ModelInfo) -> tuple[Values, str]:
    """Bring a true MR to the scale that a model's MR has, by the rule that the model was trained with.

    MR values have no unit: the percentile of the reference's own foreground becomes the upper end of the
    model's output range, one number per volume, as in `medtranslate.transforms.normalise`.

    Args:
        reference: [X, Y, Z] on any scale.
        field: its field of view, outside which nothing counts; None for all of it.
        model: into MR; where its percentile is not recorded, the reference stays as it is.

    Returns:
        The reference, and what was done in words.

    Raises:
        InputRefused: the reference has no foreground.
    """
    if model.mr_percentile is None:
        return reference, "as stored: how the model scales MR is not recorded; name it with --model"
    low, high = model.output_range
    inside = reference if field is None else reference[field]
    top = foreground_top(inside, model.mr_percentile, "reference")
    note = (
        f"brought to the scale of the model {model.name}: 0 to {top:g} (the {model.mr_percentile:g}"
        f" percentile of its foreground) became {low:g} to {high:g}, values above saturate"
    )
    return onto_range(reference, top, model.output_range), note


def warn_windowed(prediction: Values, reference: Values) -> list[str]:
    """Warn of a prediction that ends at a window, where nothing says that it does.

    Args:
        prediction: [X, Y, Z], of no known model.
        reference: likewise.
    """
    low, high = float(prediction.min()), float(prediction.max())
    ends = [float(np.mean(prediction == value)) for value in (low, high)]
    if min(ends) < PILED_UP or high - low > np.ptp(reference) / 2:
        return []
    return [
        f"the prediction ends at {low:g} and {high:g}, where {ends[0]:.0%} and {ends[1]:.0%} of its voxels"
        " lie, as one of a windowed model does, and no record beside it says so: give --range"
        f" {low:g} {high:g}, and --modality"
    ]


def warn_outside(reference: Values, mask: Voxels, ends: Range) -> list[str]:
    """Warn of values of the reference that a declared range cuts off."""
    inside = reference[mask]
    outside = np.count_nonzero((inside < ends[0]) | (inside > ends[1]))
    if not outside:
        return []
    return [
        f"{outside / inside.size:.1%} of the reference's voxels in the mask lie outside {ends[0]:g} to"
        f" {ends[1]:g} and were clipped: scores that need them are not representable and not reported"
    ]


def warn_source(source: Volume | None, translation: Translation | None) -> list[str]:
    """Warn of a source that is not the one in the translation's record.

    A digest tells only files of one format apart: the same image in another, such as a stack of pictures or
    a resampled series that was converted, has another digest. A de-identified record has none.
    """
    if source is None or translation is None or translation.source.digest is None:
        return []
    found, recorded = source.meta.digest or "", translation.source.digest
    if found == recorded or source.meta.format != translation.source.format:
        return []
    return [
        f"source ({source.name}): is not the volume that was translated (SHA-256 {found[:12]}..., recorded"
        f" {recorded[:12]}...), so the scores of doing nothing are not those of this translation; give the"
        " one that was"
    ]


def warn_window(reference: Volume, translation: Translation | None) -> list[str]:
    """Warn of a CT picture whose brain and fluid tell another window than that of its translation."""
    if not (translation and translation.window and translation.model.to == "ct" and reference.meta.levels):
        return []
    if not seems_other(reference.values, reference.meta.levels, translation.window):
        return []
    black, white = translation.window
    return [
        "the reference seems to have another window than the prediction, whose black and white are"
        f" {black:g} and {white:g} HU; translate with --window LEVEL WIDTH of the reference, often 40 80"
    ]


def warn_constant(prediction: Values, reference: Values, mask: Voxels) -> list[str]:
    """Warn of a prediction that shows nothing where the reference shows something."""
    values = prediction[mask]
    if not values.size or np.ptp(values) or not np.ptp(reference[mask]):
        return []
    return [
        f"the prediction holds one value only, {values[0]:g}, all over the mask: it shows nothing, whatever"
        " its scores"
    ]


def warn_small(scores: Scores, mask: Voxels) -> list[str]:
    """Warn of slices that are too small for a similarity."""
    if "ssim" in scores or "ms_ssim" in scores or not mask.any():
        return []
    sides = " x ".join(map(str, mask.shape[:2]))
    return [f"slices of {sides} are smaller than the window of {SSIM_WINDOW}: SSIM not measured"]
