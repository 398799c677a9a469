"""One pair from its files to its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from monai.data import MetaTensor

from medtranslate.checkpoint import Model, find_model, load_model
from medtranslate.checkpoint import describe as describe_model
from medtranslate.config import EvaluateSettings, Modality, plain
from medtranslate.errors import InputRefused, ModelRefused, SettingsError
from medtranslate.evaluation.alignment import align
from medtranslate.evaluation.baselines import mean_image
from medtranslate.evaluation.pair import compare
from medtranslate.evaluation.records import nan_of
from medtranslate.evaluation.registered import register_reference, with_registration
from medtranslate.evaluation.rules import warn_source
from medtranslate.io import read_volume
from medtranslate.records import Evaluation, Provenance, Translation, read_result
from medtranslate.report import Pictures
from medtranslate.transforms.monai_adapters import from_metatensor, to_metatensor
from medtranslate.translation import record_of

LIBRARIES = ("medtranslate", "torch", "monai", "numpy", "scipy", "scikit-image", "simpleitk")
"""What the numbers depend on."""


def score_paths(
    settings: EvaluateSettings, paths: Mapping[str, Path], name: str
) -> tuple[Evaluation, Pictures]:
    """Read and score one pair; `paths` by role."""
    known = {"prediction": settings.modality, "reference": settings.modality}
    advice = "--modality says what prediction and reference are; give that, or the right files"
    read = {
        role: to_metatensor(
            read_volume(
                path,
                modality=known.get(role),
                series=settings.series if role == "reference" else None,
                select=settings.select if role == "reference" else None,
                nan_to=nan_of(role, path, settings.nan_to, settings.modality),
                advice=advice,
            )
        )
        for role, path in paths.items()
    }
    provenance = provenance_of(read)
    own = translation_of(paths["prediction"])
    # The record of a folder can speak for the model of all its files, not for the source of each.
    translation = own or translation_of(settings.prediction)
    warnings = warn_source(read.get("source"), own)
    registration = None
    if settings.register == "rigid":
        read, registration = register_reference(read)
    resample = settings.resample_reference or registration is not None
    volumes = align(**read, resample_reference=resample)
    model = _model_named(settings.model, translation) if settings.model else _model_at_hand(translation)
    to = _target(volumes, translation)
    if settings.model and to is None:
        raise SettingsError(f"--model {settings.model}: made CT or MR? It is not recorded; add --modality")
    if "source" in volumes and (translation or model):
        try:
            volumes["mean_image"] = _mean_image(volumes["source"], model, to)
        except InputRefused as reason:
            warnings.append(f"mean image not scored: {reason}")
    result, pictures = compare(
        volumes,
        settings.profile,
        settings.range,
        translation,
        name,
        model=model.info(to) if model and to else None,
        unmasked=settings.unmasked,
    )
    result = replace(
        with_registration(result, registration),
        settings=plain(settings),
        provenance=provenance,
        warnings=[*result.warnings, *warnings],
    )
    return result, pictures


def provenance_of(read: Mapping[str, MetaTensor]) -> Provenance:
    """What volumes were scored, by role as they were read, and what computed the scores."""
    inputs = {role: from_metatensor(volume).source() for role, volume in read.items()}
    return Provenance(inputs=inputs, versions=versions(LIBRARIES))


def _mean_image(source: MetaTensor, model: Model | None, to: Modality | None) -> MetaTensor:
    if model is None or to is None:
        raise InputRefused("the model that made the prediction is not at hand; name it with --model")
    return mean_image(source, model, to)


def _target(volumes: Mapping[str, MetaTensor], translation: Translation | None) -> Modality | None:
    """Modality of prediction and reference, as far as it is known."""
    known = [volumes[role].meta.get("modality") for role in ("prediction", "reference")]
    return next((name for name in [translation and translation.model.to, *known] if name), None)


def _model_named(name: str, translation: Translation | None) -> Model:
    """The model that the user names, which must be the one that the prediction's record names.

    Raises:
        ModelRefused: it is no model, or another one.
    """
    folder = find_model(name)
    found = describe_model(folder)
    if translation and translation.model.sha256 != found.sha256:
        raise ModelRefused(
            f"--model {name}: is {found.name}, SHA-256 {found.sha256[:12]}...; the prediction was made by"
            f" {translation.model.name}, SHA-256 {translation.model.sha256[:12]}...; name that one"
        )
    return _load(folder, found.sha256)


def _model_at_hand(translation: Translation | None) -> Model | None:
    """The model that a record names, if it ships or still lies where it was taken from, with its digest."""
    if translation is None:
        return None
    for name in (translation.model.name, str(translation.settings.get("model", ""))):
        with suppress(ModelRefused):
            folder = find_model(name)
            if describe_model(folder).sha256 == translation.model.sha256:
                return _load(folder, translation.model.sha256)
    return None


@lru_cache(maxsize=1)
def _load(folder: Path, sha256: str) -> Model:
    """`load_model`, once for the pairs of a folder; the digest tells a model that was replaced."""
    return load_model(str(folder))


def translation_of(prediction: Path) -> Translation | None:
    """What `translate` wrote beside the prediction, if it did."""
    path = record_of(prediction)
    return read_result(Translation, path) if path.is_file() else None


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Of what is installed."""
    return {library: version(library) for library in libraries}
