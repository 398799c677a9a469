"""Reading and writing a volume, ours beside nibabel's.

    python -m benchmarks.io --size 256

The volume is a phantom CT in int16. Times are the fastest of several turns, in ms; memory is the peak of
what Python allocated above the volume. The last line is one JSON object; a ratio above 1 means faster.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from monai.data import MetaTensor

from medtranslate.io import read_volume, write_volume
from medtranslate.phantom import HELD_OUT, study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    ct = study(HELD_OUT, size=options.size, spacing=256 / options.size).ct.round()
    image = nib.Nifti1Image(ct[0].numpy().astype(np.int16), ct.affine.numpy())
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            suffix: measure(ct, image, Path(folder), suffix, options.turns)
            for suffix in (".nii.gz", ".nii", ".mha", ".nrrd")
        }
    for suffix, row in rows.items():
        print(suffix, json.dumps(row))
    packed = rows[".nii.gz"]
    print(
        json.dumps(
            {
                "ratio": round(
                    (packed["nibabel_read_ms"] + packed["nibabel_write_ms"])
                    / (packed["read_ms"] + packed["write_ms"]),
                    2,
                ),
                "peak_mib": packed["peak_mib"],
                "volume_mib": round(ct.numel() * 4 / 2**20, 1),
            }
        )
    )


def measure(
    ct: MetaTensor, image: nib.Nifti1Image, folder: Path, suffix: str, turns: int
) -> dict[str, float]:
    """Times of reading and writing one format, and the peak memory of reading."""
    ours, theirs = folder / f"ours{suffix}", folder / f"theirs{suffix}"
    row = {"write_ms": fastest(lambda: write_volume(ct, ours, overwrite=True), turns)}
    row["read_ms"] = fastest(lambda: read_volume(ours), turns)
    row["mib"] = round(ours.stat().st_size / 2**20, 1)
    if suffix.startswith(".nii"):
        row["nibabel_write_ms"] = fastest(lambda: image.to_filename(theirs), turns)
        row["nibabel_read_ms"] = fastest(lambda: nib.load(theirs).get_fdata(dtype=np.float32), turns)
        row["nibabel_mib"] = round(theirs.stat().st_size / 2**20, 1)
    tracemalloc.start()
    read_volume(ours)
    row["peak_mib"] = round(tracemalloc.get_traced_memory()[1] / 2**20, 1)
    tracemalloc.stop()
    return row


def fastest(act: Callable[[], object], turns: int) -> float:
    """Milliseconds of the fastest turn."""
    times = []
    for _ in range(turns):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return round(1000 * min(times), 1)


if __name__ == "__main__":
    main()
