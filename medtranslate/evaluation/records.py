"""Records that lie in files, and the volumes that they are about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from medtranslate.config import nan_value
from medtranslate.errors import InputRefused, Unreadable
from medtranslate.io import Volume, read_volume
from medtranslate.modality import OTHER, Modality
from medtranslate.records import Cohort, Cycle, Evaluation, Translation, read_result

NAMES = ("result.json", "translation.json")
READERS: dict[str, Callable[[Path], Evaluation | Cohort | Cycle | Translation]] = {
    "medtranslate/result/1": partial(read_result, Evaluation),
    "medtranslate/cohort/1": partial(read_result, Cohort),
    "medtranslate/cycle/1": partial(read_result, Cycle),
    "medtranslate/translation/1": partial(read_result, Translation),
}
"""What a report can be made of, by schema."""
MOST_BYTES = 2**28
"""Of a record: that of a thousand volumes of 500 slices takes about 100 MB."""
ROLES = ("prediction", "reference", "source", "mask", "uncertainty")


def open_record(path: Path) -> tuple[Path, Evaluation | Cohort | Cycle | Translation]:
    """Read the record at a path, or in a folder; give its file, too.

    Raises:
        Unreadable: there is none, or it is of another schema.
    """
    file = next((path / name for name in NAMES if (path / name).is_file()), path)
    if not file.is_file():
        raise Unreadable(
            f"{path}: holds neither {' nor '.join(NAMES)}; name a record, or the folder that evaluate, cycle"
            " or translate wrote it to"
        )
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise Unreadable(
            f"{file}: {size / 2**20:.0f} MiB; records of up to {MOST_BYTES // 2**20} MiB are read"
        )
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Unreadable(f"{file}: is no JSON; name a record such as result.json") from None
    schema = values.get("schema") if isinstance(values, dict) else None
    if not isinstance(schema, str) or schema not in READERS:
        raise Unreadable(f"{file}: its schema is {schema!r}; reports are made of {', '.join(READERS)}")
    return file, READERS[schema](file)


def digests(record: Evaluation) -> dict[str, str]:
    """SHA-256 of the volumes that were scored, by role."""
    inputs = record.provenance.inputs if record.provenance else {}
    known = {role: source.digest for role, source in inputs.items()}
    if record.translation:
        known.setdefault("source", record.translation.source.digest)
    return {role: digest for role, digest in known.items() if digest}


def recorded_paths(settings: Mapping[str, object], made: Translation | None = None) -> dict[str, Path]:
    """List the paths that a command was given, by role; `translate` has its own names for them.

    `made` is what `translate` recorded: of one file in its output's folder that is the prediction.
    """
    own = {**settings, "source": settings.get("source") or settings.get("input")}
    if "input" in settings:
        own["prediction"] = settings.get("output")
    paths = {role: Path(path) for role in ROLES if isinstance(path := own.get(role), str)}
    if made and "input" in settings and "prediction" in paths:
        file = paths["prediction"] / Path(made.output).name
        paths["prediction"] = file if file.is_file() else paths["prediction"]
    return paths


def as_modality(name: object) -> Modality | None:
    """Take what a record says of a modality, if it says one."""
    return "ct" if name == "ct" else "mr" if name == "mr" else None


def nan_of(
    role: str,
    path: Path,
    nan_to: str | None,
    to: Modality | None,
    main: Sequence[str] = ("prediction", "reference"),
) -> float | None:
    """Give the value for voxels of an image that are NaN; None where they are refused.

    Masks and uncertainties get 0. A number that the user gives is for the `main` roles; others get the air
    of their own modality, where that is known.

    Args:
        nan_to: the setting.
        to: modality of prediction and reference, where known.

    Raises:
        SettingsError: air is asked for, and the modality is not known.
    """
    if nan_to is None or role in ("mask", "uncertainty"):
        return None if nan_to is None else 0.0
    own = to and (OTHER[to] if role == "source" else to)
    return nan_value(nan_to if role in main or own is None else "air", own, str(path))


def read_volumes(
    given: Mapping[str, Path],
    recorded: Mapping[str, Path],
    known: Mapping[str, str],
    settings: Mapping[str, object],
    free: Sequence[str] = (),
) -> tuple[dict[str, Volume], list[str]]:
    """Volumes by role, and why those that a record names are missing.

    Args:
        given: paths that have to be right.
        recorded: paths that may be.
        known: digests.
        settings: of the command that wrote the record; `series` and `select` say what to take of a source.
        free: roles that need no digest to be taken from where they were recorded.

    Raises:
        InputRefused: a given path can't be read, or is not the volume that was recorded.
    """
    volumes, notes = {}, []
    for role, path in {**recorded, **given}.items():
        if role not in given and role not in known and role not in free:
            notes.append(f"{role}: no digest of it is recorded; name it with --{role} to show it")
            continue
        try:
            volumes[role] = _read(path, role, known.get(role), settings)
        except InputRefused as refusal:
            if role in given:
                raise
            notes.append(f"{role}: left out, {refusal}")
    return volumes, notes


def _read(path: Path, role: str, digest: str | None, settings: Mapping[str, object]) -> Volume:
    series, select = (settings.get(name) if role == "source" else None for name in ("series", "select"))
    number = settings.get("volume") if role == "source" else None
    if role == "reference" and "prediction" in settings:  # of `evaluate`
        series, select = settings.get("series"), settings.get("select")
    to = as_modality(settings.get("to") or settings.get("modality"))
    nan_to = settings.get("nan_to")
    main = ("prediction", "reference") if "prediction" in settings else ("source",)
    volume = read_volume(
        path,
        series=series if isinstance(series, str) else None,
        select=select if isinstance(select, str) else None,
        volume=number if isinstance(number, int) else None,
        modality=to if role in ("prediction", "reference") else None,
        nan_to=nan_of(role, path, nan_to if isinstance(nan_to, str) else None, to, main),
    )
    found = str(volume.meta.digest)
    if digest is not None and found != digest:
        raise InputRefused(
            f"{path}: is not the {role} of this record (SHA-256 {found[:12]}..., recorded {digest[:12]}...);"
            " give the very volume, or leave it away"
        )
    return volume
