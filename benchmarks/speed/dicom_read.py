"""Times reading a DICOM series, with all checks, beside dcm2niix, and measures its memory.

    python -m benchmarks.speed.dicom_read [FOLDER]

Without a folder, a series of 200 slices of 512 x 512 is made. Each program runs `RUNS` times in turn, on
files that the system has cached, and the shortest counts. Ours is timed within a process that has its
libraries loaded; dcm2niix writes a plain NIfTI, as it has no other way to hand over an image.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dcm2niix
import numpy as np

from medtranslate.io import Meta, Volume, dicom_read, read_volume, write_volume

RUNS = 5
SHAPE = (512, 512, 200)


def make(folder: Path) -> None:
    """Write a CT of noise within a head's range of values."""
    values = np.random.default_rng(0).integers(-1000, 2000, SHAPE).astype(np.float32)
    write_volume(Volume(values, np.diag([-0.5, -0.5, 1.0, 1.0]), Meta(modality="ct")), folder)


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "series", Path(name) / "out"
        out.mkdir()
        if len(sys.argv) > 1:
            folder = Path(sys.argv[1])
        else:
            make(folder)

        def other() -> None:
            options = ["-z", "n", "-b", "n", "-w", "1", "-o", str(out), "-f", "x", str(folder)]
            dcm2niix.main(options, capture_output=True)

        ways: dict[str, Callable[[], object]] = {
            "dcm2niix": other,
            "reading, all checks": lambda: dicom_read.read(folder),
            "the same and a digest": lambda: read_volume(folder),
        }
        times = {way: min(seconds(act) for _ in range(RUNS)) for way, act in ways.items()}
        peak, volume = memory(folder)
    for way, taken in times.items():
        print(f"{way:24} {1000 * taken:8.0f} ms  {taken / times['dcm2niix']:5.2f}")
    print(f"{'memory over the volume':24} {(peak - volume) / 2**20:8.0f} MiB")
    print(
        json.dumps(
            {
                "ratio": round(times["reading, all checks"] / times["dcm2niix"], 3),
                "ratio_with_digest": round(times["the same and a digest"] / times["dcm2niix"], 3),
                "memory_over_volume_mb": round((peak - volume) / 1e6, 1),
            }
        )
    )


def memory(folder: Path) -> tuple[int, int]:
    """Measure the bytes that reading adds to a process at its peak, and those of the volume."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder)], capture_output=True, text=True, check=True
    )
    peak, volume = map(int, done.stdout.split())
    return peak, volume


_CHILD = """
import sys
from pathlib import Path
from benchmarks.speed.memory import peak_mib
from medtranslate.io import read_volume
before = peak_mib("cpu")
volume = read_volume(Path(sys.argv[1]))
print(round((peak_mib("cpu") - before) * 2**20), volume.values.nbytes)
"""

if __name__ == "__main__":
    main()
