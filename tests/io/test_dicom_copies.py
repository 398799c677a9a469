"""Files that hold an image of another file, too."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from medtranslate.errors import InputRefused
from medtranslate.io import read_volume, write_volume
from medtranslate.io.inventory import list_items
from medtranslate.records import Derivation


def copies(series: Path, name: str = "copy of {}") -> list[Path]:
    """Copy every file of a series beside it."""
    files = sorted(series.iterdir())
    return [Path(shutil.copy(path, series / name.format(path.name))) for path in files]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("count", [1, 5])
def test_copies_of_slices_are_left_out_and_counted(series: Path, count: int, compressed: bool) -> None:
    expected = read_volume(series)
    for index, path in enumerate(copies(series)):
        if index >= count:
            path.unlink()
        elif compressed:
            image = dcmread(path)
            image.compress(RLELossless, generate_instance_uid=False)
            image.save_as(path)
    found = read_volume(series)
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.affine, expected.affine)
    (said,) = (text for text in found.meta.warnings if "once more" in text)
    assert ("and 4 more" in said) == (count == 5)
    (item,) = list_items(series)
    assert (item.count, item.refused) == (5, "")
    assert said in item.warnings


def test_a_second_export_in_a_folder_of_its_own_is_a_copy_too(series: Path, tmp_path: Path) -> None:
    expected = read_volume(series)
    shutil.copytree(series, tmp_path / "both" / "first")
    shutil.copytree(series, tmp_path / "both" / "second")
    assert np.array_equal(read_volume(tmp_path / "both").values, expected.values)


def test_a_derived_series_has_one_image_for_a_slice_and_its_copy(
    series: Path, tmp_path: Path, made: Callable[..., Derivation]
) -> None:
    copies(series)
    source = read_volume(series)
    write_volume(source.with_values(source.values * 0), tmp_path / "mr", like=source, derivation=made("mr"))
    assert len(list((tmp_path / "mr").glob("*.dcm"))) == 5


@pytest.mark.parametrize("what", ["pixels", "place", "scale"])
def test_images_that_share_a_uid_and_differ_are_refused(
    series: Path, edit: Callable[..., None], what: str
) -> None:
    path = copies(series)[2]
    image = dcmread(path)
    if what == "pixels":
        edit(path, PixelData=bytes(len(image.PixelData)))
    elif what == "scale":
        edit(path, RescaleIntercept=-1024)
    else:
        x, y, z = image.ImagePositionPatient
        edit(path, ImagePositionPatient=[x, y, float(z) + 0.05])
    with pytest.raises(InputRefused):
        read_volume(series)
