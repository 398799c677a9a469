"""One process or many: where a training runs, and what its processes have to agree on.

Each process holds a replica of the networks and draws batches of its own; gradients are averaged (Fabric's
DDP). The first process alone validates, writes and speaks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from torch import Tensor

from medtranslate.config import TrainSettings
from medtranslate.device import choose_device, choose_precision
from medtranslate.errors import Diverged, Interrupted, RunFailed, SettingsError


def placed(settings: TrainSettings) -> TrainSettings:
    """Take over the number of devices and nodes that torchrun has started, where it has.

    Raises:
        SettingsError: one device is named, and several are asked for.
    """
    if torch.distributed.is_torchelastic_launched():
        world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        settings = replace(settings, devices=local, nodes=world // local)
    if ":" in settings.device and settings.devices * settings.nodes > 1:
        raise SettingsError(
            f"--device {settings.device} names one device, --devices {settings.devices} --nodes"
            f" {settings.nodes} ask for more; give --device cuda"
        )
    return settings


def open_fabric(settings: TrainSettings) -> Fabric:
    """Open Fabric for these settings, every process seeded alike; `launch` starts the other processes.

    Raises:
        RunFailed: this machine has not the devices that are asked for.
    """
    device = choose_device(settings.device)
    many = settings.devices * settings.nodes > 1
    if device.type == "cuda" and settings.devices > torch.cuda.device_count():
        raise RunFailed(
            f"--devices {settings.devices}: this machine has {torch.cuda.device_count()} CUDA devices;"
            " ask for fewer, or take --device cpu"
        )
    precision = choose_precision(settings.precision, device)
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" and not many else settings.devices,
        num_nodes=settings.nodes,
        strategy="ddp" if many else "auto",
        precision="bf16-mixed" if precision is torch.bfloat16 else "32-true",
    )
    torch.backends.cudnn.benchmark = device.type == "cuda"  # every step has the same shapes
    fabric.seed_everything(settings.seed, verbose=False)
    return fabric


def any_process(fabric: Fabric, vote: bool) -> bool:
    """Tell whether any process votes so; all of them must ask at the same point."""
    if fabric.world_size == 1:
        return vote
    votes = fabric.all_reduce(torch.tensor(float(vote), device=fabric.device), reduce_op="sum")
    assert isinstance(votes, Tensor)
    return bool(votes > 0)


def gathered(fabric: Fabric, images: list[Tensor]) -> list[Tensor]:
    """Gather the images of all processes, those of the first one first; each must hold as many."""
    if fabric.world_size == 1 or not images:
        return images
    stacked = fabric.all_gather(torch.stack(images))
    assert isinstance(stacked, Tensor)
    return list(stacked.flatten(0, 1))


def own_share(fabric: Fabric, images: list[Tensor]) -> list[Tensor]:
    """Take the part of `gathered` images that falls to this process."""
    share = len(images) // fabric.world_size
    return images[fabric.global_rank * share :][:share]


@contextmanager
def together(fabric: Fabric) -> Iterator[None]:
    """Report an error of all processes once, by the first; the loss of another process in one line.

    Raises:
        RunFailed: a process can't be reached any more; it is that one which knows why.
    """
    try:
        yield
    except (Diverged, Interrupted) as error:
        if fabric.is_global_zero:
            raise
        raise SystemExit(error.exit_code) from error
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or "connection" in str(error).lower()
        if fabric.world_size == 1 or not lost:
            raise
        raise RunFailed(
            f"process {fabric.global_rank} of {fabric.world_size} has lost the others; see their messages,"
            " and go on with --resume"
        ) from error
