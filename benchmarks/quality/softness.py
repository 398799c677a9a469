"""Measures how softly bone fades into brain in CT: in pictures, in volumes, and in cuts of label maps.

    python -m benchmarks.quality.softness IMAGES ...
    python -m benchmarks.quality.softness --maps FOLDER

A scanner's kernel, thick slices and resampling blur a CT. So the bone of a slice, from 91 HU on, reaches
further than the bone of the head, and fades into brain over some pixels more. The width of that rim is
measured inside the skull, in pixels: of the images as they are, and of cuts of label maps that are blurred by
known widths. Images are CT; a folder of pictures counts as one row, and pictures have the brain window.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.quality.pair_sets import PICTURE_HU
from medtranslate.io import list_pictures, list_volumes, read_volume
from medtranslate.io.layout import to_axial
from medtranslate.phantom.label_cuts import draw_cut, paint_cut
from medtranslate.phantom.label_maps import LabelMap, read_label_map
from medtranslate.phantom.tissues import ct_values

Floats = NDArray[np.float32]

BONE_HU, RIM_HU = 91.0, 60.0
"""HU of bone in a picture of the brain window, and at which its rim ends; brain has less than either."""

REACH, LEAST_INSIDE = 5, 4000
"""Pixels from bone within which the rim lies, and pixels inside the skull of a slice that is measured."""

CUTS, SIZE, BLURS, THICK_MM = 6, 256, (0.3, 0.8, 1.3, 2.0, 2.8), (1.0, 5.0, 10.0)
"""Cuts of each map, their pixels, the sigmas in pixels that blur them, and thicknesses of their slices."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("images", nargs="*", type=Path)
    parser.add_argument("--maps", type=Path, help="folder of label maps, of which cuts are painted")
    options = parser.parse_args()
    for path in options.images:
        _row(path.name, (rim_width(slice) for slice in read_slices(path)))
    maps = [read_label_map(path) for path in list_volumes(options.maps)] if options.maps else []
    for thick in THICK_MM if maps else ():
        cuts = [cut for head in maps for cut in painted(head, thick)]
        for blur in BLURS:
            _row(
                f"cuts of {thick:g} mm, sigma {blur:g}",
                (rim_width(ndimage.gaussian_filter(cut, blur)) for cut in cuts),
            )


def _row(name: str, widths: Iterable[float | None]) -> None:
    found = [width for width in widths if width is not None]
    low, middle, high = np.quantile(found, [0.25, 0.5, 0.75]) if found else [np.nan] * 3
    print(f"| {name} | {len(found)} | {middle:.2f} ({low:.2f} to {high:.2f}) |", flush=True)


def rim_width(hu: Floats) -> float | None:
    """Measure the mean width in pixels of the rim of bone inside the skull, in a slice [X, Y] in HU.

    Returns:
        None where no skull encloses enough of the brain.
    """
    skull = _largest(hu >= BONE_HU)
    inside = _largest(ndimage.binary_fill_holes(skull) & ~skull)
    if np.count_nonzero(inside) < LEAST_INSIDE:
        return None
    edge = ndimage.binary_dilation(skull) & inside
    near = ndimage.binary_dilation(skull, iterations=REACH) & inside
    return np.count_nonzero(near & (hu >= RIM_HU)) / np.count_nonzero(edge)


def _largest(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(part)
    if not count:
        return part
    found: NDArray[np.bool_] = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return found


def read_slices(path: Path) -> Iterator[Floats]:
    """Read the axial slices of a volume in HU, or the pictures of a folder."""
    pictures = list_pictures(path) if path.is_dir() else []
    for each in pictures or [path]:
        volume = read_volume(each, modality="ct")
        slope, offset = PICTURE_HU if volume.is_picture else (1.0, 0.0)
        values = to_axial(volume).values * slope + offset
        yield from np.moveaxis(values, 2, 0)


def painted(head: LabelMap, thick: float) -> Iterator[Floats]:
    """Paint CT of some cuts of a label map; each thickness has the same cuts."""
    for seed in range(CUTS):
        rng = np.random.default_rng(seed)
        values = ct_values(rng)[None]
        cut = draw_cut(head, rng, SIZE, lesions=False)
        step = cut.step * np.float32(thick / np.linalg.norm(cut.step * head.spacing))
        yield paint_cut(head, replace(cut, step=step), values, rng, planes=8)[0][0]


if __name__ == "__main__":
    main()
