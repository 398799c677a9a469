"""Measures the window of CT pictures by their brain and by wide fluid.

    python -m benchmarks.quality.windows DATA/brain-ct-mr/trainA DATA/paired-ct-mr/CT DATA/paired-three/CT

A picture rarely names its window, and a viewer's own is often that of the brain, 40 of level and 80 of width.
Brain and the middle of wide ventricles have known HU, so their grey values tell the HU of black and white
(`medtranslate.metrics.window_tells`). *Other* are slices of which `translate` warns, if they are taken
for a level of 40 and a width of 120.

Each row is a case, the first two characters of a name; a folder whose names begin otherwise is one row.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.pair_sets import WINDOW
from medtranslate.io import list_pictures, read_volume
from medtranslate.metrics.window_tells import greys_of_each, pooled, seems_other, window_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    print("| case | slices | other | brain | fluid | black | white | level | width |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for folder in parser.parse_args().folders:
        for case, paths in cases_of(list_pictures(folder)).items():
            pictures = [read_volume(path, modality="ct") for path in paths]
            found = greys_of_each(picture.values[:, :, 0] for picture in pictures)
            other = sum(seems_other(picture.values, 255, WINDOW) for picture in pictures)
            cells = [f"{folder.parent.name}, {case}", len(found), other]
            if found:
                (black, white), greys = window_of(found), pooled(found)
                numbers = greys.brain, greys.fluid, black, white, (black + white) / 2, white - black
                cells += [f"{number:.0f}" for number in numbers]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


def cases_of(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Sort pictures by case, if their names begin with two digits."""
    cases: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        cases[path.name[:2] if path.name[:2].isdigit() else path.parent.name].append(path)
    return cases


if __name__ == "__main__":
    main()
