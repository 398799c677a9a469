"""Rigid alignment of a reference with what was translated, by mutual information (SimpleITK).

It finds a motion and never resamples: a moved volume is the same array with another affine, so that it
is interpolated once, where it is brought onto a grid.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from monai.data import MetaTensor

from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.geometry import Floats, require_grid, spacing, swap_lps_ras
from medtranslate.metrics import require_finite
from medtranslate.result import Registration

if TYPE_CHECKING:
    import SimpleITK

MOST_DEGREES = 30.0
"""Rotation above which a result is not believed: nobody lies in a scanner like that twice."""
LEAST_GAIN = 0.005
"""Mutual information, in nats, below which a motion is no better than the headers."""
LEAST_INFORMATION = 0.05
"""Mutual information, in nats, of images that have nothing in common but chance, and some more."""
LEAST_OVERLAP = 0.25
"""Of the smaller volume, that has to lie in the other."""
LEAST_SLICES = 8
"""Voxels along each axis, below which three rotations are not to be had."""

WORKING_MM = 2.0
"""Voxels are joined up to about this size first; the result is much finer than a voxel."""
SHRINK, SMOOTH_MM, SAMPLES = (4, 2, 1), (4.0, 2.0, 0.0), (0.8, 0.2, 0.05)
"""Of the levels from coarse to fine: factor, Gaussian, share of the voxels that is looked at."""
BINS = 50
TAIL = 1.0
"""Percentiles on either side that are clipped, so that metal does not take all of the bins."""
SEED = 1


def register(
    reference: MetaTensor, target: MetaTensor, role: Literal["source", "prediction"]
) -> Registration:
    """The rigid motion that brings a reference to the place of the target.

    Maximises Mattes' mutual information (Mattes et al., IEEE TMI 22(1), 2003) over three rotations and
    three translations, from coarse to fine. It starts where the two have most information in common:
    as the headers say, centre on centre, or with their centres of mass on each other. Samples are drawn by a
    fixed seed, on one thread, so that the same files give the same motion.

    Args:
        reference: [1, X, Y, Z], RAS+ affine, any modality.
        target: likewise, on its own grid.
        role: what the target is.

    Raises:
        GeometryRefused: one of them is a picture, too thin, or no regular grid.
        InputRefused: nothing plausible is found; says what was.
    """
    volumes = {"reference": reference, role: target}
    for name, volume in volumes.items():
        _check(volume, f"{name} ({_where(volume)})")
    moving, fixed = (_image(volume) for volume in volumes.values())
    shared = partial(_mutual_information, fixed, moving)
    try:
        places = _starts(fixed, moving)
        starts = {name: shown for name, place in places.items() if (shown := shared(place)) is not None}
        if not starts:
            raise RuntimeError("the two never overlap")
        best = max(starts, key=lambda name: starts[name])
        motion = _refined(fixed, moving, places[best])
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputRefused(
            f"{_both(volumes)}: could not be registered ({reason}); align them first"
        ) from None
    before, after = starts.get("headers"), shared(motion) or 0.0
    applied = before is None or after - before >= LEAST_GAIN
    matrix = swap_lps_ras(motion) @ np.diag([-1.0, -1.0, 1.0, 1.0]) if applied else np.eye(4)
    rotation = float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))
    centre = np.asarray(target.affine, np.float64) @ [*((n - 1) / 2 for n in target.shape[1:]), 1.0]
    overlap = _overlap(target, reference, matrix)
    found = Registration(
        target=role,
        matrix=tuple((a, b, c, d) for a, b, c, d in matrix.tolist()),
        rotation_degrees=rotation,
        translation_mm=float(np.linalg.norm((matrix @ centre - centre)[:3])),
        mutual_information={"after": max(after, before or 0.0)}
        | ({} if before is None else {"before": before}),
        overlap=overlap,
        applied=applied,
    )
    _require_plausible(found, min(1.0, _litres(reference) / _litres(target)), _both(volumes))
    return found


def moved(volume: MetaTensor, registration: Registration) -> MetaTensor:
    """A volume that lies where the reference does, at the place where the reference was found to belong."""
    affine = np.linalg.inv(np.array(registration.matrix)) @ np.asarray(volume.affine, np.float64)
    meta = {key: value for key, value in volume.meta.items() if key != "affine"}
    return MetaTensor(volume.as_tensor(), affine=torch.from_numpy(affine), meta=meta)


def _check(volume: MetaTensor, what: str) -> None:
    require_grid(volume.meta, what)
    if "levels" in volume.meta:
        raise GeometryRefused(f"{what}: a picture has no place in millimetres; leave --register out")
    if min(volume.shape[1:]) < LEAST_SLICES:
        sides = " x ".join(map(str, volume.shape[1:]))
        raise GeometryRefused(
            f"{what}: {sides} voxels are too thin to be turned in space, {LEAST_SLICES} along each axis are"
            " needed; leave --register out"
        )
    require_finite(volume.numpy(), what)


def _require_plausible(found: Registration, possible: float, both: str) -> None:
    information = found.mutual_information["after"]
    said = (
        f"rotation {found.rotation_degrees:.1f} degrees, translation {found.translation_mm:.1f} mm, overlap"
        f" {found.overlap:.0%}, mutual information {information:.3f}"
    )
    wrong = {
        f"more than {MOST_DEGREES:g} degrees": found.rotation_degrees > MOST_DEGREES,
        "hardly any overlap": found.overlap < LEAST_OVERLAP * possible,
        "nothing in common but chance": information < LEAST_INFORMATION,
    }
    for reason, holds in wrong.items():
        if holds:
            raise InputRefused(
                f"{both}: registration is not believed, {reason} ({said}); check that they show the same"
                " patient, or align them first"
            )


def _image(volume: MetaTensor) -> SimpleITK.Image:
    """For SimpleITK, whose millimetres are LPS: voxels of about `WORKING_MM`, extremes clipped."""
    import SimpleITK

    affine = swap_lps_ras(volume.affine)
    lengths = spacing(affine)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.numpy()[0].T, np.float32))
    image.SetSpacing(lengths.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / lengths).ravel().tolist())
    joined = SimpleITK.BinShrink(image, [max(1, round(WORKING_MM / length)) for length in lengths])
    ends = np.percentile(SimpleITK.GetArrayViewFromImage(joined), (TAIL, 100 - TAIL))
    clipped: SimpleITK.Image = SimpleITK.Clamp(joined, SimpleITK.sitkFloat32, *map(float, ends))
    return clipped


def _starts(fixed: SimpleITK.Image, moving: SimpleITK.Image) -> dict[str, Floats]:
    """Where the search may begin: motions in LPS millimetres."""
    from SimpleITK import CenteredTransformInitializer, CenteredTransformInitializerFilter, Euler3DTransform

    kinds = {
        "centres": CenteredTransformInitializerFilter.GEOMETRY,
        "centres of mass": CenteredTransformInitializerFilter.MOMENTS,
    }
    made = {
        name: Euler3DTransform(CenteredTransformInitializer(fixed, moving, Euler3DTransform(), kind))
        for name, kind in kinds.items()
    }
    return {"headers": np.eye(4)} | {name: _matrix(transform) for name, transform in made.items()}


def _method() -> SimpleITK.ImageRegistrationMethod:
    import SimpleITK

    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetInterpolator(SimpleITK.sitkLinear)
    return method


def _mutual_information(fixed: SimpleITK.Image, moving: SimpleITK.Image, motion: Floats) -> float | None:
    """In nats, over the same samples for every motion; None where nothing overlaps."""
    method = _method()
    method.SetMetricSamplingPercentage(SAMPLES[1], SEED)
    method.SetInitialTransform(_transform(fixed, motion))
    try:
        return float(-method.MetricEvaluate(fixed, moving))
    except RuntimeError:
        return None


def _refined(fixed: SimpleITK.Image, moving: SimpleITK.Image, start: Floats) -> Floats:
    """The motion with the most mutual information near `start`."""
    transform = _transform(fixed, start)
    method = _method()
    method.SetMetricSamplingPercentagePerLevel(SAMPLES, SEED)
    method.SetShrinkFactorsPerLevel(SHRINK)
    method.SetSmoothingSigmasPerLevel(SMOOTH_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    # Steps of a millimetre at the head's edge, halved until they are a thousandth of one.
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200, 0.5, 1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, True)
    method.Execute(fixed, moving)
    return _matrix(transform)


def _transform(fixed: SimpleITK.Image, motion: Floats) -> SimpleITK.Euler3DTransform:
    """A motion [4, 4] as rotation about the fixed image's centre and translation."""
    import SimpleITK

    centre = np.array(fixed.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in fixed.GetSize()]))
    transform = SimpleITK.Euler3DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(motion[:3, :3].ravel().tolist())
    transform.SetTranslation((motion[:3, :3] @ centre + motion[:3, 3] - centre).tolist())
    return transform


def _matrix(transform: SimpleITK.Euler3DTransform) -> Floats:
    """[4, 4] of R (x - c) + c + t."""
    matrix = np.eye(4)
    rotation, centre = np.reshape(transform.GetMatrix(), (3, 3)), np.array(transform.GetCenter())
    matrix[:3, :3] = rotation
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - rotation @ centre
    return matrix


def _overlap(target: MetaTensor, reference: MetaTensor, matrix: Floats) -> float:
    """Share of the target's voxels that lie in the moved reference's field of view."""
    steps = [np.arange(0, n, max(1, n // 64)) for n in target.shape[1:]]
    indices = np.stack([*np.meshgrid(*steps, indexing="ij"), np.ones([len(s) for s in steps])], axis=-1)
    onto = np.linalg.inv(np.asarray(reference.affine)) @ matrix @ np.asarray(target.affine)
    places = (indices @ onto.T)[..., :3]
    inside = (places >= -0.5) & (places <= np.array(reference.shape[1:]) - 0.5)
    return float(inside.all(axis=-1).mean())


def _litres(volume: MetaTensor) -> float:
    return volume.numel() * abs(float(np.linalg.det(np.asarray(volume.affine)[:3, :3]))) / 1e6


def _both(volumes: dict[str, MetaTensor]) -> str:
    return " and ".join(f"{name} ({_where(volume)})" for name, volume in volumes.items())


def _where(volume: MetaTensor) -> str:
    return Path(str(volume.meta.get("path", "in memory"))).name
