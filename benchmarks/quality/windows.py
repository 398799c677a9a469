"""Measures the window of CT pictures by their brain and by wide fluid.

    python -m benchmarks.quality.windows DATA/brain-ct-mr/trainA DATA/paired-ct-mr/CT DATA/paired-three/CT

A picture rarely names its window, and a viewer's own is often that of the brain, 40 of level and 80 of width.
Brain and the middle of wide ventricles have known HU, so their grey values tell the HU of black and white.
Fluid that is nearly black, and so cut by the window, makes it seem wider.

Each row is a case, the first two characters of a name; a folder whose names begin otherwise is one row.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.quality.pair_measures import BONE, MARGIN
from medtranslate.io import list_pictures, read_volume

BRAIN_HU, FLUID_HU = 33.6, 9.1
"""HU of brain and of fluid by this measure, in 374 published slices whose window is known (`trainA`)."""

LEAST_INSIDE, LEAST_DARK, SMOOTH, WITHIN = 5000, 50, 1.5, 15.0
"""Pixels inside the skull, and dark ones there, of a slice that is measured; sigma in pixels; and grey values
about the median that are brain."""

HALF_WIDTH, MIDDLE = 5.0, 0.6
"""Pixels from the edge of fluid to its middle, at least, and the share of them from which it is measured."""

SHARE = 0.75
"""Share of the slices with less contrast than the one that counts; fluid does not fill their thickness."""


@dataclass(frozen=True)
class Greys:
    """Grey values of brain and fluid in a slice."""

    brain: float
    fluid: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    print("| case | slices | brain | fluid | black | white | level | width |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for folder in parser.parse_args().folders:
        for case, paths in cases_of(list_pictures(folder)).items():
            slices = (read_volume(path, modality="ct").values[:, :, 0] for path in paths)
            found = measured(slices)
            name = f"{folder.parent.name}, {case}"
            if not found:
                print(f"| {name} | 0 | | | | | | |")
                continue
            (black, white), greys = window_of(found), pooled(found)
            print(
                f"| {name} | {len(found)} | {greys.brain:.0f} | {greys.fluid:.0f} | {black:.0f} | {white:.0f}"
                f" | {(black + white) / 2:.0f} | {white - black:.0f} |",
                flush=True,
            )


def cases_of(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Sort pictures by case, if their names begin with two digits."""
    cases: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        cases[path.name[:2] if path.name[:2].isdigit() else path.parent.name].append(path)
    return cases


def measured(slices: Iterable[NDArray[np.float32]]) -> list[Greys]:
    """Measure those of some slices that show wide fluid."""
    return [found for each in slices if (found := greys_of(each))]


def greys_of(grey: NDArray[np.float32]) -> Greys | None:
    """Measure the grey values of brain and wide fluid in a slice [X, Y]; None if it shows no wide fluid."""
    bone = grey >= BONE
    rim = ndimage.binary_dilation(bone, iterations=round(MARGIN))
    inside = ndimage.binary_fill_holes(bone) & ~rim
    if np.count_nonzero(inside) < LEAST_INSIDE:
        return None
    smooth, middle = ndimage.gaussian_filter(grey, SMOOTH), float(np.median(grey[inside]))
    dark = inside & (smooth < middle - 20)
    if np.count_nonzero(dark) < LEAST_DARK:
        return None
    darkest = float(np.percentile(smooth[dark], 5))
    depth = ndimage.distance_transform_edt(inside & (smooth < (darkest + middle) / 2))
    if depth.max() < HALF_WIDTH:
        return None
    brain = inside & (np.abs(smooth - middle) < WITHIN)
    return Greys(float(np.median(grey[brain])), float(grey[depth >= MIDDLE * depth.max()].mean()))


def pooled(slices: Sequence[Greys]) -> Greys:
    """Pool slices of a case: brain by its median, fluid by a contrast that few slices exceed."""
    brain = float(np.median([each.brain for each in slices]))
    return Greys(brain, brain - float(np.quantile([each.brain - each.fluid for each in slices], SHARE)))


def window_of(slices: Sequence[Greys]) -> tuple[float, float]:
    """Find the HU of black and white in slices of a case."""
    greys = pooled(slices)
    slope = (BRAIN_HU - FLUID_HU) / (greys.brain - greys.fluid)
    black = BRAIN_HU - slope * greys.brain
    return black, black + 255 * slope


if __name__ == "__main__":
    main()
