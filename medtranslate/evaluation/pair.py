"""From a prediction and its reference in memory to scores: checks, ranges, masks and baselines.

docs/metrics.md is the user's account of the rules that are applied here.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from monai.data import MetaTensor

from medtranslate.config import ProfileName
from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.evaluation.baselines import baselines
from medtranslate.geometry import require_grid, spacing
from medtranslate.metrics import (
    PROFILES,
    SSIM_WINDOW,
    Range,
    Volume,
    Voxels,
    percentile_range,
    require_finite,
    score,
)
from medtranslate.report import Pictures
from medtranslate.result import Mask, Result, Scores, SliceScores, Translation
from medtranslate.transforms import to_axial

CORNER_TOLERANCE_MM = 0.01
DIRECTION_TOLERANCE = 1e-4
UNITS = {"ct": "HU", "mr": "a.u."}
LARGEST_HEAD = 0.8
"""Share of the image above which a mask can't be a head: an ellipse fills pi/4 of its bounding box."""
PERCENTILES = "0.5 to 99.5 percentile of the reference inside the mask"


def score_pair(
    prediction: MetaTensor,
    reference: MetaTensor,
    *,
    profile: ProfileName = "image",
    source: MetaTensor | None = None,
    mask: MetaTensor | None = None,
    mean_image: MetaTensor | None = None,
    data_range: Range | None = None,
    translation: Translation | None = None,
    name: str = "",
) -> Result:
    """Scores of a prediction against the truth on the same grid.

    The arrays may be stored in different orientations; all are turned to LPS (exact flips and swaps
    of axes) before they are compared, and a slice is an axial slice of that layout. The range that
    PSNR and SSIM refer to is the first of: `data_range`; the grey levels of pictures; the output
    range that the model in `translation` declares; the 0.5 to 99.5 percentile of the reference inside
    the mask. To a range that was given or declared both volumes are clipped: a model with a window
    can't say what lies outside.

    Args:
        prediction: [1, X, Y, Z], HU or arbitrary units.
        reference: likewise.
        profile: definition of the scores.
        source: what was translated; adds its baselines and widens the mask.
        mask: voxels above 0 count (default: the profile's rule).
        mean_image: mean of the target modality on this grid; adds a baseline.
        data_range: lowest and highest value that scores refer to.
        translation: how the prediction was made.
        name: of the pair, without patient identity.

    Raises:
        GeometryRefused: the grids differ; says by how much.
        InputRefused: modalities or grey levels differ, a volume is not finite, or has no range.
    """
    volumes = align(
        prediction=prediction, reference=reference, source=source, mask=mask, mean_image=mean_image
    )
    return compare(volumes, profile, data_range, translation, name)[0]


def align(
    prediction: MetaTensor, reference: MetaTensor, **others: MetaTensor | None
) -> dict[str, MetaTensor]:
    """The volumes by role, turned to LPS, on one grid, finite."""
    given = {"prediction": prediction, "reference": reference, **others}
    for role, volume in given.items():
        if volume is not None:
            require_grid(volume.meta, f"{role} ({_where(volume)})")
    volumes = {role: to_axial(volume) for role, volume in given.items() if volume is not None}
    for role, volume in volumes.items():
        _check_grid(volume, volumes["reference"], f"{role} ({_where(volume)})")
        require_finite(_array(volume), f"{role} ({_where(volume)})")
    return volumes


def _check_grid(volume: MetaTensor, reference: MetaTensor, what: str) -> None:
    """Same shape; outer corners within `CORNER_TOLERANCE_MM`; directions within `DIRECTION_TOLERANCE`."""
    if volume.shape != reference.shape:
        ours, theirs = (" x ".join(map(str, v.shape[1:])) for v in (volume, reference))
        raise GeometryRefused(
            f"{what}: {ours} voxels (LPS), the reference has {theirs}; resample one to the other's grid first"
        )
    affines = [np.asarray(v.affine, dtype=np.float64) for v in (volume, reference)]
    corners = np.array([(*c, 1.0) for c in product(*((-0.5, n - 0.5) for n in volume.shape[1:]))])
    apart = np.linalg.norm(corners @ (affines[0] - affines[1]).T, axis=1).max()
    directions = [affine[:3, :3] / spacing(affine) for affine in affines]
    turned = np.abs(directions[0] - directions[1]).max()
    if not (apart <= CORNER_TOLERANCE_MM and turned <= DIRECTION_TOLERANCE):
        raise GeometryRefused(
            f"{what}: its corners lie up to {apart:.3f} mm from the reference's (tolerance"
            f" {CORNER_TOLERANCE_MM} mm), its axes differ by {turned:.1e} (tolerance"
            f" {DIRECTION_TOLERANCE:.0e}); resample one to the other's grid first"
        )


def compare(
    volumes: Mapping[str, MetaTensor],
    profile: ProfileName,
    data_range: Range | None,
    translation: Translation | None,
    name: str,
) -> tuple[Result, Pictures]:
    """Score aligned volumes, and hand over the arrays as they were scored."""
    _check_kind(volumes["prediction"], volumes["reference"], translation)
    arrays = {role: _array(volume) for role, volume in volumes.items()}
    levels = volumes["reference"].meta.get("levels")
    declared = _declared_range(data_range, levels, translation)
    own_levels = _levels_range(volumes["source"]) if "source" in volumes else None
    warnings = [
        f"{role}: {text}" for role, volume in volumes.items() for text in volume.meta.get("warnings", [])
    ]

    mask, mask_rule = _mask(arrays, {"reference": declared and declared[0], "source": own_levels}, profile)
    share = float(mask.mean())
    if "mask" not in arrays and share > LARGEST_HEAD:
        warnings.append(
            f"the head mask covers {share:.0%} of the image, more than a head can: background is scored with"
            " it, which flatters; give --mask"
        )
    if not mask.any():
        warnings.append("no voxel lies in the mask: nothing was scored")
    ends, range_rule = declared or (_percentiles(arrays["reference"], mask, "reference"), PERCENTILES)
    if declared:
        warnings += _warn_outside(arrays["reference"], mask, ends)
        for role in {"prediction", "reference", "mean_image"} & set(arrays):
            arrays[role] = arrays[role].clip(*ends)

    prediction, reference, source = arrays["prediction"], arrays["reference"], arrays.get("source")
    source_range = (0.0, 1.0) if source is None else own_levels or _percentiles(source, mask, "source")
    whole, planes = score(prediction, reference, mask, ends, profile)
    if whole.ssim is None and mask.any():
        sides = " x ".join(map(str, mask.shape[:2]))
        warnings.append(f"slices of {sides} are smaller than the window of {SSIM_WINDOW}: SSIM not measured")
    affine = np.asarray(volumes["reference"].affine, dtype=np.float64)
    voxel = spacing(affine)
    result = Result(
        profile=profile,
        unit=_unit(volumes, levels, translation),
        volume=whole,
        name=name,
        data_range=ends,
        data_range_rule=range_rule,
        slices=_slice_scores(planes, None if levels else affine),
        baselines=baselines(
            reference,
            mask,
            ends,
            source=source,
            source_range=source_range,
            mean_image=arrays.get("mean_image"),
            profile=profile,
        ),
        mask=Mask(rule=mask_rule, share=share),
        translation=translation,
        warnings=warnings,
    )
    spacing_mm = (float(voxel[0]), float(voxel[1]), float(voxel[2]))
    return result, Pictures(prediction, reference, mask, ends, spacing_mm, source, source_range)


def _check_kind(prediction: MetaTensor, reference: MetaTensor, translation: Translation | None) -> None:
    """Same modality as far as it is known; both pictures of one depth, or neither."""
    names = f"prediction ({_where(prediction)}) and reference ({_where(reference)})"
    ours = prediction.meta.get("modality") or (translation and translation.model.to)
    theirs = reference.meta.get("modality")
    if ours and theirs and ours != theirs:
        raise InputRefused(f"{names} are {ours} and {theirs}; give a reference of the prediction's modality")
    levels = [volume.meta.get("levels") for volume in (prediction, reference)]
    if levels[0] != levels[1]:
        kinds = " and ".join(
            f"a picture with grey levels up to {top}" if top else "a volume" for top in levels
        )
        raise InputRefused(f"{names} are {kinds}, whose values do not compare; convert one of them")


def _declared_range(
    given: Range | None, levels: int | None, translation: Translation | None
) -> tuple[Range, str] | None:
    """The range that is known before looking at the values, and the rule it is from."""
    if given:
        return given, "given; both images are clipped to it"
    if levels:
        return (0.0, float(levels)), "grey levels of the pictures"
    if translation:
        model = translation.model
        return (
            model.output_range,
            f"output range that the model {model.name} declares; both images are clipped to it",
        )
    return None


def _levels_range(volume: MetaTensor) -> Range | None:
    levels = volume.meta.get("levels")
    return (0.0, float(levels)) if levels else None


def _percentiles(volume: Volume, mask: Voxels, what: str) -> Range:
    """`percentile_range`, refused where it is empty; (0, 1) for an empty mask, where nothing is scored."""
    if not mask.any():
        return 0.0, 1.0
    low, high = percentile_range(volume, mask)
    if not low < high:
        raise InputRefused(
            f"{what}: is {low:g} all over the mask, so its range is empty; give --range or --mask"
        )
    return low, high


def _mask(
    arrays: Mapping[str, Volume], ranges: Mapping[str, Range | None], profile: ProfileName
) -> tuple[Voxels, str]:
    """The voxels that count, and the rule in words."""
    if "mask" in arrays:
        return arrays["mask"] > 0, "given: voxels above 0"
    seen = {role: ends or percentile_range(arrays[role]) for role, ends in ranges.items() if role in arrays}
    rule = PROFILES[profile]
    return rule.mask([arrays[role] for role in seen], list(seen.values())), rule.mask_rule


def _warn_outside(reference: Volume, mask: Voxels, ends: Range) -> list[str]:
    """What a declared range leaves unsaid about the reference."""
    inside = reference[mask]
    outside = np.count_nonzero((inside < ends[0]) | (inside > ends[1]))
    if not outside:
        return []
    return [
        f"{outside / inside.size:.1%} of the reference's voxels in the mask lie outside {ends[0]:g} to"
        f" {ends[1]:g} and were clipped: scores that need them (bone, air, profiles of the whole CT range)"
        " are not representable and not reported"
    ]


def _slice_scores(planes: list[Scores], affine: npt.NDArray[np.float64] | None) -> list[SliceScores]:
    """Scores of the slices that hold voxels of the mask; position along the normal of the slices."""
    normal = np.zeros(3) if affine is None else np.cross(affine[:3, 0], affine[:3, 1])
    unit = normal / (np.linalg.norm(normal) or 1.0)
    return [
        SliceScores(
            index=index,
            position_mm=None if affine is None else float(unit @ (affine[:3, 2] * index + affine[:3, 3])),
            mae=plane.mae,
            psnr=plane.psnr,
            ssim=plane.ssim,
        )
        for index, plane in enumerate(planes)
        if plane.mae is not None
    ]


def _unit(volumes: Mapping[str, MetaTensor], levels: int | None, translation: Translation | None) -> str:
    if levels:
        return "grey levels"
    known = [volumes[role].meta.get("modality") for role in ("reference", "prediction")]
    modality = next((m for m in [*known, translation and translation.model.to] if m), None)
    return UNITS[modality] if modality else "units as stored"


def _array(volume: MetaTensor) -> Volume:
    array: Volume = volume.numpy(force=True)[0]
    return array


def _where(volume: MetaTensor) -> str:
    return Path(str(volume.meta.get("path", "in memory"))).name
