from __future__ import annotations

import numpy as np
from skimage.morphology import disk

from medtranslate.metrics import blank_slices, body_mask, head_mask, invented, percentile_range


def test_head_mask_fills_holes_and_drops_the_headrest() -> None:
    volume = np.zeros((40, 40, 3), np.float32)
    volume[10:30, 10:30] = 100.0
    volume[15:20, 15:20, 1] = 0.0  # a sinus
    volume[5:35, 36] = 100.0  # a headrest
    mask = head_mask([volume], [(0.0, 100.0)])
    assert mask[10:30, 10:30].all()
    assert mask.sum() == 20 * 20 * 3


def test_head_mask_is_the_union_above_three_percent_of_each_range() -> None:
    ct, mr = np.full((4, 4, 1), -1000, np.float32), np.zeros((4, 4, 1), np.float32)
    ct[0], ct[1] = -951.9, -952.1  # 3 % of -1000 to 600 is -952
    mr[3], mr[2] = 30.1, 29.9  # 3 % of 0 to 1000 is 30
    above = head_mask([ct], [(-1000.0, 600.0)])
    assert above[0].all()
    assert not above[1:].any()
    mr[1:3] = 30.1
    assert head_mask([ct, mr], [(-1000.0, 600.0), (0.0, 1000.0)]).all()


def test_head_mask_of_nothing_is_empty() -> None:
    black = np.zeros((8, 8, 2), np.float32)
    assert not head_mask([black], [percentile_range(black)]).any()


def test_body_mask_is_the_outline_with_a_rim_in_plane() -> None:
    ct = np.full((60, 60, 4), -1000, np.float32)
    ct[30, 30, 1:3] = 40.0
    ct[2, 2, 0] = 900.0  # a speck elsewhere
    mask = body_mask([ct], [(0.0, 1.0)])
    assert not mask[..., 0].any()
    assert not mask[..., 3].any()
    for plane in (1, 2):
        np.testing.assert_array_equal(mask[20:41, 20:41, plane], disk(10).astype(bool))
    assert mask.sum() == 2 * disk(10).sum()


def test_body_mask_ends_at_the_field_of_view_and_holds_lungs() -> None:
    ct = np.full((40, 40, 2), 40, np.float32)
    ct[10:20, 10:20] = -800.0
    assert body_mask([ct, np.zeros_like(ct)], [(0.0, 1.0)] * 2).all()


def test_body_mask_of_air_is_empty() -> None:
    assert not body_mask([np.full((20, 20, 2), -1000, np.float32)], [(0.0, 1.0)]).any()


def test_what_a_prediction_alone_shows_counts_in_pieces_of_any_size_and_faint_haze_does_not() -> None:
    reference, prediction = np.zeros((12, 12, 3), np.float32), np.zeros((12, 12, 3), np.float32)
    reference[4:8, 4:8] = prediction[4:8, 4:8] = 50.0
    prediction[0, :, 1], prediction[11, 11, 2], prediction[:, 0] = 100.0, 26.0, 24.0
    found = invented(prediction, reference, (0.0, 100.0))
    assert found.sum() == 12
    assert found[0, 1:, 1].all()
    assert found[11, 11, 2]
    assert not invented(reference, prediction, (0.0, 100.0)).any()


def test_a_slice_is_blank_where_no_volume_shows_anything() -> None:
    one, other = np.full((6, 6, 4), -20.0, np.float32), np.full((6, 6, 4), -20.0, np.float32)
    one[2, 2, 0], other[3, 3, 2], other[0, 0, 3] = 40.0, 0.0, -16.5  # 3 % of -20 to 100 is -16.4
    assert blank_slices([one, other], (-20.0, 100.0)).tolist() == [False, True, False, True]
