"""Searches for a rigid motion by mutual information, with SimpleITK, whose millimetres are LPS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from medtranslate.geometry import Floats, spacing, swap_lps_ras
from medtranslate.io import Volume

if TYPE_CHECKING:
    import SimpleITK

WORKING_MM = 2.0
"""Size of voxels to which images are reduced first; the result is much finer than a voxel."""
COARSE_MM = 8.0
"""Size of voxels in the coarse search."""
TILTS = (-20.0, 0.0, 20.0)
"""Degrees about each axis in the coarse search, beside quarter turns."""
TRIED = 3
"""Number of best coarse motions from which a search starts."""
SAMPLES = 30_000
"""Most voxels that are sampled."""
BINS = 50
TAIL = 1.0
"""Percentiles that are clipped on either side, so that metal does not fill all of the bins."""
SEED = 1


def find_motion(target: Volume, reference: Volume) -> tuple[Floats, float | None, float]:
    """Find the motion [4, 4] from the target's points to the reference's, in LPS millimetres.

    Returns:
        The motion, and the mutual information in nats without it (None without overlap) and with it.

    Raises:
        RuntimeError: SimpleITK finds no motion.
    """
    with _one_thread():
        fixed, moving = _image(target), _image(reference)
        motion = _refined(fixed, moving, _nearest(fixed, moving), (4, 2, 1))
        before, after = (_mutual_information(fixed, moving, place) for place in (np.eye(4), motion))
    return motion, before, after or 0.0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit SimpleITK to one thread: sums of several threads differ in their last digits from run to run."""
    from SimpleITK import ProcessObject

    former = ProcessObject.GetGlobalDefaultNumberOfThreads()
    ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        ProcessObject.SetGlobalDefaultNumberOfThreads(former)


def _image(volume: Volume) -> SimpleITK.Image:
    """Convert for SimpleITK, whose millimetres are LPS: voxels of about `WORKING_MM`, extremes clipped."""
    import SimpleITK

    affine = swap_lps_ras(volume.affine)
    lengths = spacing(affine)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.values.T))
    image.SetSpacing(lengths.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / lengths).ravel().tolist())
    joined = _joined(image, WORKING_MM)
    low, high = np.percentile(SimpleITK.GetArrayViewFromImage(joined), (TAIL, 100 - TAIL)).tolist()
    clipped: SimpleITK.Image = SimpleITK.Clamp(joined, SimpleITK.sitkFloat32, low, high) - low
    return clipped


def _joined(image: SimpleITK.Image, size_mm: float) -> SimpleITK.Image:
    """Average voxels into larger ones of about this size; voxels of that size stay."""
    import SimpleITK

    joined: SimpleITK.Image = SimpleITK.BinShrink(
        image, [max(1, round(size_mm / length)) for length in image.GetSpacing()]
    )
    return joined


def _nearest(fixed: SimpleITK.Image, moving: SimpleITK.Image) -> Floats:
    """Find the best of many motions on coarse images, in LPS millimetres, for the start of the search.

    Quarter turns are among them: a head laid on its side by a wrong header is found there and can be
    refused; otherwise it would be fitted badly in place.
    """
    from scipy.spatial.transform import Rotation  # slow to import

    fixed, moving = (_joined(image, COARSE_MM) for image in (fixed, moving))
    here, there = _centre_of_mass(fixed), _centre_of_mass(moving)
    tilts = Rotation.from_euler("xyz", list(product(TILTS, repeat=3)), degrees=True)
    places = [np.eye(4), _about(np.eye(3), _centre(fixed), _centre(moving))]
    places += [_about(turn, here, there) for turn in tilts.as_matrix()]
    places += [_about(turn, here, there) for turn in Rotation.create_group("O").as_matrix()]

    def shared(place: Floats) -> float:
        return _mutual_information(fixed, moving, place) or 0.0

    ranked = sorted(places, key=shared, reverse=True)[:TRIED]
    return max((_refined(fixed, moving, place, (1,)) for place in ranked), key=shared)


def _about(turn: Floats, here: Floats, there: Floats) -> Floats:
    """Compose the motion [4, 4] that rotates about a point and moves that point to another."""
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = turn, there - turn @ here
    return motion


def _centre(image: SimpleITK.Image) -> Floats:
    middle = [(n - 1) / 2 for n in image.GetSize()]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(middle))


def _centre_of_mass(image: SimpleITK.Image) -> Floats:
    """Compute the centre of mass of the values, which begin at zero."""
    import SimpleITK

    place = ndimage.center_of_mass(SimpleITK.GetArrayViewFromImage(image))[::-1]
    return np.array(image.TransformContinuousIndexToPhysicalPoint([float(index) for index in place]))


def _method() -> SimpleITK.ImageRegistrationMethod:
    import SimpleITK

    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetInterpolator(SimpleITK.sitkLinear)
    return method


def _mutual_information(fixed: SimpleITK.Image, moving: SimpleITK.Image, motion: Floats) -> float | None:
    """Compute the mutual information in nats, over the same samples for each motion; None without overlap."""
    method = _method()
    method.SetMetricSamplingPercentage(_share(fixed, 1), SEED)
    method.SetInitialTransform(_transform(fixed, motion))
    try:
        return float(-method.MetricEvaluate(fixed, moving))
    except RuntimeError:
        return None


def _refined(
    fixed: SimpleITK.Image, moving: SimpleITK.Image, start: Floats, shrink: tuple[int, ...]
) -> Floats:
    """Maximise mutual information near `start`, on images shrunk by these factors in turn."""
    transform = _transform(fixed, start)
    method = _method()
    method.SetMetricSamplingPercentagePerLevel([_share(fixed, factor) for factor in shrink], SEED)
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([factor if factor > 1 else 0 for factor in shrink])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    # Steps start at a millimetre at the head's edge and are halved down to a thousandth of one.
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200, 0.5, 1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, True)
    method.Execute(fixed, moving)
    return _matrix(transform)


def _share(fixed: SimpleITK.Image, factor: int) -> float:
    """Compute the share of an image's voxels to sample, if it is shrunk by a factor."""
    return min(0.9, SAMPLES * factor**3 / int(fixed.GetNumberOfPixels()))


def _transform(fixed: SimpleITK.Image, motion: Floats) -> SimpleITK.Euler3DTransform:
    """Convert a motion [4, 4] to a rotation about the fixed image's centre and a translation."""
    import SimpleITK

    centre = _centre(fixed)
    transform = SimpleITK.Euler3DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(motion[:3, :3].ravel().tolist())
    transform.SetTranslation((motion[:3, :3] @ centre + motion[:3, 3] - centre).tolist())
    return transform


def _matrix(transform: SimpleITK.Euler3DTransform) -> Floats:
    """Compute the matrix [4, 4] of R (x - c) + c + t."""
    matrix = np.eye(4)
    rotation, centre = np.reshape(transform.GetMatrix(), (3, 3)), np.array(transform.GetCenter())
    matrix[:3, :3] = rotation
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - rotation @ centre
    return matrix
