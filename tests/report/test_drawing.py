from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medtranslate.report import Pictures
from medtranslate.report.charts import draw_strips, without_comb
from medtranslate.report.drawing import (
    LONGEST_SIDE,
    Cut,
    draw_curve,
    draw_plane,
    middle_cuts,
    round_ticks,
    size_mm,
    spread_planes,
)
from medtranslate.report.scale_ends import error_limit, uncertainty_limit


def decode(uri: str | None) -> NDArray[np.uint8]:
    assert uri is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def pictures(shape: tuple[int, int, int] = (40, 50, 5)) -> Pictures:
    """A black head with a bright spot at the patient's right front (low x, low y in LPS)."""
    reference = np.zeros(shape, np.float32)
    reference[4:8, 6:10] = 100.0
    everywhere = np.ones(shape, bool)
    return Pictures(np.zeros(shape, np.float32), reference, everywhere, (0.0, 100.0), (1.0, 1.0, 3.0))


def test_radiological_view() -> None:
    plane = draw_plane(pictures(), Cut(2, 2), 100.0)
    reference = decode(plane.reference)
    assert reference.shape == (50, 40)  # rows along Y, columns along X
    assert reference[7, 5] == 255  # top left: anterior, patient's right
    assert reference.sum() == 255 * 16
    assert plane.source is None


def test_error_map_is_bright_at_the_error_and_black_outside_the_mask() -> None:
    spot = decode(draw_plane(pictures(), Cut(2, 2), 100.0).error).sum(axis=2)
    assert spot[7, 5] > 600
    assert spot[40, 30] < 20
    mask = pictures().mask.copy()
    mask[4:8, 6:10] = False
    assert decode(draw_plane(replace(pictures(), mask=mask), Cut(2, 2), 100.0).error).sum(axis=2)[7, 5] < 20


def test_pixels_become_square_and_pictures_stay_small() -> None:
    tall = replace(pictures(), spacing_mm=(1.0, 2.0, 3.0))
    assert decode(draw_plane(tall, Cut(2, 0), 1.0).prediction).shape == (100, 40)
    large = decode(draw_plane(pictures((900, 700, 1)), Cut(2, 0), 1.0).prediction)
    assert max(large.shape) == LONGEST_SIDE


def test_pictures_are_cropped_to_the_mask_with_a_margin() -> None:
    mask = np.zeros((100, 100, 1), bool)
    mask[30:60, 40:80] = True
    cropped = replace(pictures((100, 100, 1)), mask=mask)
    assert decode(draw_plane(cropped, Cut(2, 0), 1.0).reference).shape == (40 + 12, 30 + 12)


def test_error_scale_ends_at_a_round_number_within_the_range() -> None:
    found = pictures()
    off = replace(found, prediction=found.reference + 17.3)
    assert error_limit(off) == 20.0
    assert error_limit(replace(found, prediction=found.reference + 5000)) == 100.0
    assert error_limit(replace(found, prediction=found.reference)) > 0


@pytest.mark.parametrize(
    ("maps", "end"),
    [
        # Brain of 10 HU beside a skull of 1500: a lesion of 30 HU is seen, and the skull saturates.
        ([np.r_[np.full(500, 10.0), np.full(500, 1500.0)]], 50.0),
        # The widest of several maps rules.
        ([np.r_[np.full(500, 10.0), np.full(500, 1500.0)], np.full(9, 70.0)], 80.0),
        # Deviations that hardly differ are all shown, and so are those that are mostly 0.
        ([np.linspace(20, 40, 1001)], 40.0),
        ([np.r_[np.zeros(600), np.full(400, 30.0)]], 30.0),
        ([np.zeros(5)], 0.0),
        ([], 0.0),
    ],
)
def test_the_scale_of_uncertainty_shows_the_brain(maps: list[np.ndarray], end: float) -> None:
    found = uncertainty_limit(maps)
    assert end <= found <= 1.35 * end


def test_planes_spread_over_the_head_and_not_beyond() -> None:
    mask = np.zeros((20, 20, 60), bool)
    mask[5:15, 5:15, 10:50] = True
    mask[9, 9, :] = True  # a thread through all slices
    planes = spread_planes(mask, 6)
    assert len(planes) == 6
    assert min(planes) > 10
    assert max(planes) < 49
    assert spread_planes(np.ones((20, 20, 1), bool), 6) == [0]


def test_curve_marks_the_worst_and_stays_in_its_box() -> None:
    curve = draw_curve([-3.0, 0.0, 3.0, 6.0], [4.0, 9.0, 1.0, 2.0], highest_is_worst=True)
    points = [tuple(map(float, point.split(","))) for point in curve.points.split()]
    assert all(0 <= x <= curve.width and 0 <= y <= curve.height for x, y in points)
    assert curve.worst[0] == curve.width / 3
    assert curve.worst[1] == min(y for _, y in points)
    assert draw_curve([0.0, 1.0, 2.0], [0.9, 0.5, 0.8], highest_is_worst=False).worst[0] == curve.width / 2


def test_a_flat_curve_has_a_scale_too() -> None:
    for value, high in ((0.0, True), (1.0, False)):
        curve = draw_curve([0.0, 1.0, 2.0], [value] * 3, highest_is_worst=high)
        assert [text for _, text in curve.y_ticks][:: len(curve.y_ticks) - 1] == ["0", "1"]


def test_coronal_and_sagittal_pictures_stand_upright() -> None:
    """A spot at the patient's right, front and top is at the top left of both."""
    shape = (40, 50, 20)
    reference = np.zeros(shape, np.float32)
    reference[:20, :25, 15:] = 100.0
    box = replace(pictures(shape), reference=reference, spacing_mm=(2.0, 1.0, 3.0))
    for cut, wide, shape_drawn in ((Cut(1, 10), 80, (30, 40)), (Cut(0, 10), 50, (60, 50))):
        drawn = decode(draw_plane(box, cut, 100.0).reference)
        assert drawn.shape == shape_drawn
        assert (drawn[2, 2], drawn[2, -3], drawn[-3, 2]) == (255, 0, 0)
        assert size_mm(box, cut)[0] == wide
    assert (Cut(1, 0).left, Cut(0, 0).left, Cut(2, 0).left) == ("R", "A", "R")


def test_other_planes_run_through_the_middle_of_what_was_scored() -> None:
    mask = np.zeros((30, 40, 20), bool)
    mask[10:21, 20:31, 5:15] = True
    assert middle_cuts(mask) == [Cut(1, 25), Cut(0, 15)]
    assert middle_cuts(mask[..., 7:8]) == []


def test_an_axis_of_similarity_ends_at_one() -> None:
    curve = draw_curve([0.0, 1.0, 2.0], [0.5, 0.98, 0.7], highest_is_worst=False, most=1.0)
    assert curve.y_ticks[-1] == (0.0, "1")
    assert round_ticks(0.45, 0.93, most=1.0)[-1] <= 1.0
    assert round_ticks(0.45, 1.2, most=1.0)[-1] >= 1.2, "a value beyond is drawn"
    strips = draw_strips({"intermediate matched": {"a": 0.96, "b": 0.98}}, 1.0)
    assert strips.x_ticks[-1] == (strips.width, "1")
    assert strips.margin > 20 * 6.5, "the name is not cut"


def test_a_comb_of_grey_levels_is_smoothed_and_other_counts_stay() -> None:
    """256 levels scaled to HU fill three bins of four; true peaks and sparse images stay as they are."""
    levels = np.unique(np.rint(np.arange(-20, 100, 1.37)))
    smooth = 1000 * np.exp(-(((levels - 40) / 25) ** 2))
    counts = np.zeros(121, int)
    counts[(levels + 20).astype(int)] = smooth.round()
    drawn = np.array(without_comb(counts.tolist()))
    steps = np.abs(np.diff(drawn[3:-3])) / drawn.max()
    assert steps.max() < 0.12
    assert drawn[1:-1].sum() == pytest.approx(counts[1:-1].sum(), rel=0.02)
    assert 55 <= int(np.argmax(drawn)) <= 65
    for other in ([5, 900, 3, 7, 2, 400, 1, 5], [9, *[0] * 60, 40, *[0] * 60, 9], [3] * 40):
        assert without_comb(other) == other
