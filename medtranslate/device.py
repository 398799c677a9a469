"""Choice of device and arithmetic."""

from __future__ import annotations

import torch

from medtranslate.config import Precision
from medtranslate.errors import RunFailed


def choose_device(name: str) -> torch.device:
    """The device that `--device` asks for; `auto` takes the first CUDA device, else the CPU.

    Raises:
        RunFailed: a CUDA device is asked for that this machine has not.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RunFailed(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices;"
            " take --device cpu or auto"
        )
    return device


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Arithmetic of convolutions and matrix products; `auto` is bfloat16 where CUDA has it."""
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
