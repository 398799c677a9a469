"""`medtranslate prepare`."""

from __future__ import annotations

from typing import Any

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import PrepareSettings


def act(settings: PrepareSettings, quiet: bool) -> Answer:
    """Prepare pictures."""
    from medtranslate.data import prepare_pictures

    record = prepare_pictures(settings, quiet=quiet)
    lines = [_line(modality, record[modality]) for modality in ("ct", "mr")]
    warnings = [f"left out: {reason}" for modality in ("ct", "mr") for reason in record[modality]["unusable"]]
    return Answer(record, [*lines, f"written: {settings.out}"], warnings)


def _line(modality: str, counts: dict[str, Any]) -> str:
    parts = [
        f"{counts['read']} read",
        f"{counts['blank']} blank left out" if counts["blank"] else "",
        f"{counts['copies_left_out']} copies left out",
        f"{len(counts['looks_like_ct'])} look like CT" if modality == "mr" else "",
        f"{counts['groups']} groups",
        f"{counts['train']} train",
        f"{counts['val']} val",
    ]
    return f"{modality}: " + ", ".join(filter(None, parts))


command = SettingsCommand(
    "prepare",
    PrepareSettings,
    act,
    "data",
    help="""Prepare pictures for training: SOURCE holds folders of CT and of MR pictures (trainA, testA,
    trainB, testB in the "CT to MRI CGAN" set); OUT gets train/ct, train/mr, val/ct and val/mr.

    Similar pictures form a group, and a group is never split between training and validation. Copies are
    left out. MR pictures that look like CT go to ct-among-mr. prepared.json lists all of it.""",
    arguments=("source", "out"),
)
