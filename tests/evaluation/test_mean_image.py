from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import EvaluateSettings
from medtranslate.errors import ModelRefused, SettingsError
from medtranslate.evaluation import evaluate
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import Volume, write_volume
from medtranslate.records import Evaluation, Translation, write_result

Build = Callable[..., Volume]
Made = Callable[..., Translation]
Array = NDArray[np.float32]


def test_it_is_the_mean_slice_in_the_heads_frame(volume: Build, head: Array, small_model: Path) -> None:
    model = load_model(str(small_model))
    half = torch.full((1, 32, 32), -1.0)
    half[:, :, 16:] = 0.5  # the patient's left half
    known = Model(model.description, model.generators, {"ct": half, "mr": half})
    source = volume(np.sqrt(head + 1000), modality="mr")
    made = mean_image(source, known, "ct").values
    assert made.shape == head.shape
    # The window is -20 to 100 HU; the head is centred.
    assert made[30, 23, 15] == pytest.approx(70.0, abs=1e-3)
    assert made[15, 23, 15] == pytest.approx(-20.0, abs=1e-3)
    np.testing.assert_allclose(made[..., 14], made[..., 15])
    assert (made[0] == -20.0).all()


@pytest.fixture
def settings(volume: Build, head: Array, noisy: Array, tmp_path: Path) -> Callable[..., EvaluateSettings]:
    """Settings over a windowed prediction, its reference and a source that lie in files."""
    write_volume(volume(noisy.clip(-20, 100)), tmp_path / "fake.nii.gz")
    write_volume(volume(head), tmp_path / "truth.nii.gz")
    write_volume(volume(np.sqrt(head + 1000)), tmp_path / "mr.nii.gz")

    def build(**changes: object) -> EvaluateSettings:
        values: dict[str, object] = {
            "prediction": tmp_path / "fake.nii.gz",
            "reference": tmp_path / "truth.nii.gz",
            "source": tmp_path / "mr.nii.gz",
            "out": tmp_path / "o",
        }
        return EvaluateSettings(**(values | changes))  # type: ignore[arg-type]

    return build


def scored(settings: EvaluateSettings) -> Evaluation:
    result = evaluate(settings, quiet=True)
    assert isinstance(result, Evaluation)
    return result


def test_the_model_that_the_record_names_brings_it(
    settings: Callable[..., EvaluateSettings], made_by: Made, tmp_path: Path
) -> None:
    write_result(made_by(), tmp_path / "fake.translation.json")
    result = scored(settings())
    assert list(result.baselines) == ["source copied", "histogram match", "mean image"]
    assert result.baselines["mean image"]["mae"] > result.volume["mae"]
    assert not [text for text in result.warnings if "mean image" in text]


def test_without_a_source_there_is_no_place_for_it(
    settings: Callable[..., EvaluateSettings], made_by: Made, tmp_path: Path
) -> None:
    write_result(made_by(), tmp_path / "fake.translation.json")
    result = scored(settings(source=None))
    assert result.baselines == {}
    assert not [text for text in result.warnings if "mean image" in text]


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"name": "elsewhere", "sha256": "0" * 64}])
def test_another_model_of_the_name_is_not_taken(
    change: dict[str, str], settings: Callable[..., EvaluateSettings], made_by: Made, tmp_path: Path
) -> None:
    write_result(made_by(**change), tmp_path / "fake.translation.json")
    result = scored(settings())
    assert "mean image" not in result.baselines
    assert "mean image not scored: the model that made the prediction is not at hand" in result.warnings[-1]


def test_a_model_that_is_named_must_have_made_it(
    settings: Callable[..., EvaluateSettings], made_by: Made, small_model: Path, tmp_path: Path
) -> None:
    write_result(made_by(), tmp_path / "fake.translation.json")
    with pytest.raises(ModelRefused, match=r"is small, SHA-256 .* was made by phantom"):
        scored(settings(model=str(small_model)))
    assert not (tmp_path / "o").exists()


def test_a_model_that_is_named_stands_in_for_the_record(
    settings: Callable[..., EvaluateSettings], small_model: Path
) -> None:
    with pytest.raises(SettingsError, match="add --modality"):
        scored(settings(model=str(small_model)))
    result = scored(settings(model=str(small_model), modality="ct"))
    assert "mean image" in result.baselines
    assert result.data_range == (-20.0, 100.0)
    assert "the model small declares" in (result.data_range_rule or "")


def test_a_source_without_head_costs_the_baseline_only(
    settings: Callable[..., EvaluateSettings], small_model: Path, volume: Build, head: Array, tmp_path: Path
) -> None:
    specks = np.zeros_like(head)
    for corner in (0, 1):
        specks[corner::10, corner::10] = 1000.0
    write_volume(volume(specks), tmp_path / "specks.nii.gz")
    result = scored(settings(model=str(small_model), modality="ct", source=tmp_path / "specks.nii.gz"))
    assert "mean image" not in result.baselines
    assert "no head found" in result.warnings[-1]
