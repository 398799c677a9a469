"""Makes models and volumes of given sizes, for timing alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from medtranslate.checkpoint import Model, save_model
from medtranslate.config import NetworkSettings, ScaleSettings
from medtranslate.io import Volume
from medtranslate.model import Generators


def make_model(folder: Path, size: int) -> None:
    """Write an untrained model of so many pixels."""
    network = NetworkSettings(size=size)
    torch.manual_seed(0)
    folder.mkdir()
    save_model(
        folder,
        Generators(network),
        {"ct": torch.zeros(1, size, size), "mr": torch.zeros(1, size, size)},
        name="untrained",
        summary="for timing",
        network=network,
        scale=ScaleSettings(),
        training={},
    )


def resized(volume: Volume, shape: tuple[int, int, int], noise: float = 0.0) -> Volume:
    """Resample a volume to another number of voxels in the same place.

    Args:
        noise: standard deviation of what is added, so that files do not shrink.
    """
    values = torch.from_numpy(np.ascontiguousarray(volume.values))[None, None]
    made = functional.interpolate(values, shape, mode="trilinear")[0, 0].numpy()
    made = made + np.random.default_rng(0).normal(0, noise, shape)
    steps = [old / new for old, new in zip(volume.shape, shape, strict=True)]
    return Volume(made.clip(0).round(), volume.affine @ np.diag([*steps, 1.0]), volume.meta)


def pass_through(model: Model, framed: Sequence[torch.Tensor]) -> None:
    """Put batches of framed MR slices through the network into CT, in the model's precision."""
    fast = model.precision is not torch.float32
    with torch.inference_mode(), torch.autocast(model.device.type, model.precision, enabled=fast):
        for slices in framed:
            model.translator("ct")(slices).image.cpu()
