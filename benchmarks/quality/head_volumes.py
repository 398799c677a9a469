"""Whole heads of the scoreboard: volumes with a truth, MR to CT without one, and CT to MR and back."""

from __future__ import annotations

import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy import ndimage

from benchmarks.quality.pair_measures import (
    BONE,
    GREY,
    areas_of,
    blurred,
    dice,
    fluid_less_brain,
    shifted,
    slice_measures,
)
from benchmarks.quality.pair_sets import WINDOW
from benchmarks.quality.rungs import WIDTHS, Rung, translated
from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.config.types import Contrast
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import Volume, read_volume
from medtranslate.io.layout import to_axial, to_slices
from medtranslate.metrics import Range, Values, Voxels, head_mask, invented, mae, outline, tissue_scores
from medtranslate.modality import OTHER
from medtranslate.transforms import denormalise, normalise
from medtranslate.translation import as_spoken, seams
from medtranslate.translation.air import clear, examine, find_outline
from medtranslate.translation.framed import frame

BODY_HU = -500.0
"""A true CT's head lies above this, with its cavities."""

DEEP_MM = 25.0
"""Margin of the inside of the skull in volumes, whose truth is aligned: fluid is that of the ventricles."""

FLUID_HU, NARROW_MM = 18.0, 2.0
"""Halfway between fluid and white matter; fluid narrower than twice this is in a sulcus, not a ventricle."""

BONE_LIMITS = (91.0, 300.0)
"""HU of bone in a brain window, and of bone without diploe and partial volume."""

WHOLE = (-1000.0, 1000.0)
"""HU that a model of the whole range can say, at least."""

TO_CT = (
    *(
        "fluid less brain",
        "fluid HU",
        "brain HU",
        "bone outside",
        "drawn outside",
        "loose bone",
        "closed",
        "seams",
    ),
    *("head", "soft tissue", "bone HU", "air", "bone 200", "bone 91", "bone 300", "ventricles"),
)
TO_MR = ("fluid", "seams", "mae back", "bone back")


@dataclass(frozen=True)
class Head:
    """One head.

    Attributes:
        mr: in arbitrary units, `contrast` its contrast.
        ct: in HU, on the same grid if there are both.
        fluid: share of each voxel that is fluid, on the same grid; of label maps.
    """

    name: str
    mr: Volume | None = None
    ct: Volume | None = None
    contrast: Contrast | None = None
    fluid: Volume | None = None

    def of(self, modality: Modality) -> Volume:
        """Return the axial volume of a modality."""
        volume = self.ct if modality == "ct" else self.mr
        assert volume is not None
        return to_axial(volume.with_meta(modality=modality))


def heads(data: Path) -> Iterator[Head]:
    """Read the heads at hand, one after the other."""
    nifti, mr = data / "nifti", data / "heads" / "mr"
    yield Head(
        "templates",
        read_volume(nifti / "t1-template.nii.gz"),
        read_volume(nifti / "ct-template-hu.nii.gz"),
        "t1",
    )
    for path in sorted((data / "heads" / "ct-hu").glob("*.nii.gz")):
        yield Head(path.name.partition(".")[0], ct=read_volume(path, modality="ct"))
    files: dict[Path, Contrast] = {
        nifti / "mr-t1-head.nii.gz": "t1",
        mr / "flair-3d-py_synthsr.nii.gz": "flair",
        mr / "flair-2d-torchio-fernando.nii.gz": "flair",
        mr / "t2-brain_037.nii.gz": "t2",
    }
    for path, kind in files.items():
        yield Head(path.name.partition(".")[0], read_volume(path, modality="mr"), contrast=kind)
    with (
        TemporaryDirectory() as folder,
        tarfile.open(data / "dicom" / "mr-t1-sagittal-siemens.tar.xz") as packed,
    ):
        packed.extractall(folder, filter="data")
        yield Head("mr-t1-sagittal-siemens", read_volume(Path(folder), modality="mr"), contrast="t1")


def climb(
    head: Head, to: Modality, models: dict[str, Model], every: int
) -> tuple[list[Values], dict[str, Rung]]:
    """Measure models and rungs on every n-th slice of a head with a truth, as those of pictures are."""
    source, first = head.of(OTHER[to]), next(iter(models.values()))
    pixel = float(np.mean(source.spacing[:2]))
    truth = {side: as_grey(spoken(head, side, first), side, first) for side in (to, OTHER[to])}
    images: dict[str, Values] = {}
    for name, model in models.items():
        made = as_grey(translated(source, model, to, head.contrast), to, model)
        images[name] = made
        images |= {f"{name}, blurred {width}": blurred(made, width / pixel) for width in WIDTHS}
        images[f"{name}, mean"] = as_grey(mean_image(source, model, to), to, model)
    images["copied"] = truth[OTHER[to]]
    images["shifted"] = shifted(truth[to], max(1, round(2 / pixel)))
    mask = head_mask(list(truth.values()), [GREY, GREY])
    rungs: dict[str, Rung] = defaultdict(Rung)
    shown = [index for index in range(0, mask.shape[2], every) if mask[:, :, index].any()]
    for at in (np.s_[:, :, index : index + 1] for index in shown):
        areas, true = areas_of(truth["ct"][at], pixel, DEEP_MM), truth[to][at]
        for name, image in images.items():
            counted = mask[at] | invented(image[at], true, GREY)
            rungs[name].add(
                head.name, image[at], slice_measures(image[at], true, counted, areas, ct=to == "ct")
            )
    return [truth[to][:, :, index : index + 1] for index in shown], rungs


def spoken(head: Head, modality: Modality, model: Model) -> Volume:
    """Bring a true MR to a model's scale; a CT stays in HU."""
    volume = head.of(modality)
    return volume if modality == "ct" else as_spoken(volume, "mr", model)


def as_grey(volume: Volume, modality: Modality, model: Model) -> Values:
    """Bring HU, or units of a model's MR, to grey values of the pairs' window."""
    low, high = WINDOW if modality == "ct" else model.description.scale.mr_range
    made: Values = ((volume.values - low) / (high - low) * GREY[1]).clip(*GREY).astype(np.float32)
    return made


def to_ct(head: Head, model: Model) -> tuple[dict[str, float], Values]:
    """Measure the CT of an MR by its plausibility, and by its truth, if there is one; return its grey values.

    `bone outside` and `drawn outside` are the ml that the model draws in the air around the head before the
    air is cleared; the rest is of the CT as a user gets it. `loose bone` is bone in the brain, in ml,
    `closed` the share of directions with a skull, and `seams` a ratio to the source's.
    """
    source, scale = head.of("mr"), model.description.scale
    bare = copy(model)
    bare.description, bare.gate = replace(model.description, anatomy="other"), None
    drawn = to_axial(translated(source, bare, "ct"))
    seen = frame(source, "mr", model)
    slices = to_slices(normalise(drawn.values, "ct", scale))
    region = find_outline(seen)
    outside = examine(seen, slices, region, "ct", scale, 0.0).bone_outside_ml
    cleared = clear(slices, region)
    kept = examine(seen, slices, region, "ct", scale, cleared)
    found = {
        "fluid HU": kept.fluid,
        "brain HU": kept.brain,
        "fluid less brain": kept.fluid - kept.brain
        if kept.fluid is not None and kept.brain is not None
        else None,
        "bone outside": outside,
        "drawn outside": cleared,
        "loose bone": kept.bone_inside_ml,
        "closed": kept.closed,
        "seams": seams(slices) / seen.seams(),
    }
    made = denormalise(slices, "ct", scale).transpose(2, 1, 0)
    if head.ct:
        found |= in_hu(made, head.of("ct").values, source.spacing, scale.ct_window)
    if head.ct and head.fluid:
        share = to_axial(head.fluid).values
        found["ventricles"] = ventricle_dice(made, head.of("ct").values, share, source.spacing)
    known = {name: float(value) for name, value in found.items() if value is not None}
    return known, as_grey(source.with_values(made), "ct", model)


def in_hu(made: Values, truth: Values, spacing: Sequence[float], sayable: Range) -> dict[str, float | None]:
    """Score a CT [X, Y, Z] in HU inside the true head; tissues and bone where the model can say them."""
    across, along, up = spacing
    mask = outline((truth > BODY_HU).T, (up, along, across)).T
    whole = sayable[0] <= WHOLE[0] and sayable[1] >= WHOLE[1]
    tissues = tissue_scores(made, truth, mask, mask, None if whole else sayable)
    errors = {name: tissue.mae for name, tissue in tissues.items() if whole or name == "soft tissue"}
    bones = {
        f"bone {limit:.0f}": dice((made >= limit) & mask, (truth >= limit) & mask)
        for limit in BONE_LIMITS
        if limit < sayable[1]
    }
    return bones | {
        "head": mae(made, truth, mask) if whole else None,
        "soft tissue": errors.get("soft tissue"),
        "bone HU": errors.get("bone"),
        "air": errors.get("air"),
        "bone 200": tissues["bone"].dice if whole else None,
    }


def ventricle_dice(made: Values, truth: Values, fluid: Values, spacing: Sequence[float]) -> float | None:
    """Compute the Dice of fluid deep in the head, without sulci: in a CT in HU, and in the label map.

    Args:
        made: CT [X, Y, Z].
        truth: CT that shows where bone is.
        fluid: share of each voxel that is fluid in the label map.
        spacing: in mm.
    """
    deep = deep_in(truth, spacing)
    return dice(*(wide(found, spacing) & deep for found in (made < FLUID_HU, fluid > 0.5)))


def deep_in(truth: Values, spacing: Sequence[float]) -> Voxels:
    """Find voxels [X, Y, Z] inside the skull of a true CT in HU that are far from bone."""
    bone = truth >= BONE_LIMITS[1]
    skull = np.stack([ndimage.binary_fill_holes(plane) for plane in bone.T]).T
    deep: Voxels = skull & (ndimage.distance_transform_edt(~bone, sampling=spacing) > DEEP_MM)
    return deep


def wide(found: Voxels, spacing: Sequence[float]) -> Voxels:
    """Leave out what is narrower than a ventricle, slice by slice."""
    reach = [round(NARROW_MM / side) for side in spacing[:2]]
    disc = np.hypot(*np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]) <= max(reach)
    opened: Voxels = ndimage.binary_opening(found, disc[:, :, None])
    return opened


def to_mr_and_back(
    head: Head, model: Model, contrast: Contrast | None = None
) -> tuple[dict[str, float], Values]:
    """Measure the MR of a CT, and the CT of that MR in the pairs' window; return the MR's grey values."""
    source = head.of("ct")
    mr = translated(source, model, "mr", contrast)
    back = as_grey(translated(mr.with_meta(modality="mr"), model, "ct"), "ct", model)
    made, truth = as_grey(mr, "mr", model), as_grey(source, "ct", model)
    pixel = float(np.mean(source.spacing[:2]))
    mask = head_mask([truth], [GREY])
    planes = [np.s_[:, :, index : index + 1] for index in range(mask.shape[2])]
    shown = [(made[at], areas) for at in planes if (areas := areas_of(truth[at], pixel, DEEP_MM)).shows_fluid]
    found = {
        "fluid": float(np.mean([fluid_less_brain(plane, areas) for plane, areas in shown]))
        if shown
        else None,
        "seams": seams(to_slices(made) / 127.5 - 1) / frame(source, "ct", model).seams(),
        "mae back": mae(back, truth, mask),
        "bone back": dice((back >= BONE) & mask, (truth >= BONE) & mask),
    }
    return {name: float(value) for name, value in found.items() if value is not None}, made
