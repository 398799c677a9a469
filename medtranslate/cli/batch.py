"""`medtranslate batch`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import BatchSettings


def act(settings: BatchSettings, quiet: bool) -> Answer:
    """Translate what is not finished, and say what became of each item."""
    from medtranslate.batch import run_batch
    from medtranslate.records import Batch, to_json

    batch: Batch = run_batch(settings, quiet=quiet)
    table = [f"{'':9}{'volumes':>8}{'slices':>9}{'seconds':>10}"]
    for state in ("done", "skipped", "doubtful", "failed"):
        items = batch.of(state)
        slices, seconds = sum(item.slices for item in items), sum(item.seconds for item in items)
        table.append(f"{state:9}{len(items):8}{slices:9}{seconds:10.1f}")
    told = [*table, f"written in {batch.seconds:.1f} s: {settings.out / 'overview.html'}"]
    lost, doubted = batch.of("failed"), batch.of("doubtful")
    failure = ""
    if lost or doubted:
        left = f", and {batch.left} were not tried" if batch.left else ""
        counts = {"failed": len(lost), "doubtful": len(doubted)}
        wrong = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        total = len(batch.items) + batch.left
        failure = f"of {total} items: {wrong}{left}; see {settings.out / 'summary.csv'}"
    warnings = [f"{item.state}: {item.name}: {item.reason}" for item in (*lost, *doubted)]
    return Answer(to_json(batch), told, warnings, failure=failure)


command = SettingsCommand(
    "batch",
    BatchSettings,
    act,
    "batch",
    help="""Translate everything in SOURCE that is not finished in OUT: a folder tree of volumes, DICOM
    series and pictures, a BIDS dataset, or a CSV. The same command goes on where it was left, and makes
    anew what has changed.

    Writes summary.csv, overview.html and batch.jsonl into OUT; ends with 4 if items failed
    or are doubtful: these are translated, and something speaks against what came out.""",
    arguments=("source", "out"),
)
