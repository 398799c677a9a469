"""Comparison of what two checkouts write: real differences are listed, those of time and place are not."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from benchmarks.outputs.canonical import canonical
from benchmarks.outputs.compare import compare
from benchmarks.outputs.inputs import affine, head, make_inputs
from benchmarks.outputs.manifest import digests


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "in"
    make_inputs(folder)
    return folder


def checkout(folder: Path, mae: float, value: int, said: str, exit_code: int = 0) -> Path:
    """A manifest of one command that wrote a record and a volume."""
    out = folder / "out" / "score"
    out.mkdir(parents=True)
    (folder / "logs").mkdir()
    (folder / "logs" / "score.out").write_text(said, encoding="utf-8")
    (out / "result.json").write_text(json.dumps({"volume": {"mae": mae}, "seconds": mae}), encoding="utf-8")
    voxels = head("ct")
    voxels[3, 4, 5] = value
    nib.Nifti1Image(voxels, affine()).to_filename(out / "x.nii.gz")
    stdout = {"stdout": digests(folder / "logs", folder)["logs/score.out"]}
    command = {"arguments": "a", "exit": exit_code, "files": stdout | digests(out, folder)}
    manifest = folder / "manifest.json"
    manifest.write_text(
        json.dumps({"checkout": "x", "commit": "y", "work": str(folder), "commands": {"score": command}})
    )
    return manifest


def test_equal_outputs_have_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = checkout(tmp_path / "one", 3, 7, f"wrote {tmp_path}/one/x in 3.2 s\n")
    two = checkout(tmp_path / "two", 3, 7, f"wrote {tmp_path}/two/x in 41.0 s\n")
    assert compare(one, two) == 0
    assert "0 of 1 commands differ" in capsys.readouterr().out


def test_each_difference_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = checkout(tmp_path / "one", 3, 7, "fine\n")
    two = checkout(tmp_path / "two", 4, 19, "doubtful\n", exit_code=4)
    assert compare(one, two) == 1
    told = capsys.readouterr().out
    for line in (
        "exit: 0 -> 4",
        "result.json: .volume.mae: 3 -> 4",
        "voxels differ by up to 12, in 1 of",
        "+doubtful",
    ):
        assert line in told
    assert ".seconds" not in told
    assert compare(one, two, ignore="mae|voxels|stdout|exit") == 1
    assert capsys.readouterr().out.count("    ") == 1  # how it ended is never ignored


def test_a_dicom_header_counts_and_the_day_of_writing_does_not(inputs: Path, tmp_path: Path) -> None:
    def form(name: str, **values: str) -> bytes:
        image = dcmread(next((inputs / "ct-series").iterdir()))
        for keyword, value in values.items():
            setattr(image, keyword, value)
        image.save_as(tmp_path / name)
        return canonical(tmp_path / name, tmp_path)

    today = datetime.now().strftime("%Y%m%d")
    plain = form("a.dcm", SeriesDate=today, SeriesTime="101010")
    assert form("b.dcm", SeriesDate=today, SeriesTime="111111") == plain
    assert form("c.dcm", SeriesDate=today, SeriesTime="101010", SliceThickness="5") != plain
    assert form("d.dcm", SeriesDate="20010101", SeriesTime="101010") != plain


def test_inputs_hold_one_head_in_every_format(inputs: Path) -> None:
    """Each, as SimpleITK reads it, has the same values at the same places."""
    nifti = SimpleITK.ReadImage(inputs / "ct.nii.gz")
    series = SimpleITK.ImageSeriesReader()
    series.SetFileNames(series.GetGDCMSeriesFileNames(str(inputs / "ct-series")))
    others = [SimpleITK.ReadImage(inputs / name) for name in ("ct.mha", "ct.nrrd")]
    for image in (*others, series.Execute()):
        for index in ((0, 0, 0), (36, 78, 5), (50, 20, 12)):
            place = image.TransformIndexToPhysicalPoint(index)
            assert image[index] == nifti[nifti.TransformPhysicalPointToIndex(place)]
    mgz, whole = nib.load(inputs / "ct.mgz"), nib.load(inputs / "ct.nii.gz")
    np.testing.assert_allclose(mgz.affine, whole.affine, atol=1e-4)
    np.testing.assert_array_equal(mgz.dataobj, whole.dataobj)
