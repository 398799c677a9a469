from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from medtranslate.config import EvaluateSettings
from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.evaluation import ScoringRules, evaluate, score_pair
from medtranslate.evaluation.alignment import align
from medtranslate.io import Volume, write_volume
from medtranslate.records import Evaluation, read_result

Build = Callable[..., Volume]
LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0])


def turned(
    degrees: float, spacing: tuple[float, float, float], origin: tuple[float, float, float]
) -> np.ndarray:  # type: ignore[type-arg]
    """An affine to RAS+ whose axes are those of LPS, rotated about the patient's long axis."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ LPS_OF_RAS @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


def itk(volume: Volume) -> SimpleITK.Image:
    """The same volume for SimpleITK, whose millimetres are LPS."""
    affine = LPS_OF_RAS @ volume.affine[:3]
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    image = SimpleITK.GetImageFromArray(volume.values.T.astype(np.float64))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:, 3].tolist())
    image.SetDirection((affine[:, :3] / spacing).ravel().tolist())
    return image


@pytest.mark.parametrize("degrees", [0.0, 12.0])
def test_a_resampled_reference_is_that_of_simpleitk(degrees: float, volume: Build) -> None:
    rng = np.random.default_rng(0)
    prediction = volume(rng.normal(size=(20, 22, 12)), turned(0, (3.0, 3.0, 4.0), (30.0, 31.0, -20.0)))
    reference = volume(
        rng.normal(size=(24, 20, 16)), turned(degrees, (2.0, 2.5, 3.0), (22.0, 28.0, -21.0)), modality="ct"
    )
    found = align({"prediction": prediction, "reference": reference}, resample_reference=True)
    expected, reached = (
        SimpleITK.GetArrayFromImage(
            SimpleITK.Resample(
                image, itk(prediction), SimpleITK.Transform(), method, 0.0, SimpleITK.sitkFloat64
            )
        ).T
        for image, method in (
            (itk(reference), SimpleITK.sitkLinear),
            (itk(reference) * 0 + 1, SimpleITK.sitkNearestNeighbor),
        )
    )
    moved = found.volumes["reference"]
    assert found.field is not None
    np.testing.assert_array_equal(found.field, reached > 0)
    assert 0.05 < found.field.mean() < 0.95
    np.testing.assert_allclose(moved.values[found.field], expected[found.field], atol=1e-5)
    assert moved.meta.modality == "ct"


def ramp(volume: Build, shape: tuple[int, int, int], affine: NDArray[np.float64], **meta: object) -> Volume:
    """Values that grow linearly through space, which linear interpolation brings back exactly."""
    index = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)], axis=-1)
    return volume((index @ affine.T)[..., :3] @ [1.0, 2.0, -1.5] + 400.0, affine, **meta)


def test_only_what_the_reference_reaches_is_scored(volume: Build) -> None:
    fine, coarse = (
        turned(0, (2.0, 2.0, 2.0), (40.0, 40.0, -30.0)),
        turned(5, (3.0, 3.0, 5.0), (40.0, 40.0, -10.0)),
    )
    prediction, reference = ramp(volume, (40, 40, 30), fine), ramp(volume, (30, 30, 12), coarse)
    everywhere = volume(np.ones((30, 30, 12)), coarse)
    result = score_pair(
        prediction, reference, ScoringRules(resample_reference=True, unmasked=True), mask=everywhere
    )
    assert result.mask is not None
    assert 0.3 < result.mask.share < 0.7
    # The rim of half a voxel outside the outermost centres takes the nearest value.
    assert result.volume["mae"] < 1.0
    assert min(plane.scores["mae"] for plane in result.slices) < 0.2
    assert result.unmasked == result.volume
    (note,) = result.reference
    assert "brought onto the prediction's grid (linear; the mask by nearest neighbour)" in note
    assert f"the {1 - result.mask.share:.1%} of the voxels that it does not reach" in note


def test_a_reference_on_the_same_grid_is_left_alone(
    volume: Build, head: NDArray[np.float32], noisy: NDArray[np.float32]
) -> None:
    plain = score_pair(volume(noisy), volume(head))
    assert score_pair(volume(noisy), volume(head), ScoringRules(resample_reference=True)) == plain
    assert plain.reference == []


def test_a_source_on_another_grid_stays_an_error(volume: Build, head: NDArray[np.float32]) -> None:
    with pytest.raises(GeometryRefused, match=r"source .*46 x 46 x 29"):
        score_pair(
            volume(head), volume(head), ScoringRules(resample_reference=True), source=volume(head[..., 1:])
        )


def test_pictures_and_strangers_are_refused(volume: Build, head: NDArray[np.float32]) -> None:
    grey = head[..., 15:16].clip(0, 255)
    with pytest.raises(InputRefused, match="a picture has no place in millimetres"):
        score_pair(
            volume(grey, levels=255), volume(grey[1:], levels=255), ScoringRules(resample_reference=True)
        )
    far = turned(0, (4.0, 4.0, 4.0), (900.0, 90.0, -60.0))
    with pytest.raises(InputRefused, match=r"truth.nii: no voxel of the prediction lies in it"):
        score_pair(
            volume(head), volume(head, far, path=Path("/x/truth.nii")), ScoringRules(resample_reference=True)
        )


def test_the_error_without_the_option_names_it(
    volume: Build, head: NDArray[np.float32], tmp_path: Path
) -> None:
    write_volume(volume(head), tmp_path / "fake.nii.gz")
    write_volume(volume(head[2:]), tmp_path / "truth.nii.gz")
    paths = {"prediction": tmp_path / "fake.nii.gz", "reference": tmp_path / "truth.nii.gz"}
    with pytest.raises(GeometryRefused, match="give --resample-reference"):
        evaluate(EvaluateSettings(**paths, out=tmp_path / "o"), quiet=True)
    result = evaluate(EvaluateSettings(**paths, out=tmp_path / "o", resample_reference=True), quiet=True)
    assert isinstance(result, Evaluation)
    assert read_result(Evaluation, tmp_path / "o" / "result.json") == result
    assert "4.3% of the voxels" in result.reference[0]
    assert "4.3% of the voxels" in (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
