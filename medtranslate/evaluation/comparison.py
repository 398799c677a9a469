"""A pair in memory: volumes become arrays to compare, then the voxels and the range are chosen.

docs/metrics.md is the user's account of the rules that are applied here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from medtranslate.evaluation.alignment import Aligned
from medtranslate.evaluation.masking import scored_voxels
from medtranslate.evaluation.rules import (
    PERCENTILES,
    ScoringRules,
    check_pair,
    declared_range,
    levels_range,
    on_model_scale,
    seen_range,
    warn_constant,
    warn_outside,
    warn_window,
)
from medtranslate.evaluation.suspicions import say_uncovered, say_unit, warn_uncovered
from medtranslate.geometry import Floats
from medtranslate.io import Volume
from medtranslate.metrics import (
    PROFILES,
    WHOLE_CT,
    Range,
    Values,
    Voxels,
    covers,
    percentile_range,
)
from medtranslate.modality import UNITS
from medtranslate.records import ModelInfo, Translation


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Arrays [X, Y, Z] of a pair in axial layout, and all that its scores depend on.

    Attributes:
        rules: by which it is scored.
        arrays: by role: `prediction`, `reference`, perhaps `source`, `mask`, `uncertainty`, `mean_image`.
        affine: array index to RAS+ mm.
        unit: of prediction and reference.
        source_unit: of the source.
        picture: prediction and reference are pictures, without units and place.
        model: that made the prediction, where it is known.
        field: voxels where there is a reference; None for all.
        reversed_axes: axes that the file holds from the other end.
        declared: range that is known without looking at the values, and the rule that it comes from.
        source_levels: grey levels of a source that is a picture.
        notes: what was done to the reference.
        warnings: sentences for the user.
        suspicions: sentences on a wrong unit, and on what the prediction leaves out.
        unclipped: the reference before it was clipped to `ends`.
        mask: voxels that are scored, and `mask_rule` in words.
        ends: lowest and highest value that scores refer to, and `ends_rule`.
    """

    rules: ScoringRules
    arrays: Mapping[str, Values]
    affine: Floats
    unit: str
    source_unit: str
    picture: bool
    model: ModelInfo | None
    field: Voxels | None
    reversed_axes: tuple[int, ...]
    declared: tuple[Range, str] | None
    source_levels: Range | None
    notes: list[str]
    warnings: list[str]
    suspicions: list[str]
    unclipped: Values
    mask: Voxels
    mask_rule: str = "every voxel"
    ends: Range = (0.0, 1.0)
    ends_rule: str = ""

    @property
    def prediction(self) -> Values:
        """Values of the prediction."""
        return self.arrays["prediction"]

    @property
    def reference(self) -> Values:
        """Values of the reference, on the scale on which they are scored."""
        return self.arrays["reference"]

    @property
    def source(self) -> Values | None:
        """Values of the source, in its own unit."""
        return self.arrays.get("source")

    @property
    def fixed(self) -> bool:
        """True where the profile fixes the range, and with it the mask's rule."""
        return PROFILES[self.rules.profile].hu_range is not None

    @property
    def limits(self) -> Range | None:
        """Range outside which the prediction can say nothing; None for all values."""
        return self.declared[0] if self.declared and not self.fixed else None

    @cached_property
    def shown(self) -> Range:
        """Values that pictures show as black and white.

        No head fills the whole CT range: stretched to it, a source would look worse than it is.
        """
        return percentile_range(self.reference, self.mask) if self.fixed and self.mask.any() else self.ends

    @cached_property
    def source_range(self) -> Range:
        """Lowest and highest value of the source."""
        if self.source is None:
            return 0.0, 1.0
        return self.source_levels or seen_range(self.source, self.mask, "source")


def prepare(
    aligned: Aligned, rules: ScoringRules, model: ModelInfo | None, translation: Translation | None
) -> Comparison:
    """Check that a pair can be compared, and bring a true MR to the model's scale.

    Raises:
        InputRefused: modalities or grey levels differ, the prediction's model cannot say what the profile
            scores, or a true MR has no foreground.
        SettingsError: a range is given and the profile fixes its own.
    """
    volumes = aligned.volumes
    prediction, reference, source = volumes["prediction"], volumes["reference"], volumes.get("source")
    check_pair(volumes, rules, model)
    arrays, notes = {role: volume.values for role, volume in volumes.items()}, []
    if aligned.field is not None:
        notes.append(
            "brought onto the prediction's grid (linear; the mask by nearest neighbour); the"
            f" {1 - aligned.field.mean():.1%} of the voxels that it does not reach are not scored"
        )
    if model and model.to == "mr" and not reference.is_picture:
        arrays["reference"], note = on_model_scale(reference.values, aligned.field, model)
        notes.append(note)
    fixed = PROFILES[rules.profile].hu_range is not None
    return Comparison(
        rules=rules,
        arrays=arrays,
        affine=reference.affine,
        unit="HU" if fixed else _unit([reference, prediction], model),
        source_unit=_unit([source] if source else []),
        picture=reference.is_picture,
        model=model,
        field=aligned.field,
        reversed_axes=aligned.reversed_axes,
        declared=declared_range(rules, reference.meta.levels, model),
        source_levels=levels_range(source),
        notes=notes,
        warnings=[
            *_gathered(volumes, translation),
            *warn_uncovered(aligned.uncovered),
            *warn_window(volumes["reference"], translation),
        ],
        suspicions=say_uncovered(aligned.uncovered),
        unclipped=arrays["reference"],
        mask=np.broadcast_to(np.True_, reference.shape),
    )


def with_mask(pair: Comparison) -> Comparison:
    """Choose the voxels and the range that count, and clip to a range that was given or declared.

    Raises:
        InputRefused: the reference has no range inside the mask.
    """
    ranges = {"reference": pair.declared and pair.declared[0], "source": pair.source_levels}
    mask, rule, odd = scored_voxels(pair.arrays, ranges, pair.field, pair.rules.profile)
    warnings = [*pair.warnings, *odd, *warn_constant(pair.prediction, pair.reference, mask)]
    suspicions = list(pair.suspicions)
    if pair.unit == "HU" and (pair.model is None or covers(pair.model.output_range, WHOLE_CT)):
        suspicions += say_unit(pair.prediction, pair.reference, mask)
    ends, ends_rule = pair.declared or (seen_range(pair.reference, mask, "reference"), PERCENTILES)
    arrays = dict(pair.arrays)
    if pair.limits:
        warnings += warn_outside(pair.reference, mask, ends)
        for role in {"prediction", "reference", "mean_image"} & set(arrays):
            arrays[role] = arrays[role].clip(*ends)
    return replace(
        pair,
        arrays=arrays,
        warnings=warnings,
        suspicions=suspicions,
        mask=mask,
        mask_rule=rule,
        ends=ends,
        ends_rule=ends_rule,
    )


def _gathered(volumes: Mapping[str, Volume], translation: Translation | None) -> list[str]:
    """Gather the warnings of reading the volumes and of making the translation, each once."""
    read = [f"{role}: {text}" for role, volume in volumes.items() for text in volume.meta.warnings]
    known = {text.partition(": ")[2] for text in read}
    made = translation.warnings if translation else []
    return [*read, *(f"translation: {text}" for text in made if text not in known)]


def _unit(volumes: Iterable[Volume], model: ModelInfo | None = None) -> str:
    """Give the unit of the first volume whose modality is known, else of what the model makes."""
    listed = list(volumes)
    if listed and listed[0].is_picture:
        return "grey levels"
    known = [volume.meta.modality for volume in listed]
    modality = next((name for name in [*known, model and model.to] if name), None)
    return UNITS[modality] if modality else "units as stored"
