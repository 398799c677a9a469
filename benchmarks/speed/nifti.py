"""Times reading and writing a volume, ours beside nibabel's.

    python -m benchmarks.speed.nifti [--full]

The volume is a phantom CT of 256^3 voxels in int16. All ways take turns (3, with --full 9) and the fastest
turn of each counts, in ms; memory is the peak of what Python allocated above the volume. The last line is
one JSON object: `ratio` is nibabel's time for `.nii.gz`, read and written, over ours.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medtranslate.io import read_volume, write_volume
from medtranslate.phantom import HELD_OUT, study

SUFFIXES = (".nii.gz", ".nii", ".mha", ".nrrd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="more turns")
    turns = 9 if parser.parse_args().full else 3
    ct = study(HELD_OUT, size=256, spacing=1.0).ct
    ct = ct.with_values(ct.values.round())
    image = nib.Nifti1Image(ct.values.astype(np.int16), ct.affine)
    with tempfile.TemporaryDirectory() as name:
        ours = {suffix: Path(name) / f"ours{suffix}" for suffix in SUFFIXES}
        theirs = {suffix: Path(name) / f"theirs{suffix}" for suffix in SUFFIXES[:2]}
        ways: dict[tuple[str, str, str], Callable[[], object]] = {}
        for suffix, path in ours.items():
            ways["write", suffix, "ours"] = partial(write_volume, ct, path, overwrite=True)
            ways["read", suffix, "ours"] = partial(read_volume, path)
        for suffix, path in theirs.items():
            ways["write", suffix, "nibabel"] = partial(image.to_filename, path)
            ways["read", suffix, "nibabel"] = partial(loaded, path)
        times = {way: min(found) for way, found in in_turns(ways, turns).items()}
        sizes = {suffix: path.stat().st_size for suffix, path in ours.items()}
        peak = peak_bytes(lambda: read_volume(ours[".nii.gz"])) - ct.values.nbytes
    for (act, suffix, whose), taken in sorted(times.items()):
        print(f"{act:5} {suffix:7} {whose:8} {taken:8.1f} ms  {sizes[suffix] / 2**20:6.1f} MiB")
    both = {
        whose: times["read", ".nii.gz", whose] + times["write", ".nii.gz", whose]
        for whose in ("nibabel", "ours")
    }
    print(
        json.dumps(
            {
                "ratio": round(both["nibabel"] / both["ours"], 2),
                "peak_above_volume_mib": round(peak / 2**20, 1),
                "volume_mib": round(ct.values.nbytes / 2**20, 1),
            }
        )
    )


def loaded(path: Path) -> object:
    """Read the values of a NIfTI file by nibabel."""
    image: Any = nib.load(path)
    return image.get_fdata(dtype=np.float32)


def in_turns(
    ways: dict[tuple[str, str, str], Callable[[], object]], turns: int
) -> dict[tuple[str, str, str], list[float]]:
    """Time each way, turn by turn, in milliseconds."""
    found: dict[tuple[str, str, str], list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, act in ways.items():
            started = time.perf_counter()
            act()
            found[way].append(1000 * (time.perf_counter() - started))
    return found


def peak_bytes(act: Callable[[], object]) -> int:
    """Measure the most that Python held at once for `act`."""
    tracemalloc.start()
    act()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
