from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from medtranslate.evaluation import ScoringRules, score_pair
from medtranslate.evaluation.beside import MOST_ML, beside_head, doubted
from medtranslate.phantom import Study, study
from medtranslate.records import ModelInfo, Plausibility, Source, Translation

WINDOW = (-20.0, 100.0)
SIZE, MM = 64, 4.0


@pytest.fixture(scope="module")
def head() -> Study:
    return study(910_011, size=SIZE, spacing=MM)


@pytest.fixture(scope="module")
def truth(head: Study) -> npt.NDArray[np.float32]:
    return np.clip(head.ct.values, *WINDOW)


def with_slab(truth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    spoilt = truth.copy()
    spoilt[2:10, 2:10, -14:-10] = 100.0
    return spoilt


def test_a_slab_beside_the_head_is_measured_and_the_head_itself_is_not(truth):
    moved = np.roll(truth, 1, axis=0)
    assert beside_head(truth, truth, WINDOW, (MM,) * 3) == 0
    assert beside_head(moved, truth, WINDOW, (MM,) * 3) < MOST_ML
    assert beside_head(with_slab(truth), truth, WINDOW, (MM,) * 3) == pytest.approx(8 * 8 * 4 * MM**3 / 1000)


def test_fine_voxels_are_looked_at_on_a_coarser_grid(truth):
    fine = with_slab(truth).repeat(2, 0).repeat(2, 1)
    found = beside_head(fine, truth.repeat(2, 0).repeat(2, 1), WINDOW, (1.0, 1.0, MM))
    assert found == pytest.approx(8 * 8 * 4 * 2 * 2 * MM / 1000)


def test_a_spoilt_translation_is_doubtful_whatever_its_record_says(head: Study, truth):
    record = Translation(
        source=Source(shape=(1, 1, 1), spacing_mm=(1.0, 1.0, 1.0), affine=((0.0,) * 4,) * 4),
        model=ModelInfo(name="m", sha256="0" * 64, to="ct", output_range=WINDOW, unit="HU"),
        output="x.nii",
        plausibility=Plausibility(bone_outside_ml=0.0),
    )

    def scored(values: npt.NDArray[np.float32]):
        made = head.ct.with_values(values)
        return score_pair(made, head.ct, ScoringRules(data_range=WINDOW), source=head.mr)

    whole, spoilt = scored(truth), scored(with_slab(truth))
    assert spoilt.volume["mae"] > whole.volume["mae"] + 0.3
    assert not any("beside the reference" in text for text in whole.warnings)
    assert any("16.4 ml in the air beside the reference's head" in text for text in spoilt.warnings)
    seen = doubted(record, 16.4)
    assert seen is not None
    assert seen.doubts == ["the prediction shows 16.4 ml in the air beside the reference's head (limit 1 ml)"]
    assert seen.plausibility is not None
    assert seen.plausibility.bone_outside_ml is None
    assert doubted(record, 0.5) == record
    assert doubted(replace(record, plausibility=None), 5.0).doubts  # type: ignore[union-attr]


def test_a_windowed_prediction_without_a_record_is_named(head: Study, truth):
    made = head.ct.with_values(truth)

    def warned(**more):
        return any(
            "windowed model" in text for text in score_pair(made, head.ct, ScoringRules(**more)).warnings
        )

    assert warned()
    assert not warned(data_range=WINDOW)
    assert not any("windowed model" in text for text in score_pair(head.ct, head.ct).warnings)
