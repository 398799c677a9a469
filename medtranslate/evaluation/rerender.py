"""Views of existing records: the command `report`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from medtranslate.config import ReportSettings, write_yaml
from medtranslate.errors import GeometryRefused, InputRefused, UsageError
from medtranslate.evaluation.alignment import align
from medtranslate.evaluation.averages import representative_cases
from medtranslate.evaluation.filing import file_objects
from medtranslate.evaluation.pair import scored_arrays
from medtranslate.evaluation.pairing import find_members, members_of
from medtranslate.evaluation.records import (
    ROLES,
    as_modality,
    digests,
    open_record,
    read_volumes,
    recorded_paths,
)
from medtranslate.evaluation.rules import ScoringRules
from medtranslate.io import Volume
from medtranslate.io.grids import mismatch
from medtranslate.io.layout import to_axial
from medtranslate.io.trees import is_pattern
from medtranslate.metrics import (
    INVENTED,
    PROFILES,
    SCHNEIDER,
    head_mask,
    percentile_range,
    shown_range,
    shows,
)
from medtranslate.modality import OTHER, UNITS
from medtranslate.records import Cohort, Cycle, Evaluation, Registration, Translation
from medtranslate.registration import moved
from medtranslate.report import TRANSLATION_VIEWS, VIEWS, Pictures, Shown
from medtranslate.runtime import check_free, require_apart, whole_output


@dataclass(frozen=True)
class Rendered:
    """What was written into the output folder, and what was left out and why."""

    files: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Material:
    """What a record can be shown with.

    Attributes:
        views: each writes its file into a folder.
        volumes: by role as they were read.
        notes: why others are missing.
    """

    views: Mapping[str, Callable[[Path], None]]
    volumes: dict[str, Volume] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def render(settings: ReportSettings) -> Rendered:
    """Write views of a record into `settings.out`, whole or not at all.

    Pictures and DICOM need the volumes: those that are given, else those that the record names where they
    are still there. Each is held against its digest in the record. What is not at hand is left out of a
    view, which says so.

    Raises:
        Unreadable: no record, or one of another schema.
        InputRefused: a volume that is given is not the record's.
        UsageError: a view does not exist of this record, or the view dicom has no DICOM series to file in;
            `settings.out` is an input, or a folder around it.
        OutputExists: `settings.out` is there and `overwrite` is not set.
    """
    path, record = open_record(settings.result)
    require_apart([settings.out], [path, settings.regions, *_given(settings).values()])
    check_free(settings.out, overwrite=settings.overwrite)
    if isinstance(record, Translation):
        found = _of_translation(record, path, settings)
    elif isinstance(record, Evaluation):
        found = _of_pair(record, settings)
    else:
        found = _of_several(record, settings)
    if settings.regions and "dicom" not in settings.view:
        raise UsageError("--regions: the view dicom writes them; add it to --view")
    offered = [*found.views, *(["dicom"] if isinstance(record, Evaluation | Translation) else [])]
    for view in settings.view:
        if view == "dicom" and isinstance(record, Cohort):
            raise UsageError(
                f"--view dicom: {path.name} is of {len(record.items)} cases, and one case is filed with its"
                " patient; evaluate that pair by itself, and report on its result.json"
            )
        if view not in offered:
            raise UsageError(f"--view {view}: {path.name} has none; take {', '.join(offered)}")
    with whole_output(settings.out, overwrite=settings.overwrite, folder=True) as folder:
        for view in dict.fromkeys(settings.view):
            if view == "dicom":
                assert isinstance(record, Evaluation | Translation)
                found.notes.extend(_file(record, found, settings, folder / "dicom"))
            else:
                found.views[view](folder)
        written = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        write_yaml(settings, folder / "settings.yaml")
    return Rendered(written, found.notes)


def _of_pair(record: Evaluation, settings: ReportSettings) -> Material:
    recorded = recorded_paths(record.settings, record.translation)
    volumes, notes = read_volumes(
        _given(settings), recorded, digests(record), _chosen(record.settings, settings)
    )
    drawn = _pictures(record, volumes, notes)
    return Material(_views(VIEWS, record, {} if drawn is None else {record.name: drawn}), volumes, notes)


def _of_several(record: Cohort | Cycle, settings: ReportSettings) -> Material:
    """Pictures of the items that tell most."""
    if isinstance(record, Cycle):
        return Material(
            _views(VIEWS, record, {}),
            notes=["pictures are left out: the images between are not kept; run cycle again"],
        )
    given = {role: members_of(path) for role, path in _given(settings).items()}
    named = _members_recorded(record)
    drawn: dict[str, Pictures] = {}
    notes: list[str] = []
    for item in (item for item in record.items if item.name in representative_cases(record.items)):
        volumes, said = read_volumes(
            {role: files[item.name] for role, files in given.items() if item.name in files},
            {role: files[item.name] for role, files in named.items() if item.name in files},
            digests(item),
            record.settings,
        )
        pictures = _pictures(item, volumes, said)
        drawn |= {} if pictures is None else {item.name: pictures}
        notes += [f"{item.name}: {note}" for note in said]
    return Material(_views(VIEWS, record, drawn), notes=notes)


def _members_recorded(record: Cohort) -> dict[str, dict[str, Path]]:
    """Find the files that a cohort was made of, where they still are."""
    paths = recorded_paths(record.settings)
    there = {role: path for role, path in paths.items() if path.exists() or is_pattern(path)}
    try:
        return find_members(there, as_modality(record.settings.get("modality")))
    except InputRefused:  # they have changed since
        return {}


def _of_translation(record: Translation, path: Path, settings: ReportSettings) -> Material:
    """Find the volumes of a translation; its output has no digest, so only its grid can be checked."""
    output = path.parent if record.output == path.parent.name else path.parent / Path(record.output).name
    recorded = {**recorded_paths(record.settings), "prediction": output}
    recorded.pop("reference", None)
    known = {"source": record.source.digest} if record.source.digest else {}
    volumes, notes = read_volumes(
        _given(settings),
        recorded,
        known,
        _chosen(record.settings, settings),
        free=("prediction", "uncertainty"),
    )
    shown = _shown(record, volumes, notes)
    listed = [] if shown is None else [(record.output, shown)]
    return Material(_views(TRANSLATION_VIEWS, [record], listed), volumes, notes)


def _views(
    table: Mapping[str, Callable[..., None]], record: object, drawn: object
) -> dict[str, Callable[[Path], None]]:
    """Bind the views of a table to a record; each is imported when it is written."""

    def write(name: str, folder: Path) -> None:
        table[name](record, drawn, folder)

    return {name: partial(write, name) for name in table}


def _given(settings: ReportSettings) -> dict[str, Path]:
    paths = {role: getattr(settings, role) for role in ROLES}
    return {role: path for role, path in paths.items() if path is not None}


def _chosen(recorded: Mapping[str, object], settings: ReportSettings) -> dict[str, object]:
    """Take the settings of a record, with the series and acquisition that the report is given."""
    given = {name: getattr(settings, name) for name in ("series", "select")}
    return {**recorded, **{name: value for name, value in given.items() if value is not None}}


def _pictures(record: Evaluation, volumes: Mapping[str, Volume], notes: list[str]) -> Pictures | None:
    """Prepare the arrays as they were scored; None, with a note, where they cannot be had."""
    if not {"prediction", "reference"} <= volumes.keys():
        notes.append("pictures are left out: they take prediction and reference")
        return None
    if record.profile not in PROFILES or (record.settings.get("model") and not record.translation):
        notes.append("pictures are left out: profile or model are not known here")
        return None
    fixed = PROFILES[record.profile].hu_range is not None
    resample = bool(record.settings.get("resample_reference"))
    if record.registration and record.registration.applied:
        volumes, resample = _in_place(volumes, record.registration), True
    rules = ScoringRules(
        profile=record.profile,
        data_range=None if fixed else record.data_range,
        densities=record.densities or SCHNEIDER,
    )
    aligned = align(volumes, resample_reference=resample)
    return scored_arrays(aligned, rules, record.translation)


def _in_place(volumes: Mapping[str, Volume], found: Registration) -> dict[str, Volume]:
    """Move the reference, and a mask on its grid, to where registration put them."""
    prediction, reference = (volumes[role].affine for role in ("prediction", "reference"))
    placed = dict(volumes)
    for role in {"reference", "mask"} & set(volumes):
        own = volumes[role].affine
        if role == "reference" or (np.allclose(own, reference) and not np.allclose(own, prediction)):
            placed[role] = moved(volumes[role], found)
    return placed


def _shown(record: Translation, volumes: Mapping[str, Volume], notes: list[str]) -> Shown | None:
    if not {"prediction", "source"} <= volumes.keys():
        notes.append("pictures are left out: they take source and translation")
        return None
    axial = {role: to_axial(volume) for role, volume in volumes.items()}
    source, translation = axial["source"], axial["prediction"]
    for role, volume in axial.items():
        if found := mismatch(volume, source, "source"):
            raise GeometryRefused(
                f"{role} ({volume.name}): {found}; give the {role} that belongs to this record"
            )
    grey = source.is_picture
    ends = (0.0, 255.0) if grey else record.model.output_range
    own = ends if grey else percentile_range(source.values)
    mask = head_mask([source.values, translation.values], [own, ends])
    unit = "grey levels" if grey else record.model.unit
    return Shown(
        source=source.values,
        translation=translation.values,
        uncertainty=axial["uncertainty"].values if "uncertainty" in axial else None,
        mask=mask | shows(translation.values, ends, INVENTED),
        source_range=own,
        range=shown_range(ends, unit),
        spacing_mm=source.spacing,
        source_unit="grey levels" if grey else UNITS[OTHER[record.model.to]],
        unit=unit,
        affine=None if grey else source.affine,
        regular=source.meta.slices is None,
    )


def _file(
    record: Evaluation | Translation, found: Material, settings: ReportSettings, folder: Path
) -> list[str]:
    """Write the DICOM objects of a report, its PDF among them."""
    folder.mkdir()
    found.views["pdf"](folder)
    notes = file_objects(record, found.volumes, settings, folder / "report.pdf", folder)
    (folder / "report.pdf").unlink()
    return notes
