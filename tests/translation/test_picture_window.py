from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medtranslate import load, read
from medtranslate.config import ScaleSettings
from medtranslate.errors import UsageError
from medtranslate.io import Volume, write_volume
from medtranslate.io.volume import Meta
from medtranslate.phantom import Study, study
from medtranslate.records import Translation
from medtranslate.transforms import read_from_narrower
from medtranslate.translation.picture_window import in_known_window

Made = Callable[..., Translation]
Grey = NDArray[np.float64]
SCALE = ScaleSettings(ct_window=(-1000, 2000), ct_knots=(-150, -20, 40, 100, 300), ct_picture=(-20, 100))


@pytest.fixture(scope="module")
def head() -> Study:
    return study(3, size=64, spacing=4)


def shown(hu: NDArray[np.float32], level: float, width: float) -> NDArray[np.uint8]:
    """Picture of a slice in HU, as a viewer exports it."""
    return np.rint(np.clip((hu - level) / width + 0.5, 0, 1) * 255).astype(np.uint8)


def grey_of(path: Path) -> Grey:
    return np.asarray(Image.open(path), dtype=float)


def test_a_picture_in_another_window_is_shown_to_the_network_as_one_in_its_own(
    head: Study, tmp_path: Path, small_model: Path
) -> None:
    plane = np.rot90(head.ct.values[..., 32])
    for name, window in {"own": (40, 120), "other": (40, 80)}.items():
        Image.fromarray(shown(plane, *window)).save(tmp_path / f"{name}.png")

    def seen(name: str, window: tuple[float, float] | None = None) -> NDArray[np.float32]:
        translator = load(small_model, to="mr", window=window)
        framed = translator.frame(read(tmp_path / f"{name}.png", modality="ct"))
        found: NDArray[np.float32] = framed.framed(np.arange(1), 64).numpy()
        return found

    own, told, untold = seen("own"), seen("other", (40, 80)), seen("other")
    brain = np.abs(own) < 0.6
    assert np.abs(told - own)[brain].mean() < 0.1 * np.abs(untold - own)[brain].mean()
    assert np.abs(told - own)[~brain].mean() < 0.03  # air and bone


@pytest.mark.parametrize("window", [(40, 80), (40, 400), (35, 30)])
def test_a_translated_picture_has_the_window_that_is_asked_for(
    head: Study, tmp_path: Path, made: Made, window: tuple[float, float]
) -> None:
    plane = np.rot90(head.mr.values[..., 32])
    Image.fromarray(np.rint(plane / plane.max() * 255).astype(np.uint8)).save(tmp_path / "mr.png")
    made(tmp_path / "mr.png", "own.png", to="ct")
    record = made(tmp_path / "mr.png", "asked.png", to="ct", window=window)
    level, width = window
    assert record.window == (level - width / 2, level + width / 2)
    hu = grey_of(tmp_path / "own.png") * 120 / 255 - 20
    wanted = shown(hu.astype(np.float32), *window)
    step = 255 / width * 120 / 255  # grey values for a step of the picture that it is compared with
    assert np.abs(grey_of(tmp_path / "asked.png") - wanted).max() <= 0.5 * step + 1


def test_python_has_the_window_too(head: Study, tmp_path: Path, small_model: Path) -> None:
    plane = np.rot90(head.mr.values[..., 32])
    Image.fromarray(np.rint(plane / plane.max() * 255).astype(np.uint8)).save(tmp_path / "mr.png")
    narrow = load(small_model, to="ct", window=(40, 80)).translate(read(tmp_path / "mr.png", modality="mr"))
    assert narrow.record.window == (0, 80)


def test_a_window_is_refused_where_it_says_nothing_or_too_much(
    head: Study, tmp_path: Path, made: Made
) -> None:
    write_volume(head.ct, tmp_path / "ct.nii.gz")
    with pytest.raises(UsageError, match=r"--window is for CT pictures, and .*ct\.nii\.gz holds"):
        made(tmp_path / "ct.nii.gz", "out.nii.gz", window=(40, 80))
    with pytest.raises(UsageError, match="--window and --picture-hu both"):
        made(tmp_path / "ct.nii.gz", "out.nii.gz", window=(40, 80), picture_hu=(1, -1024))
    assert made(tmp_path / "ct.nii.gz", "out.nii.gz").window is None


def picture(grey: NDArray[np.float32], levels: int = 255) -> Volume:
    return Volume(grey[:, :, None], np.eye(4), Meta(levels=levels))


def test_training_shows_a_narrow_picture_as_a_translation_reads_it(head: Study) -> None:
    hu = np.kron(head.ct.values[..., 32], np.ones((4, 4), np.float32))
    hu = hu + np.random.default_rng(0).normal(0, 4, hu.shape).astype(np.float32)
    known = torch.from_numpy((hu + 20) / 60 - 1).clamp(-1, 1)
    drawn = read_from_narrower(known.expand(12, 1, -1, -1), 0.6, torch.Generator().manual_seed(1))
    narrow = [seen for seen in drawn[:, 0] if not torch.equal(seen, known)]
    assert 2 <= len(narrow) <= 10
    widths = []
    for seen in narrow:
        black, white = (60 * float(end) + 40 for end in (seen[seen > -1].min(), seen[seen < 1].max()))
        assert white - black < 119.5
        read_as = in_known_window(
            picture((hu - black).clip(0, white - black) / (white - black) * 255), (black, white), SCALE
        )
        wanted = torch.from_numpy(read_as.values[:, :, 0] / 127.5 - 1)
        differ = (seen - wanted).abs() > 0.04
        assert differ.float().mean() < 0.01
        widths.append(white - black)
    assert min(widths) < 90


def test_the_haze_of_a_jpeg_about_the_head_is_air(head: Study, tmp_path: Path) -> None:
    plane = np.rot90(head.ct.values[..., 32])
    narrow = Image.fromarray(shown(np.kron(plane, np.ones((4, 4), np.float32)), 40, 80))
    narrow.save(tmp_path / "ct.jpg", quality=75)
    seen = read(tmp_path / "ct.jpg", modality="ct")
    found = in_known_window(seen, (0, 80), SCALE).values
    air = ndimage.binary_opening(np.asarray(narrow).T[:, :, None] == 0, np.ones((9, 9, 1)))
    assert (seen.values[air] > 3).mean() > 0.004  # of the haze
    assert (found[air] > 0).mean() < 0.002


@given(
    level=st.floats(0, 80),
    width=st.floats(20, 400),
    levels=st.sampled_from([255, 65535]),
    seed=st.integers(0, 9),
)
def test_grey_values_keep_their_hu(level: float, width: float, levels: int, seed: int) -> None:
    black, white = level - width / 2, level + width / 2
    grey = np.random.default_rng(seed).uniform(0.05, 0.95, (16, 16)).astype(np.float32) * levels
    found = in_known_window(picture(grey, levels), (black, white), SCALE).values[:, :, 0]
    hu = black + grey / levels * width
    np.testing.assert_allclose(-20 + found / levels * 120, hu.clip(-20, 100), atol=0.05)


def test_black_areas_are_air_and_white_is_bone_but_noise_in_fluid_is_neither() -> None:
    grey = np.full((32, 32), 20, np.float32)
    grey[11::3, ::2] = 0  # fluid whose noise is cut off by the window
    grey[20:] = 255
    grey[:9] = 0
    found = in_known_window(picture(grey), (0.0, 80.0), SCALE).values[:, :, 0]
    assert (found[:9] == 0).all()
    assert (found[20:] == 255).all()
    assert found[9:20].min() == pytest.approx(20 / 120 * 255, abs=0.01)
