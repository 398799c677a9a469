"""The folder of a run: taken, begun, and given its model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from medtranslate.checkpoint import save_model
from medtranslate.config import TrainSettings, write_yaml
from medtranslate.errors import OutputExists
from medtranslate.runtime import check_free, whole_output
from medtranslate.runtime.locks import MOVES_OPEN_FILES, locked
from medtranslate.training.journal import TABLES, trim
from medtranslate.training.resume import CHECKPOINT, save
from medtranslate.training.state import State

LOCK = ".train.lock"
"""File that the process of a run holds; a run that was killed holds it no more, though it is still there."""

MODEL = "model"
"""Folder of the model of the last validation."""


def hold(settings: TrainSettings, held: ExitStack) -> None:
    """Take the lock of the run that lies in the folder, if one does, until `held` is closed.

    Raises:
        UsageError: the run lives.
    """
    if (settings.out / CHECKPOINT).is_file():
        held.enter_context(locked(settings.out / LOCK))


def require_vacant(settings: TrainSettings) -> None:
    """Refuse a folder that a new run may not take.

    Raises:
        OutputExists: it holds something, and `overwrite` is not set or medtranslate did not write it.
    """
    out = settings.out
    if out.is_dir() and not any(out.iterdir()):
        return
    check_free(out, overwrite=True)
    if out.exists() and not settings.overwrite:
        raise OutputExists(f"{out}: exists already; give --resume to go on or --overwrite to start anew")


def begin(settings: TrainSettings, state: State, data: Mapping[str, Any], held: ExitStack) -> None:
    """Put the folder of a new run in place, with a checkpoint that even the first step can be redone from.

    Args:
        data: facts about the images, for data.json.
        held: keeps the lock of the run that is replaced, and from here on that of the new one.

    Raises:
        UsageError: another run has begun in the folder meanwhile.
    """
    out = settings.out
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    with whole_output(out, overwrite=settings.overwrite, folder=True) as folder:
        (folder / "pictures").mkdir()
        _write_origin(settings, data, folder)
        save(settings, state, {}, folder / CHECKPOINT)
        # Looked at once more at the last moment: reading images takes minutes, in which another may begin.
        held.close()
        hold(settings, held)
        if MOVES_OPEN_FILES:
            held.enter_context(locked(folder / LOCK))
    if not MOVES_OPEN_FILES:  # another run may begin in the meantime, and then this one ends
        held.enter_context(locked(out / LOCK))


def keep_model(settings: TrainSettings, state: State, place: str = MODEL, kept: str = "") -> None:
    """Put a model folder in place of the one that may be there.

    Args:
        place: folder within the run.
        kept: reason why it is kept beside the last model.
    """
    with whole_output(settings.out / place, overwrite=True, folder=True) as folder:
        save_model(
            folder,
            state.average,
            state.means,
            name=settings.name,
            summary=settings.notes or f"{settings.name}: {state.images} images seen",
            network=settings.network,
            scale=settings.scale,
            anatomy=settings.anatomy,
            training={
                "ct": settings.ct,
                "mr": settings.mr,
                "unpaired": settings.unpaired,
                "anchor": settings.loss.anchor,
                "images": state.images,
                "seconds": round(state.seconds),
                "threads": torch.get_num_threads(),
                **({"kept": kept} if kept else {}),
                "validation": state.scores,
                "warnings": list(state.warnings.values()),
            },
            parent=state.parent,
            licence=state.parent and state.parent.licence,
            notice=state.notice,
        )


def go_on(settings: TrainSettings, state: State, data: Mapping[str, Any]) -> None:
    """Bring the folder of a run back to the moment of its checkpoint."""
    _write_origin(settings, data, settings.out)
    for name in TABLES:
        trim(settings.out / name, state.images)
    later = [
        path for path in settings.out.glob("kept/*") if path.name.isdigit() and int(path.name) > state.images
    ]
    for left_over in (
        *settings.out.glob(".medtranslate-*"),
        *settings.out.glob("kept/.medtranslate-*"),
        *later,
    ):
        shutil.rmtree(left_over, ignore_errors=True)


def _write_origin(settings: TrainSettings, data: Mapping[str, Any], folder: Path) -> None:
    write_yaml(settings, folder / "settings.yaml")
    (folder / "data.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
