"""Module of the DICOM router mercure: a folder of DICOM files in, a folder of DICOM files out.

The convention is that of mercure 0.4.1 (its docs/modules.rst, app/process/process_series.py and
app/common/types.py). mercure starts a container with two folders, MERCURE_IN_DIR and MERCURE_OUT_DIR. The
first holds the files of a series or of a study, named `[series UID]#[file UID].dcm`, and `task.json` with the
module's settings in `process.settings`. Every `*.dcm` in the second is sent to the targets, `result.json` is
kept in mercure's database, and the text of `__mercure_notification` in it goes into mercure's messages. An
exit code other than 0 means that the task failed.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pydicom

from medtranslate.batch import Item, find_items, translate_items
from medtranslate.config import (
    BatchSettings,
    MercureSettings,
    ModuleSettings,
    TranslateSettings,
    build,
    plain,
)
from medtranslate.errors import InputRefused, Unreadable, UsageError
from medtranslate.modality import OTHER
from medtranslate.records import Batch, Outcome, Translation, read_result, to_json, write_result
from medtranslate.runtime import require_apart, whole_outputs
from medtranslate.translation import PREVIEW, RECORD, Translator, open_translator

TASK, RESULT = "task.json", "result.json"
NOTIFICATION = "__mercure_notification"
MAX_TASK_BYTES = 2**20
_SEPARATOR = "#"


def run_module(settings: MercureSettings) -> Batch:
    """Translate each series of the input's folder, and write all results at once.

    Series of another modality than the source's are passed over. A series that is refused, such as a
    localizer, is an item that failed; it does not fail the task as long as another series is translated.

    Returns:
        The outcome of each series; `output` is the UID of the new series.

    Raises:
        UsageError: a folder is not named, or the output is the input.
        SettingsError: a setting in task.json is unknown, missing or out of range.
        InputRefused: task.json is missing or damaged, or no series was translated; nothing is written.
    """
    started = time.monotonic()
    given = _folder(settings.input, "MERCURE_IN_DIR")
    out = _folder(settings.output, "MERCURE_OUT_DIR")
    require_apart([out], [given])
    chosen = read_task(given / TASK)
    with TemporaryDirectory(prefix="medtranslate-") as work:
        batch = BatchSettings(source=given, out=Path(work), format="dicom", **vars(chosen))
        found = find_items(batch)
        source = OTHER[chosen.to].upper()
        items = [item for item in found if _modality_of(item) in (source, "")]
        if not items:
            raise Unreadable(
                f"{given}: none of its {len(found)} series is {source}, of which {chosen.to.upper()} is made;"
                " check the rule that sends series here"
            )
        translator = _open(chosen, given, out)
        outcomes = list(translate_items(batch, translator, items))
        made = [outcome for outcome in outcomes if outcome.state != "failed"]
        if not made:
            raise InputRefused(f"none of {len(items)} series was translated: {outcomes[0].reason}")
        files, renamed = _named(batch, made, given, out)
        told = [renamed.get(outcome.output, outcome) for outcome in outcomes]
        seconds = round(time.monotonic() - started, 3)
        result = Batch(items=told, seconds=seconds, settings=plain(chosen))
        _put(files, out, _result(result, translator))
    return result


def read_task(path: Path) -> ModuleSettings:
    """Read the module's settings from task.json.

    Raises:
        Unreadable: it is missing, no JSON, too large, or not for one module.
        SettingsError: a setting is unknown, missing or out of range.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_TASK_BYTES + 1)
        if len(text) > MAX_TASK_BYTES:
            raise Unreadable(
                f"{path}: over the bound of {MAX_TASK_BYTES >> 20} MiB; give the one that mercure writes"
            )
        task = json.loads(text)
    except FileNotFoundError:
        raise Unreadable(f"{path}: does not exist; mercure writes it, a trial needs one of its own") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(
            f"{path}: no JSON ({type(error).__name__}); give the one that mercure writes"
        ) from None
    process = task.get("process") if isinstance(task, dict) else None
    values = process.get("settings", {}) if isinstance(process, dict) else None
    if not isinstance(values, dict):
        raise Unreadable(
            f"{path}: has no settings of one module in process.settings; give the one that mercure writes"
        )
    return build(ModuleSettings, values, f"{path}: process.settings")


def _folder(given: Path | None, variable: str) -> Path:
    """Return a folder of the command, or the one that mercure names in a variable."""
    named = given or os.environ.get(variable)
    if not named:
        raise UsageError(f"mercure: give INPUT and OUTPUT, or set {variable}, as mercure does")
    return Path(named)


def _modality_of(item: Item) -> str:
    """Read the modality in the header of a series; empty if it can't be read."""
    with suppress(OSError, pydicom.errors.InvalidDicomError):
        return str(pydicom.dcmread(item.paths[0], specific_tags=["Modality"]).get("Modality", ""))
    return ""


def _open(chosen: ModuleSettings, given: Path, out: Path) -> Translator:
    """Load the model, for all cores: a module translates one series at a time."""
    kept = {name: value for name, value in plain(chosen).items() if value is not None}
    return open_translator(build(TranslateSettings, {**kept, "input": given, "output": out}))


def _named(
    batch: BatchSettings, made: Sequence[Outcome], given: Path, out: Path
) -> tuple[dict[str, Path], dict[str, Outcome]]:
    """Name the files of the new series as mercure names files.

    Returns:
        The files by their names in the output; the outcomes with the UID of the new series, by their former
        outputs.
    """
    files: dict[str, Path] = {}
    renamed: dict[str, Outcome] = {}
    for outcome in made:
        folder = batch.out / outcome.output
        series = ""
        for slice_ in sorted(folder.glob("*.dcm")):
            header = pydicom.dcmread(slice_, specific_tags=["SeriesInstanceUID", "SOPInstanceUID"])
            series = str(header.SeriesInstanceUID)
            files[f"{series}{_SEPARATOR}{header.SOPInstanceUID}.dcm"] = slice_
        record = read_result(Translation, folder / RECORD)
        places = {"input": str(given), "output": str(out)}
        own = replace(record, output=series, settings=record.settings | places, finished=None)
        write_result(own, folder / RECORD)
        beside = {name: folder / name for name in (RECORD, PREVIEW) if (folder / name).is_file()}
        files |= {f"{series}.{name}": path for name, path in beside.items()}
        renamed[outcome.output] = replace(outcome, output=series)
    return files, renamed


def _result(batch: Batch, translator: Translator) -> dict[str, Any]:
    """Make result.json: the outcomes, the model, and the words for mercure's messages."""
    model = translator.model.description
    return {
        **to_json(batch),
        "model": {"name": model.name, "sha256": model.sha256},
        NOTIFICATION: {
            "text": notification(batch),
            "requested": len(batch.of("done")) < len(batch.items),
        },
    }


def notification(batch: Batch) -> str:
    """Say in a line what became of the series, without names of a patient."""
    made = [*batch.of("done"), *batch.of("doubtful")]
    words = f"synthetic {str(batch.settings['to']).upper()} made of {len(made)} of {len(batch.items)} series"
    for state, word in (("doubtful", "doubtful"), ("failed", "refused")):
        if found := batch.of(state):
            words += f"; {len(found)} {word}: {found[0].reason}"
    return words


def _put(files: dict[str, Path], out: Path, result: dict[str, Any]) -> None:
    """Write all files into the output's folder, result.json last, or none of them."""
    with whole_outputs({out / name: False for name in (*files, RESULT)}, overwrite=True) as fresh:
        for name, path in files.items():
            shutil.move(path, fresh[out / name])
        fresh[out / RESULT].write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
