"""Images of a series that show in another plane where its slices lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from medtranslate.cli import invoke
from medtranslate.errors import GeometryRefused, SeriesRefused
from medtranslate.io import read_volume, write_volume
from medtranslate.io.inventory import list_items
from medtranslate.records import Derivation

CORONAL = [1, 0, 0, 0, 0, -1]
DEPTHS = [3.0 * index for index in range(10)]


def put_reformatted(put_slices, folder: Path, others: int = 1, slices: int = 10, **values: Any) -> None:
    """Coronal slices after images that show in axial planes where they lie, as GE's consoles put them."""
    put_slices(folder, [40.0 + index for index in range(others)], "ct", **values)
    put_slices(
        folder,
        DEPTHS[:slices],
        "ct",
        ImageOrientationPatient=CORONAL,
        ImagePositionPatient=lambda index: [-8, DEPTHS[index], 20],
    )


@pytest.mark.parametrize("kind", ["REFORMATTED", "AVERAGE", "LOCALIZER"])
@pytest.mark.parametrize("others", [1, 2])
def test_images_that_show_where_the_slices_lie_are_left_out(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, others: int, kind: str
) -> None:
    put_reformatted(put_slices, tmp_path / "with", others, ImageType=["DERIVED", "SECONDARY", kind])
    put_reformatted(put_slices, tmp_path / "without", 0)
    for name in ("with", "without"):  # each file has pixels of its own
        for path in (tmp_path / name).iterdir():
            header = dcmread(path)
            header.PixelData = np.full((6, 8), round(header.ImagePositionPatient[1]), "<i2").tobytes()
            header.save_as(path)
    found, expected = read_volume(tmp_path / "with"), read_volume(tmp_path / "without")
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.affine, expected.affine)
    said = [text for text in found.meta.warnings if "another plane" in text]
    assert [Path(text.partition(": ")[0]).name for text in said] == ["000.dcm", "001.dcm"][:others]
    (item,) = list_items(tmp_path / "with")
    assert (item.count, item.refused, item.warnings) == (10, "", tuple(said))


def test_what_dcm2niix_makes_of_the_slices_beside_such_an_image_is_the_same(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    oracle = tmp_path / "oracle"
    oracle.mkdir()
    put_reformatted(put_slices, tmp_path / "series")
    dcm2niix.main(["-z", "n", "-b", "n", "-o", str(oracle), str(tmp_path / "series")], capture_output=True)
    volumes = [nib.as_closest_canonical(nib.load(path)) for path in oracle.iterdir()]
    (expected,) = (volume for volume in volumes if 10 in volume.shape)
    assert invoke(["convert", str(tmp_path / "series"), str(tmp_path / "found.nii")]) == 0
    found = nib.as_closest_canonical(nib.load(tmp_path / "found.nii"))
    assert np.array_equal(found.get_fdata(), expected.get_fdata())
    assert np.allclose(found.affine, expected.affine, atol=1e-4)


def test_a_derived_series_has_no_image_for_one_that_was_left_out(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, made: Callable[..., Derivation]
) -> None:
    put_reformatted(put_slices, tmp_path / "series")
    source = read_volume(tmp_path / "series")
    write_volume(source, tmp_path / "out", like=source, derivation=made("mr"))
    first = dcmread(tmp_path / "series" / "000.dcm").SOPInstanceUID
    sources = [
        dcmread(path).SourceImageSequence[0].ReferencedSOPInstanceUID for path in (tmp_path / "out").iterdir()
    ]
    assert len(sources) == 10
    assert first not in sources


@pytest.mark.parametrize(
    ("others", "slices", "orientation", "said"),
    [
        (3, 10, [1, 0, 0, 0, 1, 0], "ImageOrientationPatient"),
        (2, 9, [1, 0, 0, 0, 1, 0], "ImageOrientationPatient"),
        (1, 10, [1, 0, 0, 0, 0.1736, -0.9848], "ImageOrientationPatient"),
        (1, 10, [0, 0, -1, -1, 0, 0], "ImageOrientationPatient"),
        (1, 10, [0, 0, 0, 0, 0, 0], "ImageOrientationPatient"),
    ],
)
def test_a_second_stack_or_a_slice_that_is_askew_is_not_left_out(
    put_slices: Callable[..., NDArray[np.int16]],
    tmp_path: Path,
    others: int,
    slices: int,
    orientation: list[float],
    said: str,
) -> None:
    put_reformatted(put_slices, tmp_path, others, slices, ImageOrientationPatient=orientation)
    with pytest.raises((SeriesRefused, GeometryRefused), match=said):
        read_volume(tmp_path)


def test_an_image_of_another_person_is_no_image_to_leave_out(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    put_reformatted(put_slices, tmp_path, PatientID="SOMEBODY ELSE")
    with pytest.raises(SeriesRefused, match="PatientID") as refusal:
        read_volume(tmp_path)
    assert "SOMEBODY" not in str(refusal.value)


def test_slices_that_lack_one_are_refused_beside_an_image_that_is_left_out(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    put_reformatted(put_slices, tmp_path)
    (tmp_path / "005.dcm").unlink()
    with pytest.raises(GeometryRefused, match="missing"):
        read_volume(tmp_path)
