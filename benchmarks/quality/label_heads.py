"""Paints whole heads from label maps: CT in HU and MR in several contrasts, whose truth is known.

    python -m benchmarks.quality.label_heads MAP.nii.gz --write FOLDER --heads 4 --lesions --noiseless ct
    medtranslate calibrate MODEL --to ct --pairs FOLDER/pairs.csv --out CALIBRATED

The first command writes pairs of CT and MR, with which the second calibrates a model. --heads are painted
from each map, with other proportions, tissues and noise; each counts as a subject. With --lesions
limits are fitted to the errors in lesions, too, and with --noiseless to those of tissues: the noise of the
scan that a translation is compared with is no error of the translation. `pairs.csv` lists all
contrasts, `t1.csv` T1 alone, for the direction to MR of a model that makes T1 alone. No model should have
been trained on the map.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.quality.head_volumes import Head
from medtranslate.config.types import Contrast
from medtranslate.io import Volume, write_volume
from medtranslate.io.volume import Meta
from medtranslate.metrics import Values
from medtranslate.phantom import LABEL, TISSUES, read_label_map, rician, signal
from medtranslate.phantom.canvas import Plane
from medtranslate.phantom.label_cuts import (
    USUAL,
    Lesion,
    draw_cut,
    draw_lesions,
    draw_variants,
    paint_cut,
)
from medtranslate.phantom.label_maps import LabelMap
from medtranslate.phantom.tissues import CONTRASTS, column, ct_values, with_iron

MADE: tuple[Contrast, ...] = ("t1", "t2", "flair", "pd")

PIXEL_MM, SLICE_MM = 1.0, 3.0
NOISE = {"ct": 4.0, "mr": 15.0}
"""In HU, and in thousandths of the fully relaxed signal."""

LESIONS_MM = 18.0
"""From one slice about which lesions lie to the next."""

MARROW = 0.5
"""How far the marrow of uneven heads is brighter, on the way from its signal to that of fat."""

PROPORTION = 0.05
"""Standard deviation of the length of each axis of a varied head."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("maps", type=Path, nargs="+")
    parser.add_argument(
        "--write", type=Path, required=True, help="folder for CT, MR and tables of their pairs"
    )
    parser.add_argument("--heads", type=int, default=4, help="heads that are painted from each map")
    parser.add_argument("--slice-mm", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first head")
    parser.add_argument("--lesions", action="store_true", help="lay lesions into the brains")
    parser.add_argument("--uneven", action="store_true", help="fat and marrow as in adults")
    parser.add_argument("--noiseless", choices=("ct", "mr"), help="what is painted without noise")
    options = parser.parse_args()
    options.write.mkdir(parents=True)
    rows = []
    for path in options.maps:
        for seed in range(options.seed, options.seed + options.heads):
            subject = f"{path.name.partition('.nii')[0]}-{seed}"
            ill, noise = options.lesions, {**NOISE, options.noiseless: 0.0}
            painted_heads = label_heads(
                path, seed, options.slice_mm, vary=True, lesions=ill, uneven=options.uneven, noise=noise
            )
            for head in painted_heads:
                ct, mr = f"{subject}-ct.nii.gz", f"{subject}-{head.contrast}.nii.gz"
                if not (options.write / ct).exists():
                    write_volume(head.of("ct"), options.write / ct)
                write_volume(head.of("mr"), options.write / mr)
                rows.append({"ct": ct, "mr": mr, "subject": subject, "contrast": head.contrast})
    for name, some in ("pairs", rows), ("t1", [row for row in rows if row["contrast"] == "t1"]):
        with (options.write / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ("ct", "mr", "subject"), extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            table.writerows(some)
    print(f"{options.write / 'pairs.csv'}: {len(rows)} pairs")


def label_heads(
    path: Path,
    seed: int = 0,
    slice_mm: float = SLICE_MM,
    *,
    vary: bool = False,
    lesions: bool = False,
    uneven: bool = False,
    noise: Mapping[str, float] = NOISE,
) -> Iterator[Head]:
    """Yield a head in each contrast, with the same CT.

    Args:
        path: label map in NIfTI with a table (`medtranslate.phantom.read_label_map`).
        seed: of the depths of skin, fat and tables of the skull, and of the noise.
        slice_mm: thickness of the slices.
        vary: draw proportions and the values of tissues, too; otherwise they are nominal.
        lesions: lay lesions into the brain, up to three every `LESIONS_MM`.
        uneven: fat has another thickness from place to place and lies between muscles, and marrow is bright,
            as in adults; otherwise muscle is of one piece in a ring of fat.
        noise: standard deviations, as `NOISE`.
    """
    rng = np.random.default_rng(seed)
    hu = ct_values(rng) if vary else column("hu")
    fluid = np.isin(np.arange(len(TISSUES)), LABEL["csf"]).astype(np.float32)
    values = np.stack([hu, fluid, *(intensities(contrast, rng if vary else None) for contrast in MADE)])
    if uneven:
        marrow = [LABEL["diploe"], LABEL["marrow"]]
        values[2:, marrow] += MARROW * (values[2:, [LABEL["fat"]]] - values[2:, marrow])
    stretch = np.exp(rng.normal(0.0, PROPORTION, 3)) if vary else np.ones(3)
    steps = (np.array([PIXEL_MM, PIXEL_MM, slice_mm]) / stretch).astype(np.float32)
    label_map = read_label_map(path)
    laid = laid_into(label_map, steps, seed) if lesions else ()
    ct, share, *contrasts = painted(label_map, values, rng, steps, laid, seed if uneven else None)
    ct += rng.normal(0.0, noise["ct"], ct.shape).astype(np.float32)
    affine, name = np.diag([PIXEL_MM, PIXEL_MM, slice_mm, 1.0]), path.name.partition(".nii")[0]
    true = Volume(ct, affine, Meta(modality="ct"))
    for contrast, mr in zip(MADE, contrasts, strict=True):
        noisy = Volume(rician(mr, rng, noise["mr"]), affine, Meta(modality="mr"))
        yield Head(f"{name} {contrast}", noisy, true, contrast, Volume(share, affine))


def intensities(contrast: Contrast, rng: np.random.Generator | None = None, iron: float = 0.0) -> Values:
    """Compute the intensity of every tissue in a contrast, in thousandths of the fully relaxed signal.

    Args:
        rng: varies proton density and relaxation by 6 %; None leaves them nominal.
        iron: of the deep nuclei, from 0 to 1 (`medtranslate.phantom.tissues.with_iron`).
    """
    pd, t1, t2 = (
        column(name) * (1 if rng is None else np.exp(0.06 * rng.standard_normal(len(TISSUES))))
        for name in ("pd", "t1", "t2")
    )
    made: Values = 1000 * signal(CONTRASTS[contrast], pd, t1, with_iron(t2, iron))
    return made


def painted(
    head: LabelMap,
    values: Values,
    rng: np.random.Generator,
    steps: Values,
    lesions: tuple[Lesion, ...] = (),
    uneven: int | None = None,
) -> Values:
    """Paint axial slices of a whole map, neither turned, bent nor added to: [images, X, Y, Z] in RAS order.

    Args:
        values: of each tissue in each image, [images, tissues].
        steps: lengths of a voxel in the map, [3] in mm.
        uneven: seed of where fat is thicker and lies between muscles; None for nowhere.
    """
    drawn, slices = draw_cut(head, rng, 32, lesions=False), []
    for places in planes(head, steps):
        variant = np.full(places.shape[1:], USUAL)
        if uneven is not None:  # anew with the same seed: the fields go on from slice to slice
            plane = plane_of(places, steps)
            variant = draw_variants(np.random.default_rng([uneven, 2]), plane, head)
        cut = replace(
            drawn,
            voxels=places / head.spacing[:, None, None],
            step=np.array([0, 0, steps[2] / head.spacing[2]], np.float32),
            variant=variant,
            added=(0.0, 0.0),
            lesions=lesions,
        )
        slices.append(paint_cut(head, cut, values, rng)[0])
    return np.stack(slices, axis=-1)


def planes(head: LabelMap, steps: Values) -> Iterator[Values]:
    """Yield the places of the voxels of each slice in the map, [3, X, Y] in mm."""
    across, along, up = np.array(head.codes.shape) * head.spacing
    shape = round(across / steps[0]), round(along / steps[1])
    flat = np.indices(shape, np.float32) * steps[:2, None, None]
    for height in np.arange(steps[2] / 2, up, steps[2]):
        yield np.stack([*flat, np.full(shape, height, np.float32)])


def laid_into(head: LabelMap, steps: Values, seed: int) -> tuple[Lesion, ...]:
    """Draw lesions of a whole head, about voxels of slices that are about `LESIONS_MM` apart."""
    rng, laid = np.random.default_rng([seed, 1]), list[Lesion]()
    for places in islice(planes(head, steps), 0, None, max(1, round(LESIONS_MM / steps[2]))):
        laid += draw_lesions(rng, head, places, plane_of(places, steps))
    return tuple(laid)


def plane_of(places: Values, steps: Values) -> Plane:
    """Give the plane of a slice's voxels [3, X, Y] in mm."""
    along_x, along_y, _ = np.diag(steps)
    return Plane(places[:, 0, 0], along_x, along_y, places.shape[1:])


if __name__ == "__main__":
    main()
