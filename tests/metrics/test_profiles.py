from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics.regression import compute_ssim_and_cs
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from medtranslate.config import ProfileName
from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.io import read_volume
from medtranslate.metrics import PROFILES, SCORES, head_mask, mae, psnr, score, ssim_map

RANGE = (-20.0, 100.0)
GREYS = (0.0, 255.0)


def head(shape: tuple[int, int, int] = (48, 40, 5)) -> NDArray[np.float32]:
    """An ellipse of tissue in air, in HU clipped to RANGE, with texture from a fixed seed."""
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(*(np.linspace(-1.3, 1.3, n) for n in shape[:2]), indexing="ij")
    inside = (x**2 + y**2 < 1)[..., None]
    return np.where(inside, rng.normal(40, 15, shape), -20.0).astype(np.float32).clip(*RANGE)


def noisy(volume: NDArray[np.float32], sigma: float = 10.0) -> NDArray[np.float32]:
    return (volume + np.random.default_rng(2).normal(0, sigma, volume.shape)).astype(np.float32)


def everywhere(volume: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.ones(volume.shape, bool)


def test_hand_computed_numbers() -> None:
    prediction = np.array([0, 10, 20, 250], np.float32).reshape(2, 2, 1)
    reference = np.array([0, 13, 16, 0], np.float32).reshape(2, 2, 1)
    mask = np.array([1, 1, 1, 0], bool).reshape(2, 2, 1)
    assert mae(prediction, reference, mask) == pytest.approx(7 / 3)
    # Mean squared error (0 + 9 + 16) / 3.
    assert psnr(prediction, reference, mask, (0.0, 255.0)) == pytest.approx(10 * math.log10(255**2 * 3 / 25))


def test_ssim_of_constants_is_the_luminance_term() -> None:
    low, high = 30.0, 70.0
    images = [np.full((16, 16, 1), value, np.float32) for value in (low, high)]
    c1 = (0.01 * 120) ** 2
    a, b = low + 20, high + 20  # counted from the range's lower end
    found = ssim_map(images[0], images[1], RANGE)
    assert found is not None
    np.testing.assert_allclose(found, (2 * a * b + c1) / (a * a + b * b + c1), rtol=1e-6)


def test_psnr_is_that_of_scikit_image_over_the_masked_voxels() -> None:
    reference = head()
    prediction = noisy(reference)
    mask = head_mask([reference], [RANGE])
    expected = peak_signal_noise_ratio(
        reference[mask].astype(float), prediction[mask].astype(float), data_range=120
    )
    assert psnr(prediction, reference, mask, RANGE) == pytest.approx(expected, rel=1e-9)


def test_ssim_is_that_of_scikit_image_slice_by_slice() -> None:
    reference = head()
    prediction = noisy(reference)
    mask = head_mask([reference], [RANGE])
    whole, planes = score(prediction, reference, mask, RANGE)
    maps = []
    for k in range(reference.shape[2]):
        a, b = (v[..., k].astype(float) + 20 for v in (reference, prediction))
        _, full = structural_similarity(
            a, b, data_range=120, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        maps.append(full[mask[..., k]])
        assert planes[k]["ssim"] == pytest.approx(maps[-1].mean(), rel=1e-5)
    assert whole["ssim"] == pytest.approx(np.concatenate(maps).mean(), rel=1e-5)


def test_ssim_agrees_with_monai_where_the_window_fits() -> None:
    reference = head((40, 40, 1))
    prediction = noisy(reference)
    found = ssim_map(prediction, reference, RANGE)
    a, b = (torch.from_numpy(v[None, None, ..., 0] + 20).double() for v in (prediction, reference))
    expected, _ = compute_ssim_and_cs(a, b, 2, kernel_size=(11, 11), kernel_sigma=(1.5, 1.5), data_range=120)
    assert found is not None
    np.testing.assert_allclose(found[5:-5, 5:-5, 0], expected[0, 0].numpy(), atol=1e-4)


def test_equal_volumes_are_perfect() -> None:
    reference = head()
    whole, planes = score(reference, reference, everywhere(reference), RANGE)
    assert whole == {"mae": 0.0, "psnr": math.inf, "ssim": 1.0}
    assert all(plane == whole for plane in planes)


def test_a_flipped_prediction_scores_worse_than_a_noisy_one() -> None:
    reference = head()
    mask = head_mask([reference], [RANGE])
    right, _ = score(noisy(reference, 3), reference, mask, RANGE)
    flipped, _ = score(noisy(reference, 3)[::-1], reference, mask, RANGE)
    assert flipped["mae"] > 2 * right["mae"]
    assert flipped["ssim"] < right["ssim"] - 0.2


def test_slices_add_up_to_the_volume() -> None:
    reference = head()
    prediction = noisy(reference)
    mask = head_mask([reference], [RANGE])
    whole, planes = score(prediction, reference, mask, RANGE)
    weights = mask.sum(axis=(0, 1))
    assert len(planes) == reference.shape[2]
    for name in ("mae", "ssim"):
        values = [plane[name] for plane in planes]
        assert whole[name] == pytest.approx(np.average(values, weights=weights), rel=1e-6)


@pytest.mark.parametrize("profile", PROFILES)
class TestEveryProfile:
    def test_ignores_values_far_outside_the_mask(self, profile: ProfileName) -> None:
        reference = head((96, 96, 8))
        mask = np.zeros(reference.shape, bool)
        mask[40:56, 40:56] = True
        prediction = noisy(reference)
        spoilt = prediction.copy()
        spoilt[:20] = 1e4
        assert score(prediction, reference, mask, RANGE, profile) == score(
            spoilt, reference, mask, RANGE, profile
        )

    def test_more_noise_is_worse(self, profile: ProfileName) -> None:
        reference = head((48, 40, 8))
        mask = PROFILES[profile].mask([reference], [RANGE])
        near, far = (score(noisy(reference, s), reference, mask, RANGE, profile)[0] for s in (5, 20))
        assert near["mae"] < far["mae"]

    def test_nothing_in_the_mask_is_no_score(self, profile: ProfileName) -> None:
        reference = head((48, 40, 8))
        whole, planes = score(reference, reference, ~everywhere(reference), RANGE, profile)
        assert whole == {}
        assert planes == [{}] * reference.shape[2]

    def test_defines_the_scores_that_it_gives(self, profile: ProfileName) -> None:
        reference = head((48, 40, 8))
        whole, _ = score(noisy(reference), reference, everywhere(reference), RANGE, profile)
        assert list(PROFILES[profile].scores) == list(whole)
        assert set(whole) <= set(SCORES)

    @pytest.mark.parametrize("odd", [np.nan, np.inf])
    @pytest.mark.parametrize("which", [0, 1])
    def test_refuses_values_that_are_not_finite(self, profile: ProfileName, which: int, odd: float) -> None:
        volumes = [head(), head()]
        volumes[which][3, 4, 0] = odd
        with pytest.raises(InputRefused, match="1 of 9600 voxels are not finite"):
            score(volumes[0], volumes[1], everywhere(volumes[0]), RANGE, profile)

    def test_refuses_other_shapes(self, profile: ProfileName) -> None:
        reference = head()
        with pytest.raises(GeometryRefused, match=r"\(48, 40, 4\)"):
            score(reference[..., 1:], reference, everywhere(reference), RANGE, profile)

    def test_refuses_an_empty_range(self, profile: ProfileName) -> None:
        reference = head()
        with pytest.raises(InputRefused, match="100 to -20 is empty"):
            score(reference, reference, everywhere(reference), (100.0, -20.0), profile)


def test_a_slice_smaller_than_the_window_has_no_ssim() -> None:
    small, fitting = head((10, 40, 2)), head((11, 11, 1))
    whole, _ = score(noisy(small), small, everywhere(small), RANGE)
    assert whole.get("ssim") is None
    assert whole["mae"] > 0
    assert score(noisy(fitting), fitting, everywhere(fitting), RANGE)[0]["ssim"] < 1


@given(
    hnp.arrays(np.float32, (6, 5, 2), elements=st.floats(-100, 100, width=32)),
    hnp.arrays(np.float32, (6, 5, 2), elements=st.floats(-100, 100, width=32)),
    hnp.arrays(np.bool_, (6, 5, 2)),
)
def test_errors_are_symmetric_and_bounded(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.bool_]
) -> None:
    forth, back = mae(a, b, mask), mae(b, a, mask)
    assert forth == back
    assert (forth is None) == (not mask.any())
    assert forth is None or 0 <= forth <= np.abs(a.astype(float) - b).max()
    assert psnr(a, b, mask, RANGE) == psnr(b, a, mask, RANGE)


def test_black_looks_passable_without_a_mask_only(shared_data: Path) -> None:
    paths = sorted((shared_data / "paired-ct-mr" / "CT").iterdir())[::10]
    unmasked: list[float] = []
    masked: list[float] = []
    for path in paths:
        reference = read_volume(path).values
        black = np.zeros_like(reference)
        for mask, found in ((everywhere(black), unmasked), (head_mask([reference], [GREYS]), masked)):
            found.append(score(black, reference, mask, GREYS)[0]["ssim"])
    assert np.mean(unmasked) > 0.45
    assert np.mean(masked) < 0.1
