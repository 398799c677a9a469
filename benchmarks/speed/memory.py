"""Reads the peak memory of a benchmark."""

from __future__ import annotations

import re
from pathlib import Path

import torch


def peak_mib(device: str) -> float:
    """Return the peak memory in MiB: of the device, or of this process."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")
