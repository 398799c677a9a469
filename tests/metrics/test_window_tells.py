from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks.quality import windows
from medtranslate import load, read
from medtranslate.config import NetworkSettings, ScaleSettings, TrainSettings, TranslateSettings
from medtranslate.data import open_sources
from medtranslate.evaluation import score_pair
from medtranslate.metrics.window_tells import (
    BRAIN_HU,
    FLUID_HU,
    greys_of,
    greys_of_each,
    seems_other,
    window_of,
)
from medtranslate.translation import translate

Picture = NDArray[np.float32]


def slice_of(black: float, white: float, ventricle: int, seed: int = 0, size: int = 128) -> Picture:
    """Head with a skull, brain and two ventricles of half a width in pixels, shown as a viewer does."""
    x, y = np.meshgrid(*(np.arange(size) - size / 2,) * 2)
    away = np.hypot(x, y)
    hu = np.where(away < 58, 1000.0, -1000.0)
    hu[away < 54] = BRAIN_HU
    for side in (-14, 14):
        hu[(np.abs(x - side) < ventricle) & (np.abs(y) < 20)] = FLUID_HU
    hu += np.random.default_rng(seed).normal(0, 3, hu.shape)
    return np.rint(((hu - black) / (white - black)).clip(0, 1) * 255).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(level=st.floats(30, 50), width=st.floats(70, 160), seed=st.integers(0, 99))
def test_the_window_of_a_picture_is_found(level: float, width: float, seed: int) -> None:
    black, white = level - width / 2, level + width / 2
    assume(black < FLUID_HU - 6)  # where noise cuts no fluid
    found = window_of(greys_of_each(slice_of(black, white, 8, seed + at) for at in range(3)))
    assert found == pytest.approx((black, white), abs=0.06 * width)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 999),
    sides=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    sigma=st.sampled_from([0.0, 3.0, 20.0]),
)
def test_any_picture_is_measured_or_not_without_a_complaint(
    seed: int, sides: tuple[int, int], sigma: float
) -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).uniform(-500, 800, sides), sigma)
    seems_other(smooth.clip(0, 255).astype(np.float32)[:, :, None], 255, (-20, 100))


def test_a_slice_without_wide_fluid_says_nothing() -> None:
    assert greys_of(slice_of(-20, 100, 2)) is None
    assert greys_of(np.zeros((64, 64), np.float32)) is None


def test_thin_fluid_in_other_slices_does_not_widen_the_window() -> None:
    wide = [slice_of(0, 80, 8, at) for at in range(4)]
    blurred = [0.5 * each + 0.5 * slice_of(0, 80, 0, 9) for each in wide[:3]]
    assert window_of(greys_of_each([*wide, *blurred])) == pytest.approx((0, 80), abs=6)


def test_rows_of_two_cases_and_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, ends in {"16001": (0, 80), "20001": (-20, 100), "ct1": (0, 80)}.items():
        Image.fromarray(slice_of(*ends, ventricle=8).astype(np.uint8)).save(folder / f"{name}.png")
    Image.fromarray(slice_of(0, 80, 1).astype(np.uint8)).save(folder / "33001.png")
    monkeypatch.setattr("sys.argv", ["windows", str(folder)])
    windows.main()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    found = {row[0].strip().rpartition(", ")[2]: [cell.strip() for cell in row[1:]] for row in rows}
    assert set(found) == {"16", "20", "33", folder.name}
    assert float(found["16"][-1]) == pytest.approx(80, abs=5)
    assert [found[case][1] for case in ("16", "20")] == ["1", "0"]
    assert float(found["20"][-1]) == pytest.approx(120, abs=7)
    assert found["33"][0] == "0"


@pytest.mark.parametrize("ends", [(0, 80), (5, 85), (-5, 70)])
def test_a_narrower_window_than_it_is_taken_for_is_noticed(ends: tuple[float, float]) -> None:
    shown = slice_of(*ends, ventricle=8)[:, :, None]
    large = np.kron(shown, np.ones((5, 5, 1), np.float32))
    for grey, levels in ((shown, 255), (shown * 257, 65535), (large, 255)):
        assert seems_other(grey, levels, (-20, 100))
        assert not seems_other(grey, levels, ends)


def test_a_translation_warns_of_another_window(tmp_path: Path, small_model: Path) -> None:
    Image.fromarray(slice_of(0, 80, ventricle=8).astype(np.uint8)).save(tmp_path / "ct.png")

    def warnings(window: tuple[float, float] | None) -> list[str]:
        chosen = TranslateSettings(
            input=tmp_path / "ct.png",
            output=tmp_path / "mr.png",
            to="mr",
            model=str(small_model),
            window=window,
            device="cpu",
            overwrite=True,
        )
        (record,) = translate(chosen, quiet=True)
        return [each for each in record.warnings if "--window LEVEL WIDTH" in each]

    assert ["black at -20 HU and white at 100 HU" in each for each in warnings(None)] == [True]
    assert warnings((40, 80)) == []


@pytest.mark.parametrize(
    "scale", [{"ct_window": (-20, 100)}, {"ct_window": (-1000, 2000), "ct_picture": (-20, 100)}]
)
def test_training_on_pictures_of_another_window_has_a_warning(
    tmp_path: Path, scale: dict[str, tuple[float, float]]
) -> None:
    for seed in range(9):
        for name, ends in {"narrow": (0, 80), "own": (-20, 100)}.items():
            (tmp_path / name).mkdir(exist_ok=True)
            shown = slice_of(*ends, ventricle=8, seed=seed)
            Image.fromarray(shown.astype(np.uint8)).save(tmp_path / name / f"{seed}.png")

    def warnings(name: str, parent: str | None = None) -> list[str]:
        chosen = TrainSettings(
            parent=parent,
            ct=str(tmp_path / name),
            mr="phantom:0-9",
            out=tmp_path / "run",
            network=NetworkSettings(size=256),
            scale=ScaleSettings(**scale),
        )
        return [each for each in open_sources(chosen, quiet=True).warnings if "brain and fluid" in each]

    (told,) = warnings("narrow")
    assert "of 9 pictures" in told
    assert "not -20 and 100" in told
    assert f"--scale.{list(scale)[-1].replace('_', '-')} BLACK WHITE" in told
    black, white = (float(end) for end in re.findall(r"(-?\d+) and (\d+) HU", told)[0])
    assert black == pytest.approx(0, abs=4)
    assert white == pytest.approx(80, abs=6)
    assert warnings("own") == []
    assert "without --from" not in told
    (told,) = warnings("narrow", parent="brain-2d")
    assert "and without --from" in told


def test_scores_beside_a_reference_of_another_window_have_a_warning(
    tmp_path: Path, small_model: Path
) -> None:
    mr = 230 - slice_of(-20, 100, ventricle=8)
    Image.fromarray(np.where(mr > 200, 0, mr).astype(np.uint8)).save(tmp_path / "mr.png")
    Image.fromarray(slice_of(0, 80, ventricle=8).astype(np.uint8)).save(tmp_path / "ct.png")
    reference = read(tmp_path / "ct.png", modality="ct")

    def warnings(window: tuple[float, float] | None) -> list[str]:
        made = load(small_model, to="ct", window=window).translate(read(tmp_path / "mr.png", modality="mr"))
        result = score_pair(made.volume, reference, translation=made.record)
        return [each for each in result.warnings if "another window than the prediction" in each]

    assert ["black and white are -20 and 100 HU" in each for each in warnings(None)] == [True]
    assert warnings((40, 80)) == []
