"""Shows the known faults of the shipped model: a picture and a number for each.

    python -m benchmarks.quality.faults DATA docs/images/brain-2d-faults.png
    python -m benchmarks.quality.faults DATA faults.png --typical SERIES --both docs/images/brain-2d.png

DATA holds `nifti/t1-template.nii.gz` and `nifti/ct-template-hu.nii.gz`, population templates of T1 and CT on
one grid. The other cases are digital heads, whose truth is known. Cases and slices are chosen to show the
fault; FLAIR and PD are the worst of the slices that are drawn. The numbers are printed as a Markdown table.
--both draws the preview of a translated series beside the bleeding.

Fluid is what in the true CT, smoothed, is 9 HU darker than the median within the skull; brain is the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks.ablation.anatomy import twins
from benchmarks.ablation.methods.train import translated
from benchmarks.quality.phantom_heads import BONE_HU, as_made
from medtranslate.checkpoint import Model, load_model
from medtranslate.config import StreamContrast
from medtranslate.io import read_volume
from medtranslate.io.layout import to_axial
from medtranslate.phantom import HELD_OUT, LABEL, PROTOCOLS, Protocol, study
from medtranslate.report import draw as sheet
from medtranslate.transforms import unscale_ct
from medtranslate.translation import sample_volume, sheet_of, translate_volume

Plane = NDArray[np.floating]
Values = NDArray[np.float32]
Voxels = NDArray[np.bool_]

PD = Protocol(tr=2500.0, te=20.0)
"""A proton density spin echo; the phantom has no name for it."""
DRAWN, SLICES = HELD_OUT * 10 + 7, 60
"""Seed and number of the slices of which the worst is shown."""
HEAD = HELD_OUT + 201
BLED = HELD_OUT + 228
"""A head with a haemorrhage of 16 to 20 mm radius, the largest of a hundred."""
SIZE, SPACING = 170, 1.5
VERTEX_MM = 68.0
"""Height of the slice near the vertex above the origin of the templates."""
FLUID_HU, MARGIN_MM, SMOOTH_MM = 9.0, 6.0, 1.5
LEAST_MM2 = 100.0
"""Fluid in a slice that is measured."""


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        planes: source, translation and truth [rows, columns], from 0 to 1.
        said: what is measured, with its unit; `made` and `true` are its values.
    """

    name: str
    planes: tuple[Plane, Plane, Plane]
    said: str
    made: float
    true: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("picture", type=Path, help="PNG")
    parser.add_argument("--model", default="brain-2d")
    parser.add_argument("--typical", type=Path, help="an MR that is translated to CT")
    parser.add_argument("--both", type=Path, help="PNG of its preview and of the bleeding")
    options = parser.parse_args()
    model = load_model(options.model, torch.device("cpu"))
    cases = [
        *templates(options.data / "nifti", model),
        worst_fluid("flair", model),
        worst_fluid("pd", model),
        bleeding(model),
        to_mr(model),
    ]
    print("| | measured | translation | truth |\n| --- | --- | --- | --- |")
    for case in cases:
        print(f"| {case.name} | {case.said} | {case.made:.1f} | {case.true:.1f} |")
    draw(cases).savefig(options.picture, dpi=100)
    if options.typical and options.both:
        bled = next(case for case in cases if case.name.startswith("bleeding"))
        both(preview_of(options.typical, model), bled).savefig(options.both, dpi=100)


def templates(folder: Path, model: Model) -> Iterator[Case]:
    """Translate T1 to CT where the truth is another scan, though an average of many heads."""
    t1, ct = (read_volume(folder / f"{name}.nii.gz") for name in ("t1-template", "ct-template-hu"))
    t1 = t1.with_meta(modality="mr")
    source, made, true = (to_axial(volume) for volume in (t1, translate_volume(t1, model, "ct")[0], ct))
    window, size = model.description.scale.shown_window, made.spacing[0]
    values, truth = made.values, true.values.clip(*window)
    top = float(np.percentile(source.values, 99))
    height = made.affine[2, 3] + made.spacing[2] * np.arange(values.shape[2])

    def planes(index: int) -> tuple[Plane, Plane, Plane]:
        return (
            grey(source.values[:, :, index], 0, top),
            grey(values[:, :, index], *window),
            grey(truth[:, :, index], *window),
        )

    vertex = int(np.argmin(abs(height - VERTEX_MM)))
    bone = [float((part[:, :, vertex] > BONE_HU).sum()) * size**2 / 100 for part in (values, truth)]
    yield Case("vertex, T1 template", planes(vertex), "bone in the slice in cm²", *bone)
    fluid, brain = zip(*(fluid_and_brain(plane, size) for plane in truth.transpose(2, 0, 1)), strict=True)
    middle = int(np.argmax([plane.sum() for plane in fluid]))
    apart = [less(part[:, :, middle], fluid[middle], brain[middle]) for part in (values, truth)]
    yield Case("fluid, T1 template", planes(middle), "fluid less brain in HU", *apart)


def worst_fluid(contrast: StreamContrast | str, model: Model) -> Case:
    """Find the slice of healthy digital heads in which fluid is the least dark beside brain."""
    network, scale = model.description.network, model.description.scale
    with patch.dict(PROTOCOLS, pd=PD):
        pairs = twins(DRAWN, SLICES, network, scale, contrast)
    shown = [pairs.healthy_mr, translated(model, pairs.healthy_mr, "ct"), pairs.healthy_ct]
    made, true = (
        unscale_ct(part[:, 0].float(), scale.ct_curve).numpy().clip(*scale.shown_window) for part in shown[1:]
    )
    measured = {
        index: (less(made[index], *areas), less(true[index], *areas))
        for index in range(SLICES)
        if (areas := fluid_and_brain(true[index], 1.0))[0].sum() > LEAST_MM2
    }
    print(f"{contrast}, mean of {len(measured)} slices: {np.mean(list(measured.values()), axis=0).round(1)}")
    worst = max(measured, key=lambda index: measured[index][0])
    mr: Plane = (shown[0][worst, 0].float().numpy() + 1) / 2
    ct = [grey(part[worst].T, *scale.shown_window) for part in (made, true)]
    said = "fluid less brain in HU"
    return Case(f"fluid, {contrast.upper()}", (mr, ct[0], ct[1]), said, *measured[worst])


def bleeding(model: Model) -> Case:
    """Translate a digital head with a haemorrhage."""
    head, window = (
        study(BLED, size=SIZE, spacing=SPACING, contrast="t2"),
        model.description.scale.shown_window,
    )
    values, truth = translate_volume(head.mr, model, "ct")[0].values, head.ct.values.clip(*window)
    blood = ndimage.binary_erosion(head.labels.values == LABEL["haemorrhage"])
    index = int(np.argmax(blood.sum(axis=(0, 1))))
    top = float(np.percentile(head.mr.values, 99.5))
    planes = (
        plane_of(head.mr.values, index, 0, top),
        plane_of(values, index, *window),
        plane_of(truth, index, *window),
    )
    return Case(
        "bleeding, T2", planes, "blood in HU", float(values[blood].mean()), float(truth[blood].mean())
    )


def to_mr(model: Model) -> Case:
    """Measure how far the MR of a digital head parts grey from white matter, which CT hardly does."""
    head, scale = study(HEAD, size=SIZE, spacing=SPACING, contrast="t2"), model.description.scale
    made, true = translate_volume(head.ct, model, "mr")[0].values, as_made(head.mr, model)
    labels = head.labels.values
    matter, white = (labels == LABEL[f"{name} matter"] for name in ("grey", "white"))
    apart = [float(part[matter].mean() - part[white].mean()) for part in (made, true)]
    index = int(np.argmax(white.sum(axis=(0, 1))))
    planes = (
        plane_of(head.ct.values, index, *scale.shown_window),
        plane_of(made, index, *scale.mr_range),
        plane_of(true, index, *scale.mr_range),
    )
    return Case("CT to MR", planes, "grey less white matter in units of 1000", *apart)


def fluid_and_brain(truth: Plane, pixel_mm: float) -> tuple[Voxels, Voxels]:
    """Find fluid and brain in a true CT in the model's window, away from bone."""
    bone = truth > BONE_HU
    margin = ndimage.binary_dilation(bone, iterations=round(MARGIN_MM / pixel_mm))
    inside = ndimage.binary_fill_holes(bone) & ~margin
    if not inside.any():
        return inside, inside
    fluid = inside & (
        ndimage.gaussian_filter(truth, SMOOTH_MM / pixel_mm) < np.median(truth[inside]) - FLUID_HU
    )
    return fluid, inside & ~ndimage.binary_dilation(fluid, iterations=2)


def less(values: Plane, fluid: Voxels, brain: Voxels) -> float:
    """Subtract the mean of brain from that of fluid."""
    return float(values[fluid].mean() - values[brain].mean())


def plane_of(values: Values, index: int, low: float, high: float) -> Plane:
    """Cut an axial slice of a RAS+ volume, seen as a radiologist does."""
    return grey(values[::-1, ::-1, index], low, high)


def grey(plane: Values, low: float, high: float) -> Plane:
    """Turn [X, Y] in the layout LPS into rows and columns from 0 to 1."""
    made: Plane = ((plane.T - low) / (high - low)).clip(0, 1)
    return made


def draw(cases: list[Case]) -> Figure:
    """Draw two cases in a row, each with source, translation and truth."""
    rows = -(-len(cases) // 2)
    figure = Figure(figsize=(12, 2.35 * rows), layout="constrained")
    plots = figure.subplots(rows, 6, squeeze=False).reshape(-1, 3)
    for row, case in zip(plots, cases, strict=False):
        unit = case.said.rpartition(" in ")[2].removeprefix("units ")
        names = (case.name, f"made: {case.made:.0f} {unit}", f"true: {case.true:.0f} {unit}")
        for plot, plane, name in zip(row, case.planes, names, strict=True):
            plot.imshow(plane, cmap="gray", vmin=0, vmax=1)
            plot.set_title(name, fontsize=10)
            plot.set_axis_off()
    return figure


def preview_of(path: Path, model: Model) -> Image.Image:
    """Draw the preview of an MR's translation, as `translate` does."""
    return sheet(sheet_of(sample_volume(read_volume(path, modality="mr"), model, "ct")))


def both(typical: Image.Image, bad: Case) -> Figure:
    """Draw a typical translation on the left, source above; a bad one on the right, with its truth."""
    figure = Figure(figsize=(10.2, 6.4), layout="constrained")
    left, *right = figure.subplot_mosaic("AB\nAC\nAD", width_ratios=(3.4, 1)).values()
    left.imshow(typical, cmap="gray", vmin=0, vmax=255)
    left.set_title("typical: T1, and the CT that is made of it")
    names = (
        "bad: a bleeding in T2",
        f"the CT made of it: {bad.made:.0f} HU",
        f"the true CT: {bad.true:.0f} HU",
    )
    for plot, plane, name in zip(right, bad.planes, names, strict=True):
        plot.imshow(plane, cmap="gray", vmin=0, vmax=1)
        plot.set_title(name, fontsize=10)
    for plot in (left, *right):
        plot.set_axis_off()
    return figure


if __name__ == "__main__":
    main()
