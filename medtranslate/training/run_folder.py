"""What changes while training, and the folder in which it is kept.

A checkpoint holds everything that the next step reads, so that a run that goes on from it is, on the same
machine and CPU, bit for bit the run that never stopped. It is read without unpickling code.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from lightning_fabric import Fabric
from torch import Tensor

from medtranslate.checkpoint import save_model
from medtranslate.config import Modality, TrainSettings, build, plain, write_yaml
from medtranslate.errors import OutputExists, SettingsError, Unreadable
from medtranslate.model import Generators, ImagePool, VAECycleGAN
from medtranslate.runtime import check_free, whole_output
from medtranslate.runtime.locks import locked
from medtranslate.training.diagnostics import WINDOW
from medtranslate.training.distributed import gathered, own_share
from medtranslate.training.journal import TABLES, trim

SCHEMA = "medtranslate/checkpoint/2"

CHECKPOINT = "checkpoint.pt"

LOCK = ".train.lock"
"""File that the process of a run holds; a run that was killed holds it no more, though it is still there."""

FREE = (
    *("out", "resume", "overwrite", "every", "device", "workers", "capture", "cache"),
    *("name", "notes", "tensorboard", "gate"),
)
"""Settings that may change when a run goes on: nothing that is learnt depends on them."""

STEERING = ("images", "learning_rate", "discriminator_rate", "decay", "precision", "devices", "nodes")
"""Settings that may change too, but then it is another run than one that never stopped, and says so."""

SAME_DATA = 1e-3
"""Largest difference of mean training slices (in [-1, 1]) that are taken for those of the same images:
what another machine's arithmetic may change, and far less than a single image does."""


@dataclass
class State:
    """What changes while training; a checkpoint is this.

    Attributes:
        average: exponential moving average of the generators.
        means: mean framed training slice of each modality; tells whether the images are the same.
        judged: the discriminators' losses of the last steps.
        scores: of the last validation.
        warnings: signs of failure met so far, and changes of the settings, by name.
    """

    model: VAECycleGAN
    average: Generators
    optimisers: dict[str, torch.optim.Optimizer]
    pools: dict[str, ImagePool]
    device: torch.device
    means: dict[Modality, Tensor]
    judged: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    scores: dict[str, float] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0


def fresh_state(settings: TrainSettings, means: dict[Modality, Tensor], device: torch.device) -> State:
    """The state before the first step."""
    model = VAECycleGAN(settings.network).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return State(
        model=model,
        average=deepcopy(model.generators).requires_grad_(False),
        optimisers={
            name: torch.optim.AdamW(
                side.parameters(), lr=rate, betas=(0.5, 0.99), weight_decay=1e-4, fused=True
            )
            for name, side, rate in (
                ("generators", model.generators, settings.learning_rate),
                ("discriminators", model.discriminators, settings.discriminator_rate),
            )
        },
        pools={"ct": ImagePool(settings.pool), "mr": ImagePool(settings.pool)},
        device=device,
        means=means,
    )


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
        data: what was read from the images, for data.json.
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
        _save(settings, state, {}, folder / CHECKPOINT)
        # Looked at once more at the last moment: reading images takes minutes, in which another may begin.
        held.close()
        hold(settings, held)
        held.enter_context(locked(folder / LOCK))


def keep_model(settings: TrainSettings, state: State) -> None:
    """Put a model folder in place of the last one."""
    with whole_output(settings.out / "model", overwrite=True, folder=True) as folder:
        save_model(
            folder,
            state.average,
            state.means,
            name=settings.name,
            summary=settings.notes or f"{settings.name}: {state.images} images seen",
            network=settings.network,
            scale=settings.scale,
            training={
                "ct": settings.ct,
                "mr": settings.mr,
                "unpaired": settings.unpaired,
                "anchor": settings.loss.anchor,
                "images": state.images,
                "seconds": round(state.seconds),
                "threads": torch.get_num_threads(),
                "validation": state.scores,
                "warnings": list(state.warnings.values()),
            },
        )


def keep_checkpoint(settings: TrainSettings, state: State, fabric: Fabric) -> None:
    """Put a checkpoint in place of the last one; every process gives its part, the first one writes."""
    pools = {name: gathered(fabric, pool.images) for name, pool in state.pools.items()}
    if fabric.is_global_zero:
        with whole_output(settings.out / CHECKPOINT, overwrite=True, folder=False) as path:
            _save(settings, state, pools, path)


def _save(settings: TrainSettings, state: State, pools: Mapping[str, list[Tensor]], path: Path) -> None:
    values = {
        "schema": SCHEMA,
        "settings": plain(settings),
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in state.optimisers.items()},
        "pools": {name: pools.get(name, []) for name in state.pools},
        "means": state.means,
        "judged": list(state.judged),
        "scores": state.scores,
        "warnings": state.warnings,
        "images": state.images,
        "seconds": state.seconds,
    }
    # Torch hides the system's error when it opens the file itself; a full disk must be told from a bug.
    with path.open("wb") as file:
        torch.save(values, file)


def read_checkpoint(settings: TrainSettings) -> dict[str, Any]:
    """The checkpoint in the run's folder.

    Raises:
        SettingsError: there is none, or it was made with other settings than these; names them.
        Unreadable: it is damaged, foreign or of another version.
    """
    path = settings.out / CHECKPOINT
    if not path.is_file():
        raise SettingsError(
            f"{settings.out}: holds no checkpoint.pt, so no run to resume; name a run's folder,"
            " or train without --resume"
        )
    try:
        with ZipFile(path) as archive:
            if broken := archive.testzip():  # torch itself does not compare the checksums it writes
                raise BadZipFile(broken)
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of foreign bytes torch's readers raise almost anything
        raise Unreadable(f"{path}: damaged, or no checkpoint ({type(error).__name__}); {_ANEW}") from None
    schema = saved.get("schema") if isinstance(saved, dict) else None
    if schema != SCHEMA or not isinstance(saved.get("settings"), dict):
        raise Unreadable(f"{path}: no checkpoint of this version ({schema!r}, not {SCHEMA!r}); {_ANEW}")
    differ = [name for name in _changed(settings, saved) if name not in FREE + STEERING]
    if differ:
        raise SettingsError(
            f"{path}: made with other {', '.join(differ)}; resume with those of settings.yaml"
        )
    return dict(saved)


_ANEW = "train anew with --overwrite"


def restore(
    settings: TrainSettings, state: State, data: Mapping[str, Any], saved: Mapping[str, Any], fabric: Fabric
) -> None:
    """Go on from a checkpoint: the state as it was, and the folder without what came after.

    The checkpoint may be that of another number of processes.

    Raises:
        SettingsError: the training images are not those of the checkpoint.
        Unreadable: the checkpoint's parts do not fit this version's networks.
    """
    path = settings.out / CHECKPOINT
    try:
        _load(state, saved, fabric)
        same = all(
            torch.allclose(mean, saved["means"][modality], rtol=0, atol=SAME_DATA)
            for modality, mean in state.means.items()
        )
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise Unreadable(f"{path}: does not fit this version ({type(error).__name__}); {_ANEW}") from None
    if not same:
        raise SettingsError(
            f"{path}: made with other images than ct and mr hold now; put those back, or {_ANEW}"
        )
    for name in _changed(settings, saved):
        if name in STEERING:
            before, now = saved["settings"][name], getattr(settings, name)
            state.warnings[f"{name}_changed_{state.images}"] = (
                f"{name} became {now} instead of {before} after {state.images} images: this is no longer"
                " the run that either alone would have been"
            )
    if not fabric.is_global_zero:
        return
    _write_origin(settings, data, settings.out)
    for name in TABLES:
        trim(settings.out / name, state.images)
    for left_over in settings.out.glob(".medtranslate-*"):
        shutil.rmtree(left_over, ignore_errors=True)


def _write_origin(settings: TrainSettings, data: Mapping[str, Any], folder: Path) -> None:
    write_yaml(settings, folder / "settings.yaml")
    (folder / "data.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _changed(settings: TrainSettings, saved: Mapping[str, Any]) -> list[str]:
    now, then = plain(settings), plain(build(TrainSettings, saved["settings"], CHECKPOINT))
    return [name for name in now if now[name] != then[name]]


def _load(state: State, saved: Mapping[str, Any], fabric: Fabric) -> None:
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    for name, optimiser in state.optimisers.items():
        optimiser.load_state_dict(saved["optimisers"][name])
    for name, pool in state.pools.items():
        images = own_share(fabric, saved["pools"][name])[: pool.size]
        pool.images = [image.to(state.device) for image in images]
    state.judged.extend(saved["judged"])
    state.scores, state.warnings = dict(saved["scores"]), dict(saved["warnings"])
    state.images, state.seconds = int(saved["images"]), float(saved["seconds"])
