"""Times writing a derived DICOM series beside pydicom's plain `save_as` of the same files.

    python -m benchmarks.speed.dicom_write --slices 200 --size 512

Both write the same finished content: ours starts from the voxels and the source's files, plain from data
sets in memory. Times are CPU seconds, the least of several turns; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread

from medtranslate.io import Meta, Volume, dicom_write, read_volume, write_volume
from medtranslate.records import Derivation, ModelInfo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    shape = (options.size, options.size, options.slices)
    values = np.random.default_rng(0).integers(-1000, 2000, shape).astype(np.float32)
    model = ModelInfo(name="benchmark", sha256="0" * 64, to="mr", output_range=(0, 1000), unit="")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = Volume(values, np.eye(4), Meta(modality="ct", study="x"))
        write_volume(scan, folder / "source")
        source = read_volume(folder / "source")
        (folder / "ours").mkdir()
        (folder / "plain").mkdir()
        times: dict[str, float] = {}
        for key, compress in (("ours", False), ("compressed", True)):
            derivation = Derivation(model=model, source="ct", compress=compress)
            act = partial(dicom_write.write, source, folder / "ours", source, derivation)
            times[key] = least(options.turns, act)
            if key == "ours":
                images = [dcmread(path) for path in sorted((folder / "ours").iterdir())]
                for image in images:
                    image.decode()
        times["plain"] = least(options.turns, lambda: save(images, folder / "plain"))
    rounded = {name: round(seconds, 3) for name, seconds in times.items()}
    print(json.dumps({**rounded, "ratio": round(times["ours"] / times["plain"], 2)}))


def save(images: Sequence[Dataset], folder: Path) -> None:
    for index, image in enumerate(images):
        image.save_as(folder / f"{index}.dcm", enforce_file_format=True)


def least(turns: int, act: Callable[[], object]) -> float:
    seconds = []
    for _ in range(turns):
        started = time.process_time()
        act()
        seconds.append(time.process_time() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
