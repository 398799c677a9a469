"""Measures how bright tissues are in MR of one contrast, and how `translate` names it.

    python -m benchmarks.quality.contrasts --model head-ct FILE ...
    python -m benchmarks.quality.contrasts --model head-ct --sorted DATA/brain-ct-mr/valB

Prints, for each tissue of `phantom.TOLD`, the quartiles over the files, where black is 0 and white 1, as
named contrasts of `phantom.tissues` need them; then how many files have which name in the record of their
translation to CT. --sorted prints instead, of each contrast of `contrasts.yaml`, how many of its pictures
have the right name, one of two that could not be told apart, or a wrong one. A file that shows no head is
counted and left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
import yaml

from medtranslate.checkpoint import Model, load_model
from medtranslate.config.types import Contrast
from medtranslate.errors import InputRefused
from medtranslate.io import read_volume
from medtranslate.phantom import TOLD
from medtranslate.records import SeenContrast
from medtranslate.translation import sample_volume

SORTED = Path(__file__).with_suffix(".yaml")

ALIKE: dict[Contrast, Contrast] = {"t1c": "t1"}
"""Contrasts that were sorted as another."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--sorted", type=Path, metavar="FOLDER", help="of the pictures of contrasts.yaml")
    parser.add_argument("--model", default="head-ct")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model, torch.device("cpu"))
    if options.sorted:
        print("| pictures | right | one of two | wrong |\n| --- | --- | --- | --- |")
        for kind, names in yaml.safe_load(SORTED.read_text()).items():
            files = [options.sorted / f"{name}.jpg" for name in names]
            found = Counter(verdict(kind, seen) for seen in contrasts(files, model))
            counts = " | ".join(str(found[each]) for each in ("right", "one of two", "wrong"))
            print(f"| {found.total()} {kind} | {counts} |", flush=True)
    if options.files:
        brightness(list(contrasts(options.files, model)), len(options.files))


def contrasts(files: Iterable[Path], model: Model) -> Iterator[SeenContrast]:
    """Yield the contrast that the record of each file's translation to CT has."""
    for path in files:
        try:
            seen = sample_volume(read_volume(path, modality="mr"), model, "ct").record.contrast
        except InputRefused as error:
            print(error)
            continue
        assert seen is not None
        yield seen


def verdict(true: Contrast, seen: SeenContrast) -> str:
    """Judge the name of a contrast."""
    named = {ALIKE.get(each, each) for each in (seen.nearest, seen.second) if each}
    if true not in named:
        return "wrong"
    return "right" if len(named) == 1 else "one of two"


def brightness(found: list[SeenContrast], files: int) -> None:
    """Print how bright tissues are, and the names."""
    shares = (np.array([[*seen.brightness.values()] for seen in found]) + 1) / 2
    print(f"\n{len(found)} of {files} files\n")
    print("| tissue | quartile | median | quartile |\n| --- | --- | --- | --- |")
    for tissue, (low, middle, high) in zip(TOLD, np.percentile(shares, (25, 50, 75), axis=0).T, strict=True):
        print(f"| {tissue} | {low:.2f} | {middle:.2f} | {high:.2f} |")
    named = Counter(seen.words for seen in found)
    print("\nnamed " + ", ".join(f"{name}: {count}" for name, count in named.most_common()))


if __name__ == "__main__":
    main()
