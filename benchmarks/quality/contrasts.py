"""Measures how bright tissues are in MR of one contrast, and how `translate` names it.

    python -m benchmarks.quality.contrasts --model head-ct FILE ...

Prints, for each tissue of `phantom.TOLD`, the quartiles over the files, where black is 0 and white 1, as
named contrasts of `phantom.tissues` need them; then how many files have which name in the record of their
translation to CT. A file that shows no head is counted and left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medtranslate.checkpoint import load_model
from medtranslate.errors import InputRefused
from medtranslate.io import read_volume
from medtranslate.phantom import TOLD
from medtranslate.translation import sample_volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--model", default="head-ct")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, named = load_model(options.model, torch.device("cpu")), Counter[str]()
    found: list[NDArray[np.float32]] = []
    for path in options.files:
        try:
            seen = sample_volume(read_volume(path, modality="mr"), model, "ct").record.contrast
        except InputRefused as error:
            print(error)
            continue
        assert seen is not None
        found.append(np.array([*seen.brightness.values()], np.float32))
        named[seen.words] += 1
    shares = (np.stack(found) + 1) / 2
    print(f"\n{len(found)} of {len(options.files)} files\n")
    print("| tissue | quartile | median | quartile |\n| --- | --- | --- | --- |")
    for tissue, (low, middle, high) in zip(TOLD, np.percentile(shares, (25, 50, 75), axis=0).T, strict=True):
        print(f"| {tissue} | {low:.2f} | {middle:.2f} | {high:.2f} |")
    print("\nnamed " + ", ".join(f"{name}: {count}" for name, count in named.most_common()))


if __name__ == "__main__":
    main()
