"""What changes while training, and the folder in which it is kept."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medtranslate.checkpoint import save_model
from medtranslate.config import Modality, TrainSettings, plain, write_yaml
from medtranslate.errors import OutputExists, SettingsError
from medtranslate.jobs import check_free, whole_output
from medtranslate.model import Generators, ImagePool, VAECycleGAN

FREE = ("out", "resume", "overwrite", "images", "every", "device", "name", "notes", "val_ct", "val_mr")
"""Settings that may change when a run goes on."""


@dataclass
class State:
    """What changes while training; a checkpoint is this."""

    model: VAECycleGAN
    average: AveragedModel
    optimisers: dict[str, torch.optim.Optimizer]
    pools: dict[str, ImagePool]
    generator: torch.Generator
    images: int = 0
    seconds: float = 0.0


def fresh_state(settings: TrainSettings, device: torch.device) -> State:
    """The state before the first step."""
    model = VAECycleGAN(settings.network).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return State(
        model=model,
        average=AveragedModel(model.generators, multi_avg_fn=get_ema_multi_avg_fn(settings.ema)),
        optimisers={
            "generators": torch.optim.AdamW(
                model.generators.parameters(), lr=settings.learning_rate, betas=(0.5, 0.99), weight_decay=1e-4
            ),
            "discriminators": torch.optim.AdamW(
                model.discriminators.parameters(),
                lr=settings.discriminator_rate,
                betas=(0.5, 0.99),
                weight_decay=1e-4,
            ),
        },
        pools={"ct": ImagePool(settings.pool), "mr": ImagePool(settings.pool)},
        generator=torch.Generator().manual_seed(settings.seed),
    )


def prepare(settings: TrainSettings) -> None:
    """Make the run's folder, or check that there is one to go on from.

    Raises:
        OutputExists: the folder is there, and neither `resume` nor `overwrite` is set.
        SettingsError: there is nothing to resume.
    """
    out = settings.out
    if settings.resume:
        if not (out / "checkpoint.pt").is_file():
            raise SettingsError(f"{out}: no checkpoint.pt to resume from; train without --resume")
        return
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    if out.exists() and not settings.overwrite:
        raise OutputExists(f"{out}: exists already; give --resume to go on or --overwrite to start anew")
    check_free(out, overwrite=settings.overwrite)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pictures").mkdir()
    write_yaml(settings, out / "settings.yaml")


def keep(
    settings: TrainSettings, state: State, means: Mapping[Modality, Tensor], scores: Mapping[str, float]
) -> None:
    """Put model folder and checkpoint in place of the last ones, and the scores below theirs."""
    out = settings.out
    with csv_log(out / "validation.csv") as log:
        log({"images": state.images, "seconds": round(state.seconds, 1), **scores})
    with whole_output(out / "model", overwrite=True, folder=True) as folder:
        save_model(
            folder,
            averaged(state),
            means,
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
                "validation": dict(scores),
            },
        )
    # Torch hides the system's error when it opens the file itself; a full disk must be told from a bug.
    with whole_output(out / "checkpoint.pt", overwrite=True, folder=False) as path, path.open("wb") as file:
        torch.save(_snapshot(settings, state), file)


def averaged(state: State) -> Generators:
    """The generators of which the weights are the moving average."""
    average = state.average.module
    assert isinstance(average, Generators)
    return average


def _snapshot(settings: TrainSettings, state: State) -> dict[str, Any]:
    return {
        "settings": plain(settings),
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in state.optimisers.items()},
        "pools": {name: pool.images for name, pool in state.pools.items()},
        "random": {"batches": state.generator.get_state(), "torch": torch.get_rng_state()},
        "images": state.images,
        "seconds": state.seconds,
    }


def restore(settings: TrainSettings, state: State, path: Path) -> None:
    """Go on from a checkpoint.

    Raises:
        SettingsError: it was made with other settings than these; names them.
    """
    saved = torch.load(path, map_location="cpu", weights_only=True)
    now, then = plain(settings), saved["settings"]
    differ = [key for key in now if key not in FREE and now[key] != then.get(key)]
    if differ:
        raise SettingsError(
            f"{path}: made with other {', '.join(differ)}; resume with those of settings.yaml"
        )
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    for name, optimiser in state.optimisers.items():
        optimiser.load_state_dict(saved["optimisers"][name])
    for name, pool in state.pools.items():
        pool.images = saved["pools"][name]
    state.generator.set_state(saved["random"]["batches"])
    torch.set_rng_state(saved["random"]["torch"])
    state.images, state.seconds = saved["images"], saved["seconds"]


@contextmanager
def csv_log(path: Path) -> Iterator[Callable[[dict[str, float]], None]]:
    """Append rows to a CSV; the first row of a new file brings the header."""
    with path.open("a", newline="", encoding="utf-8") as file:

        def write(row: dict[str, float]) -> None:
            writer = csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" for key, value in row.items()})
            file.flush()

        yield write
