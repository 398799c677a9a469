"""One pair, from its files to its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medtranslate.checkpoint import Description, describe, find_model
from medtranslate.config import EvaluateSettings, Modality, plain
from medtranslate.errors import InputRefused, ModelRefused, SettingsError
from medtranslate.evaluation.alignment import align
from medtranslate.evaluation.density_table import read_densities
from medtranslate.evaluation.pair import compare
from medtranslate.evaluation.records import nan_of
from medtranslate.evaluation.registered import register_reference, with_registration
from medtranslate.evaluation.rules import ScoringRules, warn_source
from medtranslate.io import Volume, read_volume
from medtranslate.io.layout import to_axial
from medtranslate.records import Evaluation, Provenance, Translation, read_result
from medtranslate.records.places import record_of
from medtranslate.report import Pictures

if TYPE_CHECKING:
    from medtranslate.checkpoint import Model

LIBRARIES = ("medtranslate", "torch", "monai", "numpy", "scipy", "scikit-image", "simpleitk")
"""Libraries that the numbers depend on."""


def score_paths(
    settings: EvaluateSettings, paths: Mapping[str, Path], name: str
) -> tuple[Evaluation, Pictures]:
    """Read and score one pair; `paths` by role."""
    known = {"prediction": settings.modality, "reference": settings.modality}
    advice = "--modality says what prediction and reference are; give that, or the right files"
    read = {
        role: read_volume(
            path,
            modality=known.get(role),
            series=settings.series if role == "reference" else None,
            select=settings.select if role == "reference" else None,
            nan_to=nan_of(role, path, settings.nan_to, settings.modality),
            advice=advice,
        )
        for role, path in paths.items()
    }
    provenance = provenance_of(read)
    if settings.prediction_scale:
        read["prediction"] = _scaled(read["prediction"], *settings.prediction_scale)
    own = translation_of(paths["prediction"])
    # The record of a folder can speak for the model of all its files, not for the source of each.
    translation = own or translation_of(settings.prediction)
    warnings = warn_source(read.get("source"), own)
    rules, registration = rules_of(settings), None
    if rules.register == "rigid":
        read, registration = register_reference(read)
    aligned = align(
        read,
        resample_reference=rules.resample_reference or registration is not None,
        missing_is_air=rules.missing_is_air,
    )
    model = _model_named(settings.model, translation) if settings.model else _model_at_hand(translation)
    to = _target(aligned.volumes, translation)
    if settings.model and to is None:
        raise SettingsError(f"--model {settings.model}: made CT or MR? It is not recorded; add --modality")
    if "source" in aligned.volumes and (translation or model):
        try:
            window = translation.window if translation else None
            mean = to_axial(_mean_image(read["source"], model, to, window))
            aligned = replace(aligned, volumes={**aligned.volumes, "mean_image": mean})
        except InputRefused as reason:
            warnings.append(f"mean image not scored: {reason}")
    info = model.description.info(to) if model and to else None
    result, pictures = compare(aligned, rules, translation=translation, model=info, name=name)
    if settings.prediction_scale and result.suspicions:
        slope, offset = settings.prediction_scale
        raise SettingsError(
            f"--prediction-scale {slope:g} {offset:g}: contradicts the data: {result.suspicions[0]}"
        )
    result = replace(
        with_registration(result, registration),
        settings=plain(settings),
        provenance=provenance,
        warnings=[*result.warnings, *warnings],
    )
    return result, pictures


def _scaled(prediction: Volume, slope: float, offset: float) -> Volume:
    """Bring the prediction to the reference's unit, with a warning that says so."""
    if prediction.is_picture:
        raise SettingsError("--prediction-scale: is for values in a unit, not for pictures")
    values = prediction.values * np.float32(slope) + np.float32(offset)
    note = f"values multiplied by {slope:g}, then {offset:+g} (--prediction-scale)"
    return prediction.with_values(values, warnings=(*prediction.meta.warnings, note))


def rules_of(settings: EvaluateSettings) -> ScoringRules:
    """Take the rules from the settings of the command.

    Raises:
        InputRefused: the table of densities cannot be read or used.
    """
    return ScoringRules(
        profile=settings.profile,
        data_range=settings.range,
        resample_reference=settings.resample_reference,
        register=settings.register,
        missing_is_air=settings.missing_is_air,
        unmasked=settings.unmasked,
        densities=read_densities(settings.densities),
    )


def provenance_of(read: Mapping[str, Volume]) -> Provenance:
    """Describe the volumes as they were read, and the versions of the libraries."""
    inputs = {role: volume.source() for role, volume in read.items()}
    return Provenance(inputs=inputs, versions=versions(LIBRARIES))


@dataclass(frozen=True)
class ModelFolder:
    """A model by its folder; its weights are not read."""

    folder: Path
    description: Description


def _mean_image(
    source: Volume, model: ModelFolder | None, to: Modality | None, window: tuple[float, float] | None
) -> Volume:
    """Make the mean image of a model; nothing else reads its weights.

    Raises:
        InputRefused: the model is not at hand, or no head is found in the source.
    """
    if model is None or to is None:
        raise InputRefused("the model that made the prediction is not at hand; name it with --model")
    from medtranslate.evaluation.mean_image import mean_image  # and torch with it

    return mean_image(source, _load(model.folder, model.description.sha256), to, window)


def _target(volumes: Mapping[str, Volume], translation: Translation | None) -> Modality | None:
    """Give the modality of prediction and reference, as far as it is known."""
    known = [volumes[role].meta.modality for role in ("prediction", "reference")]
    return next((name for name in [translation and translation.model.to, *known] if name), None)


def _model_named(name: str, translation: Translation | None) -> ModelFolder:
    """Find the model that the user names; it has to be the one in the prediction's record.

    Raises:
        ModelRefused: it is no model, or another one.
    """
    folder = find_model(name)
    found = describe(folder)
    if translation and translation.model.sha256 != found.sha256:
        raise ModelRefused(
            f"--model {name}: is {found.name}, SHA-256 {found.sha256[:12]}...; the prediction was made by"
            f" {translation.model.name}, SHA-256 {translation.model.sha256[:12]}...; name that one"
        )
    return ModelFolder(folder, found)


def _model_at_hand(translation: Translation | None) -> ModelFolder | None:
    """Find the model that a record names, by its digest, if it ships or still lies where it was."""
    if translation is None:
        return None
    for name in (translation.model.name, str(translation.settings.get("model", ""))):
        with suppress(ModelRefused):
            folder = find_model(name)
            found = describe(folder)
            if found.sha256 == translation.model.sha256:
                return ModelFolder(folder, found)
    return None


@lru_cache(maxsize=1)
def _load(folder: Path, sha256: str) -> Model:
    """`load_model`, once for the pairs of a folder; the digest tells a model that was replaced."""
    from medtranslate.checkpoint import load_model

    return load_model(str(folder))


def translation_of(prediction: Path) -> Translation | None:
    """Read the record that `translate` wrote beside the prediction, if it did."""
    path = record_of(prediction)
    return read_result(Translation, path) if path.is_file() else None


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """List the installed versions of libraries."""
    return {library: version(library) for library in libraries}
