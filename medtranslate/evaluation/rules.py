"""The rules that a pair is scored by: what compares at all, the range, the scale and the mask."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor

from medtranslate.config import ScaleSettings
from medtranslate.errors import InputRefused, SettingsError
from medtranslate.evaluation.alignment import where
from medtranslate.metrics import (
    PROFILES,
    SSIM_WINDOW,
    WHOLE_CT,
    Range,
    Volume,
    Voxels,
    blank_slices,
    covers,
    invented,
    percentile_range,
)
from medtranslate.records import ModelInfo, Scores, Translation
from medtranslate.transforms import denormalise, mr_top, scale_mr

PILED_UP = 0.01
"""Share of the voxels that a window piles up at each of its ends."""
LARGEST_HEAD = 0.8
"""Share of the image above which a mask can't be a head: an ellipse fills pi/4 of its bounding box."""
PERCENTILES = "0.5 to 99.5 percentile of the reference inside the mask"
FIXED = "fixed by the profile; PSNR and similarity are those of both images clipped to it, MAE is not clipped"


def check_kind(prediction: MetaTensor, reference: MetaTensor, model: ModelInfo | None) -> None:
    """Same modality as far as it is known; both pictures of one depth, or neither.

    Raises:
        InputRefused: says what the two are.
    """
    names = f"prediction ({where(prediction)}) and reference ({where(reference)})"
    ours = prediction.meta.get("modality") or (model and model.to)
    theirs = reference.meta.get("modality")
    if ours and theirs and ours != theirs:
        raise InputRefused(f"{names} are {ours} and {theirs}; give a reference of the prediction's modality")
    levels = [volume.meta.get("levels") for volume in (prediction, reference)]
    if levels[0] != levels[1]:
        kinds = " and ".join(
            f"a picture with grey levels up to {top}" if top else "a volume" for top in levels
        )
        raise InputRefused(f"{names} are {kinds}, whose values do not compare; convert one of them")


def check_profile(
    profile: str, volumes: Mapping[str, MetaTensor], given: Range | None, model: ModelInfo | None
) -> None:
    """A profile of the whole CT range scores CT in HU that can hold it, and nothing else.

    Raises:
        InputRefused: an MR, a picture, or the translation of a model whose output range is a part of it.
        SettingsError: a range is given.
    """
    if PROFILES[profile].hu_range is None:
        return
    if given:
        raise SettingsError(f"--range: the profile {profile} fixes its own range; leave --range out")
    for role in ("prediction", "reference"):
        meta = volumes[role].meta
        if "levels" in meta or meta.get("modality") == "mr":
            kind = "a picture" if "levels" in meta else "an MR"
            raise InputRefused(
                f"{role} ({where(volumes[role])}): is {kind}, the profile {profile} is for CT in HU; use the"
                " profile image"
            )
    if model and not covers(model.output_range, WHOLE_CT):
        low, high = model.output_range
        raise InputRefused(
            f"prediction ({where(volumes['prediction'])}): the model {model.name} can say {low:g} to {high:g}"
            f" {model.unit} only, and the profile {profile} scores {WHOLE_CT[0]:g} to {WHOLE_CT[1]:g} HU: not"
            " representable, so not scored; use the profile image"
        )


def check_uncertainty(volumes: Mapping[str, MetaTensor]) -> None:
    """An uncertainty map, where there is one, holds standard deviations in the prediction's unit.

    Raises:
        InputRefused: a value is negative, or it alone (or the prediction alone) is a picture.
    """
    if (given := volumes.get("uncertainty")) is None:
        return
    name = f"uncertainty ({where(given)})"
    if (lowest := float(given.min())) < 0:
        raise InputRefused(f"{name}: holds {lowest:g}; give standard deviations, which are not negative")
    if given.meta.get("levels") != volumes["prediction"].meta.get("levels"):
        raise InputRefused(
            f"{name}: grey levels and volumes do not compare; give it in the prediction's unit"
        )


def declared_range(
    profile: str, given: Range | None, levels: int | None, model: ModelInfo | None
) -> tuple[Range, str] | None:
    """The range that is known before looking at the values, and the rule it is from."""
    fixed = PROFILES[profile].hu_range
    if fixed:
        return fixed, FIXED
    if given:
        return given, "given; both images are clipped to it"
    if levels:
        return (0.0, float(levels)), "grey levels of the pictures"
    if model:
        rule = f"output range that the model {model.name} declares; both images are clipped to it"
        return model.output_range, rule
    return None


def levels_range(volume: MetaTensor | None) -> Range | None:
    """The grey levels of a picture."""
    levels = volume.meta.get("levels") if volume is not None else None
    return (0.0, float(levels)) if levels else None


def seen_range(volume: Volume, mask: Voxels, what: str) -> Range:
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


def on_model_scale(reference: Volume, field: npt.NDArray[np.bool_], model: ModelInfo) -> tuple[Volume, str]:
    """A true MR on the scale that a model's MR has, by the rule that the model was trained with.

    MR values have no unit: the percentile of the reference's own foreground becomes the upper end of the
    model's output range, one number per volume, as in `medtranslate.transforms.normalise`.

    Args:
        reference: [X, Y, Z] on any scale.
        field: its field of view; what lies outside plays no part.
        model: into MR; where its percentile is not recorded, the reference stays as it is.

    Returns:
        The reference, and what was done in words.

    Raises:
        InputRefused: the reference has no foreground.
    """
    if model.mr_percentile is None:
        return reference, "as stored: how the model scales MR is not recorded; name it with --model"
    low, high = model.output_range
    values = torch.from_numpy(reference)
    top = mr_top(values[torch.from_numpy(field)] if field.ndim else values, model.mr_percentile, "reference")
    scale = ScaleSettings(mr_percentile=model.mr_percentile, mr_range=model.output_range)
    note = (
        f"brought to the scale of the model {model.name}: 0 to {top:g} (the {model.mr_percentile:g}"
        f" percentile of its foreground) became {low:g} to {high:g}, values above saturate"
    )
    return denormalise(scale_mr(values, top), "mr", scale).numpy(), note


def scored_voxels(
    arrays: Mapping[str, Volume],
    ranges: Mapping[str, Range | None],
    field: npt.NDArray[np.bool_],
    profile: str,
) -> tuple[Voxels, str, list[str]]:
    """The voxels that count, the rule in words, and what is odd about them.

    What a prediction shows where its reference shows nothing counts, and slices in which both show nothing do
    not, unless the profile is one that others have defined.

    Args:
        arrays: volumes by role; `mask` where it was given.
        ranges: of the roles that a profile may take a mask from, the reference first; None where not known.
        field: where there is a reference.
        profile: whose rule is taken without a mask.
    """
    if "mask" in arrays:
        mask, rule = (arrays["mask"] > 0) & field, "given: voxels above 0"
    else:
        definition = PROFILES[profile]
        roles = [role for role in ranges if role in arrays]
        seen = [ranges[role] or percentile_range(arrays[role]) for role in roles]
        mask = definition.mask([arrays[role] for role in roles], seen)
        if not definition.hu_range:
            mask |= invented(arrays["prediction"], arrays["reference"], seen[0])
        mask &= field
        rule = definition.mask_rule
    if not PROFILES[profile].hu_range:
        idle = mask.any(axis=(0, 1)) & _background(arrays, ranges["reference"])
        mask[..., idle] = False
        rule += f"; without {idle.sum()} slices of pure background" if idle.any() else ""
    if not mask.any():
        return mask, rule, ["no voxel lies in the mask: nothing was scored"]
    share = float(mask.mean())
    if "mask" in arrays or PROFILES[profile].hu_range or share <= LARGEST_HEAD:
        return mask, rule, []
    odd = (
        f"the head mask covers {share:.0%} of the image, more than a head can: background is scored with"
        " it, which flatters; give --mask"
    )
    return mask, rule, [odd]


def warn_windowed(prediction: Volume, reference: Volume) -> list[str]:
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


def _background(arrays: Mapping[str, Volume], declared: Range | None) -> npt.NDArray[np.bool_]:
    """Slices in which neither prediction nor reference shows anything; none if the reference is constant."""
    low, high = declared or percentile_range(arrays["reference"])
    found = blank_slices([arrays["prediction"], arrays["reference"]], (low, high))
    return found & (low < high)


def warn_outside(reference: Volume, mask: Voxels, ends: Range) -> list[str]:
    """What a declared range leaves unsaid about the reference."""
    inside = reference[mask]
    outside = np.count_nonzero((inside < ends[0]) | (inside > ends[1]))
    if not outside:
        return []
    return [
        f"{outside / inside.size:.1%} of the reference's voxels in the mask lie outside {ends[0]:g} to"
        f" {ends[1]:g} and were clipped: scores that need them are not representable and not reported"
    ]


def warn_source(source: MetaTensor | None, translation: Translation | None) -> list[str]:
    """A source, as it was read from its file, that is not the one which the translation's record names.

    A digest tells only files of one format apart: the same image in another, such as a stack of pictures or
    a resampled series that was converted, has another digest. A de-identified record has none.
    """
    if source is None or translation is None or translation.source.digest is None:
        return []
    found, recorded = source.meta["digest"], translation.source.digest
    if found == recorded or source.meta["format"] != translation.source.format:
        return []
    return [
        f"source ({where(source)}): is not the volume that was translated (SHA-256 {found[:12]}..., recorded"
        f" {recorded[:12]}...), so the scores of doing nothing are not those of this translation; give the"
        " one that was"
    ]


def warn_constant(prediction: Volume, reference: Volume, mask: Voxels) -> list[str]:
    """A prediction that shows nothing where the reference shows something."""
    values = prediction[mask]
    if not values.size or np.ptp(values) or not np.ptp(reference[mask]):
        return []
    return [
        f"the prediction holds one value only, {values[0]:g}, all over the mask: it shows nothing, whatever"
        " its scores"
    ]


def warn_small(scores: Scores, mask: Voxels) -> list[str]:
    """Slices that similarity cannot be measured on."""
    if "ssim" in scores or "ms_ssim" in scores or not mask.any():
        return []
    sides = " x ".join(map(str, mask.shape[:2]))
    return [f"slices of {sides} are smaller than the window of {SSIM_WINDOW}: SSIM not measured"]
