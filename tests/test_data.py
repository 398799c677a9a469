from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from medtranslate.config import NetworkSettings, ScaleSettings
from medtranslate.data import list_images, open_source, read_slices
from medtranslate.errors import InputRefused, SettingsError, Unreadable

NETWORK = NetworkSettings(size=32)
SCALE = ScaleSettings()


def open_(text, modality="ct"):
    return open_source(text, modality, NETWORK, SCALE, "t1", quiet=True)


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_phantom_slices_follow_the_generator(modality):
    source = open_("phantom:0-1000", modality)
    first = source.draw(2, torch.Generator().manual_seed(1))
    assert first.shape == (2, 1, 32, 32)
    assert first.abs().max() <= 1
    assert torch.equal(first, source.draw(2, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, source.draw(2, torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("text", ["phantom:", "phantom:5", "phantom:9-3", "phantom:0-900000"])
def test_a_wrong_range_of_seeds_is_refused_and_so_are_held_out_heads(text):
    with pytest.raises(SettingsError, match="below 900000"):
        open_(text)


@pytest.fixture
def pictures(tmp_path):
    rows, columns = np.ogrid[:64, :64]
    for index in (10, 2, 1):
        radius = 10 + index
        disc = ((rows - 32) ** 2 + (columns - 32) ** 2 < radius**2).astype(np.uint8) * 150
        Image.fromarray(disc).save(tmp_path / f"slice{index}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_pictures_are_read_in_natural_order_and_framed_alike(pictures):
    assert [path.name for path in list_images(pictures)] == ["slice1.png", "slice2.png", "slice10.png"]
    slices = read_slices(pictures, "ct", NETWORK, SCALE, quiet=True)
    assert slices.shape == (3, 1, 32, 32)
    shares = (slices > -0.5).float().mean(dim=(1, 2, 3))
    assert shares.std() < 0.03
    assert slices[0, 0, 16, 16].item() == pytest.approx(150 / 127.5 - 1, abs=0.01)


def test_a_damaged_picture_is_named(pictures):
    raw = (pictures / "slice2.png").read_bytes()
    (pictures / "slice2.png").write_bytes(raw[:60])
    with pytest.raises(InputRefused, match=r"slice2\.png"):
        read_slices(pictures, "ct", NETWORK, SCALE, quiet=True)


def test_missing_and_empty_folders_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Unreadable):
            open_(str(path))


def test_a_picture_without_a_head_is_named(pictures):
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(pictures / "slice3.png")
    with pytest.raises(InputRefused, match=r"slice3\.png: every voxel is 0"):
        read_slices(pictures, "ct", NETWORK, SCALE, quiet=True)


def test_real_pictures_are_read(shared_data):
    folder = shared_data / "brain-ct-mr"
    for name, modality in (("valA", "ct"), ("valB", "mr")):
        slices = read_slices(folder / name, modality, NETWORK, SCALE, quiet=True)
        assert len(slices) == len(list_images(folder / name))
        assert 0.2 < (slices > -0.9).float().mean() < 0.8
