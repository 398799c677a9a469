"""The challenges' profiles against the challenges' own code.

The golden numbers are those of the published evaluation code, run in double precision on the inputs
that `pair` makes (mask: within 1.15 of the radius), and on the template that the tests find where it is:

- synthrad2025: `ImageMetrics().score_patient(reference, prediction, mask)` of image_metrics.py,
  github.com/SynthRAD2025/evaluation, commit 17cac47b6288fcb66c5818c9d50eb9534d613fa2;
- synthrad2023: `mae`, `psnr(..., use_population_range=True)` and `ssim` of functions/image_metrics.py,
  github.com/SynthRAD2023/metrics, commit 3200007e7029282416445719f7aae27e3a87308d.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from medtranslate.config import ProfileName
from medtranslate.errors import InputRefused
from medtranslate.evaluation import ScoringRules, score_pair
from medtranslate.io import Volume, read_volume
from medtranslate.metrics import WHOLE_CT, body_mask, ms_ssim, score
from medtranslate.records import Scores

Triple = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]
Shape = tuple[int, int, int]

SYNTHRAD: list[ProfileName] = ["synthrad2023", "synthrad2025"]
UNUSED = (0.0, 1.0)
"""A range that the profiles have to overrule."""


def pair(shape: Shape, seed: int) -> Triple:
    """Prediction, reference and mask: a ball of tissue in bone in air, and its noisy, biased copy."""
    x, y, z = np.meshgrid(
        *(np.linspace(-1.3, 1.3, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij"
    )
    radius = np.sqrt(x * x + y * y + z * z)
    noise = np.random.default_rng(seed)
    tissue = 40 + 60 * np.sin(5 * x + seed) * np.cos(4 * y) + noise.normal(0, 15, shape)
    reference = np.where(radius < 0.85, tissue, np.where(radius < 1, 1100.0, -1000.0))
    prediction = reference + noise.normal(20, 80, shape) + 200 * (radius < 1) * np.sin(7 * z)
    return prediction.astype(np.float32), reference.astype(np.float32), radius < 1.15


def beyond(shape: Shape, seed: int) -> Triple:
    """`pair` with metal above and padding below what 12 bits hold, which PSNR and similarity clip."""
    prediction, reference, mask = pair(shape, seed)
    prediction[10:14, 20:26, 10:20] = 4000.0
    reference[11:15, 20:26, 10:20] = 5000.0
    reference[20:24, 20:26, 10:20] = -2048.0
    return prediction, reference, mask


def scored(triple: Triple, profile: ProfileName) -> Scores:
    return score(*triple, UNUSED, profile)[0]


def agrees(found: Scores, mae: float, psnr: float, **similarity: float) -> None:
    assert found == pytest.approx({"mae": mae, "psnr": psnr, **similarity}, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "shape", "seed", "mae", "psnr", "ssim"),
    [
        (pair, (48, 40, 32), 1, 114.56557800523984, 29.154180172038025, 0.9098610464834149),
        (pair, (120, 100, 9), 2, 115.62322383854091, 29.105951398755614, 0.9760689277080613),
        (beyond, (48, 50, 40), 6, 148.06483616281784, 24.647444100930823, 0.8835772448668717),
    ],
)
def test_2023_is_the_published_code(
    make: Callable[[Shape, int], Triple], shape: Shape, seed: int, mae: float, psnr: float, ssim: float
) -> None:
    agrees(scored(make(shape, seed), "synthrad2023"), mae, psnr, ssim=ssim)


@pytest.mark.parametrize(
    ("make", "shape", "seed", "mae", "psnr", "multi"),
    [
        (pair, (48, 40, 32), 1, 114.56557800523984, 29.306098853009352, 0.9854237667660617),
        (pair, (120, 100, 9), 2, 115.62322383854091, 29.257870079726942, 0.9975069854262405),
        (pair, (60, 50, 1), 4, 66.3682952338442, 34.0896408528654, 0.9899314477447306),
        (pair, (110, 104, 99), 5, 113.81570927891123, 29.387963485086615, 0.9472155031137055),
        (beyond, (48, 50, 40), 6, 148.06483616281784, 24.686361227925087, 0.9707584961381471),
    ],
    ids=["padded", "flat", "a single slice", "unpadded, odd sides", "clipped"],
)
def test_2025_is_the_published_code(
    make: Callable[[Shape, int], Triple], shape: Shape, seed: int, mae: float, psnr: float, multi: float
) -> None:
    agrees(scored(make(shape, seed), "synthrad2025"), mae, psnr, ms_ssim=multi)


@pytest.mark.parametrize(
    ("change", "mae", "psnr2023", "ssim", "psnr2025", "multi"),
    [
        (
            lambda hu: ndimage.gaussian_filter(hu, 1.0),
            *(
                20.600254404532038,
                40.42325135849492,
                0.9850643928372047,
                40.57517003946625,
                0.9967047706344693,
            ),
        ),
        (
            lambda hu: hu[:, ::-1],
            *(
                121.44414267176376,
                25.259635121688568,
                0.7111858232349738,
                25.411553802659892,
                0.8125126898862484,
            ),
        ),
    ],
    ids=["smoothed", "back to front"],
)
def test_both_are_the_published_code_on_a_real_template(
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    mae: float,
    psnr2023: float,
    ssim: float,
    psnr2025: float,
    multi: float,
    shared_data: Path,
) -> None:
    """The mask is `body_mask` of the template, whose share is asserted so that it stays what was measured."""
    template = read_volume(shared_data / "nifti" / "ct-template-hu.nii.gz").values
    mask = body_mask([template], [WHOLE_CT])
    assert mask.mean() == pytest.approx(0.7897209152376004)
    triple = change(template), template, mask
    # Filters of other versions of SciPy may round single precision otherwise.
    for found, psnr, similarity in (
        (scored(triple, "synthrad2023"), psnr2023, ssim),
        (scored(triple, "synthrad2025"), psnr2025, multi),
    ):
        assert found["mae"] == pytest.approx(mae, abs=1e-5)
        assert found["psnr"] == pytest.approx(psnr, abs=1e-5)
        assert (found.get("ssim") or found.get("ms_ssim")) == pytest.approx(similarity, abs=1e-5)


FROM_EACH_CORNER = {
    "LPS": 0.9958134539564059,
    "LPI": 0.9958682883978628,
    "LAS": 0.9957925472297579,
    "LAI": 0.995837697944268,
    "RPS": 0.9958117679872733,
    "RPI": 0.995860586496165,
    "RAS": 0.9957857595219108,
    "RAI": 0.9958303480371811,
}
"""MS-SSIM of `pair((24, 21, 18), 7)` by the published code, stored in each order and read by SimpleITK.

The six orders of the axes agree to 6e-16 in that code, so the number of each corner stands for six files.
"""
ORDERS = ["".join(codes) for corner in FROM_EACH_CORNER for codes in permutations(corner)]


@pytest.mark.parametrize(
    "order",
    # One file of each corner, no two axes alike in order, is quick.
    [
        order if k % 6 == k // 6 % 6 else pytest.param(order, marks=pytest.mark.slow)
        for k, order in enumerate(ORDERS)
    ],
)
def test_2025_is_the_published_code_in_every_order_of_storage(order: str, tmp_path: Path) -> None:
    fake, real, mask = pair((24, 21, 18), 7)
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(order))
    lps = np.array([[-4.0, 0, 0, 50], [0, -4, 0, 40], [0, 0, 5, -30], [0, 0, 0, 1]])
    volumes = []
    for name, values in (("fake", fake), ("real", real), ("mask", mask.astype(np.float32))):
        stored = nib.Nifti1Image(apply_orientation(values, turn), lps @ inv_ornt_aff(turn, values.shape))
        assert "".join(nib.aff2axcodes(stored.affine)) == order
        nib.save(stored, tmp_path / f"{name}.nii")
        volumes.append(read_volume(tmp_path / f"{name}.nii"))
    result = score_pair(
        volumes[0], volumes[1], ScoringRules(profile="synthrad2025"), mask=volumes[2], source=volumes[1]
    )
    corner = next(corner for corner in FROM_EACH_CORNER if set(corner) == set(order))
    agrees(result.volume, 113.66171164576511, 29.419313853089616, ms_ssim=FROM_EACH_CORNER[corner])
    assert result.baselines["source copied"]["ms_ssim"] == pytest.approx(1.0)
    # Slices stay axial, from the feet.
    heights = [plane.position_mm for plane in result.slices if plane.position_mm is not None]
    assert heights == sorted(heights)
    top = result.slices[-2]
    errors = np.abs(fake - real)[..., top.index].astype(float)
    assert top.scores["mae"] == pytest.approx(errors[mask[..., top.index]].mean())


def test_a_reference_that_was_resampled_is_scored_in_the_order_of_the_prediction() -> None:
    fake, real, mask = pair((24, 21, 18), 7)
    lps = np.array([[-4.0, 0, 0, 50], [0, -4, 0, 40], [0, 0, 5, -30], [0, 0, 0, 1]])
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt("RAI"))
    ours = inv_ornt_aff(turn, fake.shape)
    wider = np.pad(real, 1, mode="edge")
    stored = [
        Volume(apply_orientation(values, turn), lps @ ours) for values in (fake, mask.astype(np.float32))
    ]
    moved = lps.copy()
    moved[:3, 3] -= lps[:3, :3].sum(axis=1)
    reference = Volume(wider, moved)
    found = score_pair(
        stored[0], reference, ScoringRules(profile="synthrad2025", resample_reference=True), mask=stored[1]
    ).volume
    assert found["ms_ssim"] == pytest.approx(FROM_EACH_CORNER["RAI"], abs=1e-7)


def test_2023_is_scikit_image_where_everything_counts() -> None:
    prediction, reference, mask = beyond((48, 50, 40), 6)
    found = scored((prediction, reference, np.ones_like(mask)), "synthrad2023")
    fake, real = (volume.astype(float).clip(-1024, 3000) + 1024 for volume in (prediction, reference))
    assert found["ssim"] == pytest.approx(structural_similarity(real, fake, data_range=4024), rel=1e-12)
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(real, fake, data_range=4024), rel=1e-12)


def test_2023_scores_its_slices_by_the_same_map() -> None:
    triple = pair((48, 40, 32), 1)
    whole, slices = score(*triple, UNUSED, "synthrad2023")
    counted = triple[2][3:-3, 3:-3].sum(axis=(0, 1))[3:-3]
    similar = [plane["ssim"] for plane in slices[3:-3]]
    assert whole["ssim"] == pytest.approx(np.average(similar, weights=counted), rel=1e-9)
    assert {plane.get("ssim") for plane in (*slices[:3], *slices[-3:])} == {None}


@pytest.mark.parametrize("profile", SYNTHRAD)
class TestBoth:
    def test_slices_add_up_to_the_volume(self, profile: ProfileName) -> None:
        triple = pair((48, 40, 32), 1)
        whole, slices = score(*triple, UNUSED, profile)
        total = sum(
            plane.get("mae", 0.0) * n for plane, n in zip(slices, triple[2].sum(axis=(0, 1)), strict=True)
        )
        assert whole["mae"] == pytest.approx(total / triple[2].sum())

    def test_equal_volumes_are_perfect(self, profile: ProfileName) -> None:
        _, reference, mask = pair((48, 40, 32), 1)
        whole = scored((reference, reference, mask), profile)
        assert (whole["mae"], whole["psnr"]) == (0.0, math.inf)
        assert (whole.get("ssim") or whole.get("ms_ssim")) == pytest.approx(1.0, abs=1e-12)

    def test_a_flipped_prediction_is_far_worse(self, profile: ProfileName) -> None:
        prediction, reference, mask = pair((48, 40, 32), 1)
        right, flipped = (scored((fake, reference, mask), profile) for fake in (prediction, -prediction))
        assert flipped["mae"] > 5 * right["mae"]
        assert (flipped.get("ssim") or flipped["ms_ssim"]) < (right.get("ssim") or right["ms_ssim"]) - 0.3

    def test_a_constant_prediction_has_scores(self, profile: ProfileName) -> None:
        _, reference, mask = pair((48, 40, 32), 1)
        whole = scored((np.full_like(reference, 40.0), reference, mask), profile)
        assert whole["mae"] == pytest.approx(np.abs(reference[mask].astype(float) - 40).mean())
        assert 0 < (whole.get("ssim") or whole["ms_ssim"]) < 0.95

    def test_metal_counts_in_the_error_and_saturates_in_the_rest(self, profile: ProfileName) -> None:
        prediction, reference, mask = pair((48, 40, 32), 1)
        top, higher = prediction.copy(), prediction.copy()
        top[20:24, 20:24, 10:14], higher[20:24, 20:24, 10:14] = 3071.0, 9000.0
        low, high = (scored((fake, reference, mask), profile) for fake in (top, higher))
        assert high["mae"] > low["mae"] + 1
        assert high | {"mae": None} == low | {"mae": None}

    def test_no_voxel_in_the_mask_is_no_score(self, profile: ProfileName) -> None:
        prediction, reference, mask = pair((48, 40, 32), 1)
        assert scored((prediction, reference, np.zeros_like(mask)), profile) == {}

    def test_one_voxel_that_is_not_finite_is_refused(self, profile: ProfileName) -> None:
        prediction, reference, mask = pair((48, 40, 32), 1)
        prediction[3, 4, 5] = np.nan
        with pytest.raises(InputRefused, match="prediction: 1 of 61440 voxels are not finite"):
            scored((prediction, reference, mask), profile)


@pytest.mark.parametrize("shape", [(60, 50, 1), (6, 40, 40), (5, 5, 5)])
def test_2023_names_another_profile_where_its_window_does_not_fit(shape: Shape) -> None:
    with pytest.raises(InputRefused, match=r"window of 7 voxels .*use the profile image"):
        scored(pair(shape, 3), "synthrad2023")


def test_2023_names_another_profile_for_a_mask_at_the_edge_only() -> None:
    prediction, reference, mask = pair((48, 40, 32), 1)
    edge = np.zeros_like(mask)
    edge[:3] = True
    with pytest.raises(InputRefused, match=r"3840 voxels of the mask .*use the profile image"):
        scored((prediction, reference, edge), "synthrad2023")


def test_2025_names_another_profile_where_its_scales_leave_nothing() -> None:
    prediction, reference, mask = pair((110, 104, 99), 5)
    speck = np.zeros_like(mask)
    speck[51:55, 51:55, 51:55] = True
    with pytest.raises(InputRefused, match=r"mask of 64 voxels: .* 8 times as coarse; use the profile"):
        ms_ssim(prediction, reference, speck, WHOLE_CT)
