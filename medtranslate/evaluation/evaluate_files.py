"""From files and folders to a written evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medtranslate.config import EvaluateSettings, write_yaml
from medtranslate.errors import InputRefused, SettingsError, UsageError
from medtranslate.evaluation.cohort import forget, score_folders
from medtranslate.evaluation.evaluate_pair import rules_of, score_paths
from medtranslate.evaluation.pairing import find_members, notes_on, pair_up
from medtranslate.evaluation.patients import score_patients
from medtranslate.evaluation.subjects import find_subjects
from medtranslate.io.tables import is_table
from medtranslate.records import Cohort, Evaluation
from medtranslate.records.places import stem_of
from medtranslate.report import VIEWS
from medtranslate.runtime import end_if_imported, require_apart, whole_output


def evaluate(settings: EvaluateSettings, *, quiet: bool = False) -> Evaluation | Cohort:
    """Score a file against a file, a folder against a folder, or the pairs of a CSV.

    Writes `settings.out` with result.json, slices.csv, report.html and settings.yaml, and of a folder the
    page of each pair in cases/, whole or not at all. A `translation.json` beside the prediction (in its
    folder; `NAME.translation.json` beside a file) tells which model made it and what that model can say;
    `settings.model` tells it where there is none. With a source, that model's mean image is one of the
    baselines, if the model is at hand.

    The pairs of a folder are scored in parallel; what is finished is kept beside `settings.out` until all is
    done, so that an interrupted evaluation goes on where it was. Pairs that are refused are listed in the
    cohort, the others are scored.

    Raises:
        GeometryRefused: the grids of a pair differ.
        InputRefused: a file can't be read or scored, the folders' names differ, or a table of densities does
            not rise.
        OutputExists: `settings.out` is there and `overwrite` is not set.
        ModelRefused: `settings.model` is no model, or another than made the prediction.
        Interrupted: Ctrl-C; says how far it came.
        SettingsError: the range is empty or not the user's to give; a model's target is not known.
        UsageError: `settings.out` is an input, or a folder around it; or a reference is missing, or given
            beside a CSV; or `subjects` or `table` is set for one pair.
    """
    end_if_imported()
    if settings.range and not settings.range[0] < settings.range[1]:
        low, high = settings.range
        raise SettingsError(f"--range {low:g} {high:g}: is empty; give the lower end first")
    if (settings.reference is None) != is_table(settings.prediction):
        raise UsageError(
            f"{settings.prediction}: give PREDICTION and REFERENCE, or one CSV of prediction,reference alone"
        )
    inputs = {
        "prediction": settings.prediction,
        "reference": settings.reference,
        "source": settings.source,
        "mask": settings.mask,
        "uncertainty": settings.uncertainty,
    }
    paths = {role: path for role, path in inputs.items() if path is not None}
    require_apart([settings.out], [*paths.values(), *([settings.densities] if settings.densities else [])])
    rules_of(settings)  # a table of densities is refused before any pair is scored
    with whole_output(settings.out, overwrite=settings.overwrite, folder=True) as folder:
        result = evaluate_into(folder, settings, paths, quiet=quiet)
    if isinstance(result, Cohort) and not result.failed:
        forget(settings.out, result)
    return result


def evaluate_into(
    folder: Path, settings: EvaluateSettings, paths: Mapping[str, Path], *, quiet: bool = False
) -> Evaluation | Cohort:
    """Score what lies at `paths`, by role, and write the views into `folder`, which is there.

    `settings` are what the records name: the files may take the places that they name later.

    Raises:
        GeometryRefused, InputRefused, ModelRefused, SettingsError: as `evaluate`.
    """
    members = find_members(paths, settings.modality)
    result: Evaluation | Cohort
    if any(members.values()):
        pairs = pair_up(paths, members)
        known = find_subjects(settings, pairs)
        cohort, pictures = score_folders(settings, pairs, folder, quiet=quiet)
        notes = [*notes_on(paths), *cohort.warnings]
        result = replace(cohort, patients=score_patients(cohort.items, known), warnings=notes)
    elif settings.subjects or settings.table:
        raise UsageError(
            f"{paths['prediction']}: is one pair; --subjects and --table are for folders of pairs"
        )
    else:
        name = stem_of(paths["prediction"])
        result, picture = score_paths(settings, paths, name)
        pictures = {name: picture}
    if not (result.mean if isinstance(result, Cohort) else result.volume):
        blame = f"--mask {settings.mask}" if settings.mask else str(settings.reference or settings.prediction)
        raise InputRefused(
            f"{blame}: no voxel lies in the mask, so nothing can be scored; give a mask with voxels above 0"
        )
    for write in VIEWS.values():
        write(result, pictures, folder)
    write_yaml(settings, folder / "settings.yaml")
    return result
