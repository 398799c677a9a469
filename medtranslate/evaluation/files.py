"""From files and folders to a written evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from monai.data import MetaTensor

from medtranslate.checkpoint import Model, describe, find_model, load_model
from medtranslate.config import EvaluateSettings, Modality, plain, write_yaml
from medtranslate.errors import InputRefused, ModelRefused, SettingsError
from medtranslate.evaluation.baselines import mean_image
from medtranslate.evaluation.pair import align, compare
from medtranslate.evaluation.summary import gathered_warnings, mean_baselines, mean_scores, telling
from medtranslate.io import detect_format, list_pictures, list_volumes, read_volume
from medtranslate.jobs import progress, require_apart, whole_output
from medtranslate.report import VIEWS, Pictures, write_case
from medtranslate.result import Cohort, Result, Translation, read_result


def evaluate(settings: EvaluateSettings, *, quiet: bool = False) -> Result | Cohort:
    """Score a file against a file, or a folder against a folder paired by file stem.

    Writes `settings.out` with result.json, slices.csv, report.html and settings.yaml, and of a folder the
    page of each pair in cases/, whole or not at all. A `translation.json` beside the prediction (in its
    folder; `NAME.translation.json` beside a file) tells which model made it and what that model can say;
    `settings.model` tells it where there is none. With a source, that model's mean image is one of the
    baselines, if the model is at hand.

    Raises:
        GeometryRefused: the grids of a pair differ.
        InputRefused: a file can't be read or scored, or the folders' names differ.
        OutputExists: `settings.out` is there and `overwrite` is not set.
        ModelRefused: `settings.model` is no model, or another than made the prediction.
        SettingsError: the range is empty or not the user's to give; a model's target is not known.
        UsageError: `settings.out` is an input, or a folder around it.
    """
    if settings.range and not settings.range[0] < settings.range[1]:
        low, high = settings.range
        raise SettingsError(f"--range {low:g} {high:g}: is empty; give the lower end first")
    inputs = {
        "prediction": settings.prediction,
        "reference": settings.reference,
        "source": settings.source,
        "mask": settings.mask,
        "uncertainty": settings.uncertainty,
    }
    paths = {role: path for role, path in inputs.items() if path is not None}
    require_apart([settings.out], paths.values())
    with whole_output(settings.out, overwrite=settings.overwrite, folder=True) as folder:
        return evaluate_into(folder, settings, paths, quiet=quiet)


def evaluate_into(
    folder: Path, settings: EvaluateSettings, paths: Mapping[str, Path], *, quiet: bool = False
) -> Result | Cohort:
    """Score what lies at `paths`, by role, and write the views into `folder`, which is there.

    `settings` are what the records name: the files may take the places that they name later.

    Raises:
        GeometryRefused, InputRefused, ModelRefused, SettingsError: as `evaluate`.
    """
    members = {role: members_of(path) for role, path in paths.items()}
    result: Result | Cohort
    if any(members.values()):
        result, pictures = _score_folders(settings, pair_up(paths, members), folder, quiet=quiet)
    else:
        name = stem_of(paths["prediction"])
        result, picture = _score_paths(settings, paths, name)
        pictures = {name: picture}
    if (result.mean if isinstance(result, Cohort) else result.volume).mae is None:
        raise InputRefused(
            f"{settings.reference}: no voxel lies in the mask, so nothing can be scored; give --mask"
        )
    for write in VIEWS.values():
        write(result, pictures, folder)
    write_yaml(settings, folder / "settings.yaml")
    return result


def _score_paths(settings: EvaluateSettings, paths: Mapping[str, Path], name: str) -> tuple[Result, Pictures]:
    """Read and score one pair; `paths` by role."""
    known = {"prediction": settings.modality, "reference": settings.modality}
    read = {role: read_volume(path, modality=known.get(role)) for role, path in paths.items()}
    volumes = align(
        read.pop("prediction"), read.pop("reference"), resample_reference=settings.resample_reference, **read
    )
    translation = _translation_of(paths["prediction"]) or _translation_of(settings.prediction)
    model = _model_named(settings.model, translation) if settings.model else _model_at_hand(translation)
    to = _target(volumes, translation)
    if settings.model and to is None:
        raise SettingsError(f"--model {settings.model}: made CT or MR? It is not recorded; add --modality")
    warnings = []
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
    result = dataclasses.replace(result, settings=plain(settings), warnings=[*result.warnings, *warnings])
    return result, pictures


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
    found = describe(folder)
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
            if describe(folder).sha256 == translation.model.sha256:
                return _load(folder, translation.model.sha256)
    return None


@lru_cache(maxsize=1)
def _load(folder: Path, sha256: str) -> Model:
    """`load_model`, once for the pairs of a folder; the digest tells a model that was replaced."""
    return load_model(str(folder))


def _score_folders(
    settings: EvaluateSettings, pairs: Mapping[str, Mapping[str, Path]], folder: Path, *, quiet: bool
) -> tuple[Cohort, dict[str, Pictures]]:
    """Score each pair and write its page; keep pictures of the best, the median and the worst by MAE only."""
    items = []
    with progress(len(pairs), "pair", "evaluate", quiet=quiet) as bar:
        for name, paths in pairs.items():
            item, drawn = _score_paths(settings, paths, name)
            write_case(item, drawn, folder)
            items.append(item)
            bar.update()
    unmasked = [item.unmasked for item in items if item.unmasked]
    cohort = Cohort(
        items=items,
        mean=mean_scores(item.volume for item in items),
        baselines=mean_baselines(items),
        unmasked=mean_scores(unmasked) if unmasked else None,
        settings=plain(settings),
        warnings=gathered_warnings(items),
    )
    return cohort, {name: _score_paths(settings, pairs[name], name)[1] for name in telling(items)}


def members_of(path: Path) -> dict[str, Path]:
    """Pictures or volume files of a folder by stem; none where `path` is one volume (a file, a series)."""
    if not path.is_dir() or detect_format(path) == "dicom":
        return {}
    files = list_pictures(path) or list_volumes(path)
    members: dict[str, Path] = {}
    for file in files:
        if stem_of(file) in members:
            raise InputRefused(
                f"{file}: {members[stem_of(file)].name} has the same stem; keep one of the two"
            )
        members[stem_of(file)] = file
    return members


def pair_up(
    paths: Mapping[str, Path], members: Mapping[str, Mapping[str, Path]]
) -> dict[str, dict[str, Path]]:
    """The files of each pair by role; every role must have them all."""
    names = {name: None for files in members.values() for name in files}
    for role, files in members.items():
        missing = [name for name in names if name not in files]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise InputRefused(
                f"{paths[role]}: {len(missing)} of {len(names)} names have no {role} ({shown});"
                " give folders that hold the same names, or one file each"
            )
    return {name: {role: files[name] for role, files in members.items()} for name in names}


def _translation_of(prediction: Path) -> Translation | None:
    """What `translate` wrote beside the prediction, if it did."""
    beside = prediction.parent / f"{stem_of(prediction)}.translation.json"
    path = prediction / "translation.json" if prediction.is_dir() else beside
    return read_result(Translation, path) if path.is_file() else None


def stem_of(path: Path) -> str:
    """The name of a file without its suffixes; of a folder, its name."""
    return path.name if path.is_dir() else Path(path.name.removesuffix(".gz")).stem
