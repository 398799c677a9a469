"""`medtranslate batch`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import BatchSettings

if TYPE_CHECKING:
    from medtranslate.records import Batch


def act(settings: BatchSettings, quiet: bool) -> Answer:
    """Translate unfinished items, and count the results."""
    from medtranslate.batch import run_batch
    from medtranslate.batch.folder import part_of

    return answer(run_batch(settings, quiet=quiet), settings.out, part_of(settings))


def answer(batch: Batch, out: Path, part: str = "", wrong: Sequence[str] = ("failed", "doubtful")) -> Answer:
    """Count the results of a batch.

    Args:
        part: the participant whose batch it was; empty for all.
        wrong: states for which the command ends with `SOME_FAILED`.
    """
    from medtranslate.batch.folder import own
    from medtranslate.records import to_json

    table = [f"{'':9}{'volumes':>8}{'slices':>9}{'seconds':>10}"]
    for state in ("done", "skipped", "doubtful", "failed"):
        items = batch.of(state)
        slices, seconds = sum(item.slices for item in items), sum(item.seconds for item in items)
        table.append(f"{state:9}{len(items):8}{slices:9}{seconds:10.1f}")
    lines = [*table, f"written in {batch.seconds:.1f} s: {out / own('overview.html', part)}"]
    lost, doubted = batch.of("failed"), batch.of("doubtful")
    failure = ""
    counts = {state: len(batch.of(state)) for state in wrong}
    if any(counts.values()):
        left = f", and {batch.left} were not tried" if batch.left else ""
        listed = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        total = len(batch.items) + batch.left
        failure = f"of {total} items: {listed}{left}; see {out / own('summary.csv', part)}"
    warnings = [f"{item.state}: {item.name}: {item.reason}" for item in (*lost, *doubted)]
    return Answer(to_json(batch), lines, warnings, failure=failure)


command = SettingsCommand(
    "batch",
    BatchSettings,
    act,
    "batch",
    help="""Translate everything in SOURCE that OUT does not hold yet: a folder tree of volumes, DICOM series
    and pictures, a BIDS dataset, or a CSV. After an interruption the same command continues; inputs that
    have changed are translated again.

    Writes summary.csv, overview.html and batch.jsonl into OUT. Ends with 4 if items failed, or are
    doubtful: translated, but with signs that the result is wrong.""",
    arguments=("source", "out"),
    sections={
        "Input options": (
            *("select", "nan_to", "picture_hu", "window", "participant_label", "session_id"),
            *("bids_filter_file", "follow_links"),
        ),
        "Output options": ("format", "regrid", "compress", "burn_in", "preview"),
        "Machine options": ("precision", "planes", "device", "workers", "cluster"),
    },
)
