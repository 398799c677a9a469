"""Volumes in MONAI: as tensors and back, loaded, transformed and saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, LoadImaged, Orientation, Orientationd, SaveImaged, Spacingd

from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused
from medtranslate.geometry import slices_of
from medtranslate.io import Meta, Volume, read_volume, write_volume
from medtranslate.io.layout import to_axial
from medtranslate.transforms.monai_adapters import VolumeReader, VolumeWriter, from_metatensor, to_metatensor

# MONAI registers each of its own readers first, and one of them complains of a missing GPU decoder.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")

SLICES = slices_of(np.eye(4), 4)
META = Meta(
    "ct",
    "dicom",
    Path("/x/series"),
    "ab" * 32,
    ("a warning",),
    "1.2",
    "T1 axial",
    "echo=2",
    "a map",
    ("a name",),
    "no UID",
)


@pytest.fixture
def series(tmp_path: Path, put_slices: Callable[..., object]) -> Path:
    """A CT series of five slices, 3 mm apart."""
    put_slices(tmp_path / "series", [0, 3, 6, 9, 12], "ct")
    return tmp_path / "series"


def load(**options: Any) -> LoadImaged:
    return LoadImaged("image", reader=VolumeReader(**options), ensure_channel_first=True)


def volume_of(meta: Meta) -> Volume:
    return Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.diag([2.0, 3, 4, 1]), meta)


@pytest.mark.parametrize(
    "meta",
    [Meta(), META, Meta("mr", slices=SLICES, study="a"), Meta(levels=255, files=("a.png",), stored="uint8")],
)
def test_a_volume_becomes_a_tensor_and_itself_again_in_the_same_memory(meta: Meta) -> None:
    volume = volume_of(meta)
    tensor = to_metatensor(volume)
    assert (tuple(tensor.shape), tensor.dtype, tensor.affine.dtype) == (
        (1, 2, 3, 4),
        torch.float32,
        torch.float64,
    )
    again = from_metatensor(tensor)
    assert np.array_equal(again.values, volume.values)
    assert np.array_equal(again.affine, volume.affine)
    assert again.meta == meta
    assert np.shares_memory(tensor.numpy(), volume.values)
    assert np.shares_memory(again.values, volume.values)


def test_a_tensor_does_not_move_the_volume_that_it_came_from() -> None:
    volume = volume_of(META)
    tensor = to_metatensor(volume)
    tensor.affine[0, 3] = 99
    tensor.meta["warnings"].append("another")
    assert volume.affine[0, 3] == 0
    assert volume.meta.warnings == ("a warning",)


@pytest.mark.parametrize("change", ["a flipped axis", "read-only", "one value for all"])
def test_memory_that_torch_does_not_take_is_copied(change: str) -> None:
    values = volume_of(META).values
    if change == "a flipped axis":
        values = values[:, ::-1]
    elif change == "read-only":
        values.flags.writeable = False
    else:
        values = np.broadcast_to(np.float32(7), values.shape)
    tensor = to_metatensor(Volume(values, np.eye(4)))
    assert np.array_equal(tensor.numpy()[0], values)
    assert not np.shares_memory(tensor.numpy(), values)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4), (1, 1, 3, 4, 5)])
def test_a_tensor_of_another_form_is_no_volume(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryRefused, match=r"/x/a.nii: a volume has one channel and three axes, not"):
        from_metatensor(MetaTensor(torch.zeros(shape), meta={"path": "/x/a.nii"}))


def test_a_tensor_of_other_software_becomes_a_volume() -> None:
    meta = {"filename_or_obj": "/x/a.nii", "modality": "T1", "pixdim": np.ones(8)}
    found = from_metatensor(MetaTensor(torch.ones(1, 3, 4, 5, dtype=torch.int16), meta=meta))
    assert (found.values.dtype, found.shape, found.meta) == (np.float32, (3, 4, 5), Meta())


@given(
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    st.tuples(*[st.floats(-200, 200)] * 3),
)
def test_the_axial_layout_is_that_of_monai(
    order: list[int], signs: tuple[float, ...], origin: tuple[float, ...]
) -> None:
    affine = nib.affines.from_matvec(np.eye(3)[order] * signs * [1.5, 2.5, 4.0], origin)
    volume = Volume(np.arange(24).reshape(2, 3, 4), affine)
    axial = to_axial(volume)
    oracle = Orientation("LPS", labels=None)(to_metatensor(volume))
    assert np.array_equal(axial.values, oracle[0].numpy())
    assert np.allclose(axial.affine, oracle.affine, rtol=0, atol=1e-9)


def test_a_volume_is_loaded_as_read_volume_reads_it(series: Path) -> None:
    loaded, expected = load()({"image": series})["image"], read_volume(series)
    assert np.array_equal(loaded[0], expected.values)
    assert np.array_equal(loaded.affine, expected.affine)
    assert from_metatensor(loaded).meta == expected.meta


def test_a_refusal_is_not_swallowed_by_monai(
    series: Path, tmp_path: Path, put_slices: Callable[..., object]
) -> None:
    with pytest.raises(InputRefused, match="is a CT, not an MR"):
        load(modality="mr")({"image": series})
    put_slices(tmp_path / "two", [0, 3, 6], "ct", PatientID=lambda index: f"P{index // 2}")
    with pytest.raises(SeriesRefused, match="differ in PatientID"):
        load()({"image": tmp_path / "two"})
    next(iter(sorted(series.iterdir())[2:])).unlink()
    with pytest.raises(GeometryRefused, match="missing"):
        load()({"image": series})
    with pytest.raises(InputRefused, match="one volume is read at a time"):
        load()({"image": [series, series]})


def test_meta_passes_through_spatial_transforms_and_loaders(series: Path) -> None:
    steps = Compose([load(), Orientationd("image", "RAS", labels=None), Spacingd("image", (2, 2, 1.5))])
    (batch,) = DataLoader(Dataset([{"image": series}, {"image": series}], steps), batch_size=2)
    assert batch["image"].shape == (2, 1, 8, 6, 9)
    assert batch["image"].meta["modality"] == ["ct", "ct"]
    expected = read_volume(series)
    back = from_metatensor(steps.inverse(steps({"image": series}))["image"])
    assert np.allclose(back.affine, expected.affine, atol=1e-6)
    assert back.shape == expected.shape
    assert back.meta.digest == expected.meta.digest


def test_a_volume_is_saved_on_its_grid(series: Path, tmp_path: Path) -> None:
    source = read_volume(series)
    save = SaveImaged(
        "image", output_dir=tmp_path / "out", writer=VolumeWriter, separate_folder=False, print_log=False
    )
    save({"image": to_metatensor(source)})
    (written,) = (tmp_path / "out").iterdir()
    again = read_volume(written)
    assert np.array_equal(again.values, source.values)
    assert np.allclose(again.affine, source.affine)
    with pytest.raises(RuntimeError, match="exists already"):
        save({"image": to_metatensor(source)})


@pytest.mark.parametrize("option", [{"resample": True}, {"scale": 255}])
def test_saving_changes_neither_grid_nor_units(series: Path, tmp_path: Path, option: dict[str, Any]) -> None:
    save = SaveImaged("image", output_dir=tmp_path / "out", writer=VolumeWriter, print_log=False, **option)
    with pytest.raises(RuntimeError, match="before saving"):
        save({"image": to_metatensor(read_volume(series))})


def test_a_picture_passes_too(tmp_path: Path) -> None:
    write_volume(Volume(np.full((8, 6, 1), 100), np.eye(4)), tmp_path / "a.png")
    loaded = load(modality="ct")({"image": tmp_path / "a.png"})["image"]
    assert loaded.shape == (1, 8, 6, 1)
    assert (loaded.meta["levels"], loaded.meta["modality"]) == (255, "ct")
