"""From files and folders to a written evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from medtranslate.config import EvaluateSettings, plain, write_yaml
from medtranslate.errors import InputRefused, SettingsError
from medtranslate.evaluation.pair import align, compare
from medtranslate.evaluation.summary import mean_baselines, mean_scores, telling
from medtranslate.io import detect_format, list_pictures, read_volume
from medtranslate.jobs import progress, whole_output
from medtranslate.report import VIEWS, Pictures
from medtranslate.result import Cohort, Result, Translation, read_result


def evaluate(settings: EvaluateSettings, *, quiet: bool = False) -> Result | Cohort:
    """Score a file against a file, or a folder against a folder paired by file stem.

    Writes `settings.out` with result.json, slices.csv, report.html and settings.yaml, whole or not
    at all. A `translation.json` beside the prediction (in its folder; `NAME.translation.json` beside a
    file) tells which model made it and what that model can say.

    Raises:
        GeometryRefused: the grids of a pair differ.
        InputRefused: a file can't be read or scored, or the folders' names differ.
        OutputExists: `settings.out` is there and `overwrite` is not set.
        SettingsError: the range is empty.
    """
    if settings.range and not settings.range[0] < settings.range[1]:
        low, high = settings.range
        raise SettingsError(f"--range {low:g} {high:g}: is empty; give the lower end first")
    inputs = {
        "prediction": settings.prediction,
        "reference": settings.reference,
        "source": settings.source,
        "mask": settings.mask,
    }
    paths = {role: path for role, path in inputs.items() if path is not None}
    with whole_output(settings.out, overwrite=settings.overwrite, folder=True) as folder:
        members = {role: members_of(path) for role, path in paths.items()}
        result: Result | Cohort
        if any(members.values()):
            result, pictures = _score_folders(settings, pair_up(paths, members), quiet=quiet)
        else:
            name = stem_of(settings.prediction)
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
    volumes = align(**{role: read_volume(path) for role, path in paths.items()})
    translation = _translation_of(paths["prediction"]) or _translation_of(settings.prediction)
    result, pictures = compare(volumes, settings.profile, settings.range, translation, name)
    return dataclasses.replace(result, settings=plain(settings)), pictures


def _score_folders(
    settings: EvaluateSettings, pairs: Mapping[str, Mapping[str, Path]], *, quiet: bool
) -> tuple[Cohort, dict[str, Pictures]]:
    """Score each pair; keep pictures of the best, the median and the worst by MAE only."""
    items = []
    with progress(len(pairs), "pair", "evaluate", quiet=quiet) as bar:
        for name, paths in pairs.items():
            items.append(_score_paths(settings, paths, name)[0])
            bar.update()
    cohort = Cohort(
        items=items,
        mean=mean_scores(item.volume for item in items),
        baselines=mean_baselines(items),
        settings=plain(settings),
        warnings=[f"{item.name}: {text}" for item in items for text in item.warnings],
    )
    return cohort, {name: _score_paths(settings, pairs[name], name)[1] for name in telling(items)}


def members_of(path: Path) -> dict[str, Path]:
    """Pictures or NIfTI volumes of a folder by stem; none where `path` is one volume (a file, a series)."""
    if not path.is_dir() or detect_format(path) == "dicom":
        return {}
    files = list_pictures(path) or sorted(path.glob("*.nii")) + sorted(path.glob("*.nii.gz"))
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
