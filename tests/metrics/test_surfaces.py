from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_hausdorff_distance
from numpy.typing import NDArray

from medtranslate.metrics import hausdorff_95

MASKS = hnp.arrays(np.bool_, (7, 6, 5))
SPACING = (0.8, 1.3, 2.5)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@settings(max_examples=40)
@given(MASKS, MASKS, st.sampled_from([(1.0, 1.0, 1.0), SPACING]))
def test_the_distance_is_monais(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> None:
    found = hausdorff_95(ours, theirs, spacing)
    if not (ours.any() and theirs.any()):
        assert found is None
        return
    batch = (mask[None, None].astype(np.float32) for mask in (ours, theirs))
    oracle = compute_hausdorff_distance(*batch, include_background=True, percentile=95, spacing=spacing)
    assert found == pytest.approx(float(oracle), abs=1e-4)


def test_a_shifted_box_is_as_far_as_it_was_shifted() -> None:
    box = np.zeros((30, 20, 20), bool)
    box[4:12, 4:16, 4:16] = True
    shifted = np.roll(box, 9, axis=0)
    images = [sitk.GetImageFromArray(mask.T.astype(np.uint8)) for mask in (box, shifted)]
    for image in images:
        image.SetSpacing(SPACING)
    filter_ = sitk.HausdorffDistanceImageFilter()
    filter_.Execute(*images)
    assert hausdorff_95(box, shifted, SPACING) == pytest.approx(9 * SPACING[0])
    assert filter_.GetHausdorffDistance() == pytest.approx(9 * SPACING[0], rel=1e-5)
    assert hausdorff_95(box, box, SPACING) == 0.0


def test_a_speck_far_away_is_beyond_the_95th_percentile() -> None:
    box = np.zeros((40, 20, 20), bool)
    box[4:16, 4:16, 4:16] = True
    specked = box.copy()
    specked[39, 19, 19] = True
    assert hausdorff_95(specked, box, (1.0, 1.0, 1.0)) == 0.0
