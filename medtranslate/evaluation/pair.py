"""From a prediction and its reference in memory to scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from medtranslate.evaluation.alignment import Aligned, Others, align
from medtranslate.evaluation.beside import doubted, say_beside
from medtranslate.evaluation.comparison import Comparison, prepare, with_mask
from medtranslate.evaluation.ct_measures import projections, with_measures
from medtranslate.evaluation.registered import register_reference, with_registration
from medtranslate.evaluation.rules import ScoringRules
from medtranslate.evaluation.scoring import explain, pictures, score, stray_ml
from medtranslate.io import Volume
from medtranslate.records import Evaluation, ModelInfo, Translation
from medtranslate.report import Pictures


def score_pair(
    prediction: Volume,
    reference: Volume,
    rules: ScoringRules | None = None,
    *,
    translation: Translation | None = None,
    name: str = "",
    **others: Unpack[Others],
) -> Evaluation:
    """Score a prediction against the truth on the same grid.

    The arrays may be stored in different orientations; all are turned to LPS (exact flips and swaps
    of axes) before they are compared, and a slice is an axial slice of that layout. The range that
    PSNR and SSIM refer to is that of a profile which fixes one, else the first of: the rules' range; the
    grey levels of pictures; the output range that the model in `translation` declares; the 0.5 to 99.5
    percentile of the reference inside the mask. To a range that was given or declared both volumes are
    clipped: a model with a window can't say what lies outside. The reference of a translated MR is
    brought to the model's scale first.

    Args:
        prediction: HU or arbitrary units.
        reference: likewise.
        rules: profile, range, mask, resampling, registration (default: those of the profile `image`).
        translation: record of how the prediction was made.
        name: of the pair, without patient identity.
        others: `source`, `mask`, `uncertainty` and `mean_image` (`Others`).

    Raises:
        GeometryRefused: the grids differ; says by how much.
        InputRefused: modalities or grey levels differ, a volume is not finite or has no range, or the
            prediction's model cannot say what the profile scores.
        SettingsError: a range is given and the profile fixes its own.
    """
    rules = rules or ScoringRules()
    given = {"prediction": prediction, "reference": reference, **others}
    volumes = {role: volume for role, volume in given.items() if isinstance(volume, Volume)}
    registration = None
    if rules.register == "rigid":
        volumes, registration = register_reference(volumes)
    aligned = align(
        volumes,
        resample_reference=rules.resample_reference or registration is not None,
        missing_is_air=rules.missing_is_air,
    )
    result = compare(aligned, rules, translation=translation, name=name)[0]
    return with_registration(result, registration)


def compare(
    aligned: Aligned,
    rules: ScoringRules,
    *,
    translation: Translation | None = None,
    model: ModelInfo | None = None,
    name: str = "",
) -> tuple[Evaluation, Pictures]:
    """Score aligned volumes, and hand over the arrays as they were scored.

    Args:
        aligned: prediction, reference and others on one grid.
        rules: of the scores; volumes are aligned already.
        translation: record of how the prediction was made.
        model: that made the prediction (default: the one in `translation`).
        name: of the pair.

    Raises:
        InputRefused, SettingsError: as `score_pair`.
    """
    pair = _prepared(aligned, rules, translation, model)
    known = translation.uncertainty if translation else None
    explained = explain(pair, score(pair), known.share if known else None)
    result, drawn = with_measures(pair, explained)
    stray = stray_ml(pair)
    result = replace(
        result,
        name=name,
        translation=doubted(translation, stray),
        warnings=[*result.warnings, *say_beside(stray)],
    )
    return result, pictures(pair, drawn)


def scored_arrays(aligned: Aligned, rules: ScoringRules, translation: Translation | None) -> Pictures:
    """Prepare the arrays as `compare` scores them, without the scores.

    Raises:
        InputRefused, SettingsError: as `score_pair`.
    """
    pair = _prepared(aligned, rules, translation, None)
    return pictures(pair, projections(pair))


def _prepared(
    aligned: Aligned, rules: ScoringRules, translation: Translation | None, model: ModelInfo | None
) -> Comparison:
    model = model or (translation.model if translation else None)
    return with_mask(prepare(aligned, rules, model, translation))
