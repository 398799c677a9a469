"""Choice of device and arithmetic."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch

from medtranslate.config import Precision
from medtranslate.errors import RunFailed


def choose_device(name: str) -> torch.device:
    """Choose the device that `--device` names; `auto` takes the first CUDA device, else the CPU.

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


def fast_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Arithmetic of a translation; `auto` is bfloat16 where the device computes in it, CPUs included.

    Training on a CPU stays in float32 (`choose_precision`).
    """
    if precision == "auto" and device.type == "cpu":
        # Others have bfloat16 by conversion at best, which gains nothing.
        return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
    return choose_precision(precision, device)


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated on a device at once; of a CPU, what the system and a container leave.

    Where that is not known (it is under Linux), 2 GiB.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    known = [1024 * number for number in _numbers("/proc/meminfo", "MemAvailable:")]
    # Memory of a container (cgroup v2): its limit less what is not merely cached.
    limit, used = _numbers("/sys/fs/cgroup/memory.max"), _numbers("/sys/fs/cgroup/memory.stat", "anon")
    known += [total - taken for total, taken in zip(limit, used, strict=False)]
    return max(0, min(known, default=2**31))


def _numbers(path: str, name: str | None = None) -> list[int]:
    """Read the number in a system file, or beside a name in it; nothing if there is none."""
    with suppress(OSError):
        rows = [line.split() for line in Path(path).read_text(encoding="ascii").splitlines()]
        found = [row[:1] if name is None else row[1:2] for row in rows if name in (None, row[0])]
        return [int(word) for words in found for word in words if word.isdigit()]
    return []


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Arithmetic of convolutions and matrix products; `auto` is bfloat16 where CUDA has it."""
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
