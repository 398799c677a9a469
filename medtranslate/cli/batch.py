"""`medtranslate batch`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import BatchSettings


def act(settings: BatchSettings, quiet: bool) -> Answer:
    """Translate what is not finished, and say what became of each item."""
    from medtranslate.batch import run_batch
    from medtranslate.result import Batch, to_json

    batch: Batch = run_batch(settings, quiet=quiet)
    table = [f"{'':9}{'volumes':>8}{'slices':>9}{'seconds':>10}"]
    for state in ("done", "skipped", "failed"):
        items = batch.of(state)
        slices, seconds = sum(item.slices for item in items), sum(item.seconds for item in items)
        table.append(f"{state:9}{len(items):8}{slices:9}{seconds:10.1f}")
    told = [*table, f"written in {batch.seconds:.1f} s: {settings.out / 'overview.html'}"]
    lost = batch.of("failed")
    failure = ""
    if lost:
        left = f", and {batch.left} were not tried" if batch.left else ""
        failure = (
            f"{len(lost)} of {len(batch.items) + batch.left} items failed{left};"
            f" see {settings.out / 'summary.csv'}"
        )
    return Answer(
        to_json(batch), told, [f"failed: {item.name}: {item.reason}" for item in lost], failure=failure
    )


command = SettingsCommand(
    "batch",
    BatchSettings,
    act,
    "batch",
    help="""Translate everything in SOURCE that is not finished in OUT: a folder tree of volumes, DICOM
    series and pictures, a BIDS dataset, or a CSV. The same command goes on where it was left, and makes
    anew what has changed.

    Writes summary.csv, overview.html and batch.jsonl into OUT; ends with 4 if items failed.""",
    arguments=("source", "out"),
)
