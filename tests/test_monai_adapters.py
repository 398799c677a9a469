from __future__ import annotations

import numpy as np
import pytest
from medtranslate.io.monai_adapters import VolumeReader, VolumeWriter
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, LoadImaged, Orientationd, SaveImaged, Spacingd

from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused
from medtranslate.io import read_volume, write_volume

# MONAI registers each of its own readers first, and one of them complains of a missing GPU decoder.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")


def load(**options):
    return LoadImaged("image", reader=VolumeReader(**options), ensure_channel_first=True)


def test_a_volume_is_loaded_as_read_volume_reads_it(series):
    loaded, expected = load()({"image": series})["image"], read_volume(series)
    assert np.array_equal(loaded, expected)
    assert np.array_equal(loaded.affine, expected.affine)
    assert loaded.affine.dtype == expected.affine.dtype
    assert loaded.meta["digest"] == expected.meta["digest"]


def test_a_refusal_is_not_swallowed_by_monai(series, edit):
    with pytest.raises(InputRefused, match="is a CT, not an MR"):
        load(modality="mr")({"image": series})
    edit(series / "IM0003.dcm", PatientID="OTHER")
    with pytest.raises(SeriesRefused, match="differ in PatientID"):
        load()({"image": series})
    (series / "IM0003.dcm").unlink()
    with pytest.raises(GeometryRefused, match="missing"):
        load()({"image": series})
    with pytest.raises(InputRefused, match="one volume is read at a time"):
        load()({"image": [series, series]})


def test_meta_passes_through_spatial_transforms_and_loaders(series):
    steps = Compose([load(), Orientationd("image", "RAS", labels=None), Spacingd("image", (2, 1.5, 1.5))])
    (batch,) = DataLoader(Dataset([{"image": series}, {"image": series}], steps), batch_size=2)
    assert batch["image"].shape == (2, 1, 8, 6, 9)
    assert batch["image"].meta["modality"] == ["ct", "ct"]
    expected = read_volume(series)
    back = steps.inverse(steps({"image": series}))["image"]
    assert np.allclose(back.affine, expected.affine, atol=1e-6)
    assert back.shape == expected.shape
    assert back.meta["digest"] == expected.meta["digest"]


def test_a_volume_is_saved_on_its_grid(series, tmp_path):
    source = read_volume(series)
    save = SaveImaged(
        "image", output_dir=tmp_path / "out", writer=VolumeWriter, separate_folder=False, print_log=False
    )
    save({"image": source})
    (written,) = (tmp_path / "out").iterdir()
    again = read_volume(written)
    assert np.array_equal(again, source)
    assert np.allclose(again.affine, source.affine)
    with pytest.raises(RuntimeError, match="exists already"):
        save({"image": source})


@pytest.mark.parametrize("option", [{"resample": True}, {"scale": 255}])
def test_saving_changes_neither_grid_nor_units(series, tmp_path, option):
    save = SaveImaged("image", output_dir=tmp_path / "out", writer=VolumeWriter, print_log=False, **option)
    with pytest.raises(RuntimeError, match="before saving"):
        save({"image": read_volume(series)})


def test_a_picture_passes_too(tmp_path, make_volume):
    write_volume(make_volume(shape=(8, 6, 1)) + 100, tmp_path / "a.png")
    loaded = load(modality="ct")({"image": tmp_path / "a.png"})["image"]
    assert loaded.shape == (1, 8, 6, 1)
    assert (loaded.meta["levels"], loaded.meta["modality"]) == (255, "ct")
