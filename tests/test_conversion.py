from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import dcm2niix
import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from nibabel.orientations import io_orientation, ornt_transform
from PIL import Image
from pydicom import dcmread

from medtranslate import cli
from medtranslate.config import ConvertSettings
from medtranslate.conversion import convert
from medtranslate.errors import (
    Diverged,
    GeometryRefused,
    InputRefused,
    OutputExists,
    SettingsError,
    UsageError,
)
from medtranslate.geometry import spacing, swap_lps_ras
from medtranslate.io import FORMATS, Volume, read_volume, write_volume
from medtranslate.records import Conversion, read_result

REGULAR = [
    "mr-t1-sagittal-siemens",
    "ct-skull-philips",
    "awkward/generic/anatomical/001",
    "awkward/generic/anatomical/001_implicit",
    "awkward/generic/anatomical/002_non_isotropic",
    "awkward/generic/compressed_rle/001",
]
OBLIQUE = np.array([[1.9, -0.2, 0.1, 4], [0.3, 1.4, -0.2, -5], [-0.2, 0.3, 3, 6], [0, 0, 0, 1]])


@pytest.fixture(scope="session")
def unpacked(shared_data, tmp_path_factory):
    """Folder of a real DICOM series."""
    root = tmp_path_factory.mktemp("dicom")

    def folder(name: str) -> Path:
        archive = name.split("/")[0]
        if not (root / archive).exists():
            with tarfile.open(shared_data / "dicom" / f"{archive}.tar.xz") as packed:
                packed.extractall(root, filter="data")
        return root / name

    return folder


@pytest.fixture
def ct(tmp_path):
    """A CT of whole numbers from air to bone, on a rotated grid that is nearly sagittal."""
    turn = np.linalg.qr(OBLIQUE[:3, :3])[0]
    affine = nib.affines.from_matvec(turn[:, [1, 2, 0]] * [2.0, 1.5, 3.0], [4, 5, 6])
    values = np.linspace(-1024, 1500, 8 * 6 * 5).round().astype(np.int16).reshape(8, 6, 5)
    nib.Nifti1Image(values, affine).to_filename(tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


def run(source, output, **more):
    return convert(ConvertSettings(input=source, output=output, **more))


def pictures(folder, count=11, size=(7, 5)):
    folder.mkdir()
    for index in range(1, count + 1):
        Image.fromarray(np.full(size[::-1], 20 * index, np.uint8)).save(folder / f"s{index}.png")
    return folder


@pytest.mark.parametrize("name", REGULAR)
def test_a_real_series_becomes_what_dcm2niix_makes_of_it(unpacked, tmp_path, name):
    folder = unpacked(name)
    options = ["-z", "n", "-b", "n", "-o", str(tmp_path), "-f", "oracle"]
    dcm2niix.main([*options, str(folder)], capture_output=True)
    run(folder, tmp_path / "ours.nii.gz")
    ours, oracle = nib.load(tmp_path / "ours.nii.gz"), nib.load(tmp_path / "oracle.nii")
    oracle = oracle.as_reoriented(ornt_transform(io_orientation(oracle.affine), io_orientation(ours.affine)))
    assert np.array_equal(ours.get_fdata(), oracle.get_fdata())
    ends = np.array(np.meshgrid(*[(0, length - 1) for length in ours.shape])).reshape(3, -1)
    apart = (ours.affine - oracle.affine) @ np.vstack([ends, np.ones(8)])
    assert abs(apart).max() < 0.01
    whole = (ours.get_fdata() % 1 == 0).all()
    assert ours.get_data_dtype() == (np.int16 if whole else np.float32)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd"])
def test_volumes_pass_through_every_file_format_unchanged(ct, tmp_path, suffix):
    done = run(ct, tmp_path / f"b{suffix}")
    assert done == read_result(Conversion, tmp_path / f"b{suffix}.conversion.json")
    assert (done.source.format, done.warnings) == ("nifti", [])
    run(tmp_path / f"b{suffix}", tmp_path / "c.nii.gz")
    before, after = nib.load(ct), nib.load(tmp_path / "c.nii.gz")
    assert np.array_equal(before.get_fdata(), after.get_fdata())
    assert np.allclose(before.affine, after.affine, atol=1e-5)
    assert before.get_data_dtype() == after.get_data_dtype()


def test_the_same_volume_is_converted_into_several_formats_of_one_folder(ct, tmp_path):
    for suffix in (".mha", ".nrrd"):
        run(ct, tmp_path / f"ct{suffix}")
    with pytest.raises(OutputExists, match="--overwrite"):
        run(ct, tmp_path / "ct.mha")
    run(ct, tmp_path / "ct.mha", overwrite=True)


def dicom_errors(path):
    command = [str(Path(sys.executable).parent / "dciodvfy"), "-new", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert {"CTImage", "MRImage"} & set(lines)
    return [line for line in lines if line.startswith("Error")]


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_a_file_becomes_a_valid_study_of_its_own_in_the_same_place(ct, tmp_path, modality):
    source = read_volume(ct)
    if modality == "mr":
        source = source.with_values(source.values + 1024)
        write_volume(source, tmp_path / "mr.nii.gz")
    done = run(tmp_path / f"{modality}.nii.gz", tmp_path / "out", format="dicom", modality=modality)
    assert "unknown origin" in done.warnings[0]
    files = sorted((tmp_path / "out").glob("*.dcm"))
    assert [error for path in files for error in dicom_errors(path)] == []
    image = SimpleITK.ReadImage([str(path) for path in files])
    for index in ((0, 0, 0), (7, 5, 4), (3, 2, 1)):
        lps = swap_lps_ras(source.affine) @ [*index, 1]
        assert image[image.TransformPhysicalPointToIndex(lps[:3])] == float(source.values[index])
    header = dcmread(files[0])
    assert (header.PatientName, header.ImageType[0]) == ("UNKNOWN^PATIENT", "DERIVED")
    assert "SyntheticData" not in header
    assert header.get("RescaleType") == ("HU" if modality == "ct" else None)


def test_a_windowed_ct_is_not_made_fit_for_dose_by_a_detour(tmp_path):
    write_volume(Volume(np.linspace(-20, 100, 60).reshape(5, 4, 3), np.eye(4)), tmp_path / "ct.nii.gz")
    done = run(tmp_path / "ct.nii.gz", tmp_path / "out", format="dicom", modality="ct")
    header = dcmread(tmp_path / "out" / "IM0001.dcm")
    assert header.RescaleType == "US"
    assert "NOT FOR DOSE" in header.SeriesDescription
    assert any("NOT FOR DOSE" in warning for warning in done.warnings)
    assert any("rounded" in warning for warning in done.warnings)


def test_what_dicom_cannot_hold_is_said(tmp_path):
    for name, values in (("ct", [-3000.0, 0, 1500, 5000]), ("mr", [-1.0, 0, 0.5, 0.75])):
        write_volume(Volume(np.reshape(values, (1, 2, 2)), np.eye(4)), tmp_path / f"{name}.nii")
    ct = run(tmp_path / "ct.nii", tmp_path / "ct", format="dicom", modality="ct")
    assert "2 of 4 voxels outside -1024 to 3071 clipped" in ct.warnings
    mr = run(tmp_path / "mr.nii", tmp_path / "mr", format="dicom", modality="mr")
    assert "1 of 4 voxels outside 0 to inf clipped" in mr.warnings
    assert any("the largest (0.75) is 4095" in warning for warning in mr.warnings)


@pytest.mark.parametrize("option", [{"window": (40, 80)}, {"range": (0, 80)}])
def test_pictures_show_the_values_that_were_asked_for(ct, tmp_path, option):
    done = run(ct, tmp_path / "out", format="png", **option)
    assert done.range == (0, 80)
    assert "from 0 to 80" in done.warnings[-1]
    source = read_volume(ct)
    codes = nib.orientations.axcodes2ornt("LPS")
    turn = ornt_transform(io_orientation(source.affine), codes)
    axial = nib.Nifti1Image(source.values, source.affine).as_reoriented(turn).get_fdata()
    files = sorted((tmp_path / "out").glob("*.png"))
    assert [path.name for path in files[:2]] == ["0001.png", "0002.png"]
    assert len(files) == axial.shape[2]
    for index, path in enumerate(files):
        with Image.open(path) as picture:
            expected = (axial[:, :, index].T / 80 * 255).round().clip(0, 255)
            assert abs(np.asarray(picture) - expected).max() <= 1


def test_a_dicom_slice_becomes_one_picture_as_it_was_acquired(unpacked, tmp_path):
    path = sorted(unpacked("mr-t1-sagittal-siemens").rglob("*.dcm"))[90]
    run(path, tmp_path / "a.png", range=(0, 500))
    stored = dcmread(path).pixel_array
    with Image.open(tmp_path / "a.png") as picture:
        assert abs(np.asarray(picture) - np.clip(stored / 500 * 255, 0, 255)).max() <= 0.51


def test_a_stack_becomes_a_volume_in_natural_order_and_pictures_again(tmp_path):
    folder = pictures(tmp_path / "in")
    done = run(folder, tmp_path / "a.nii.gz", stack=True, spacing=(0.5, 0.6, 4))
    assert "0.5 x 0.6 x 4 mm was given by hand" in done.warnings[0]
    volume = read_volume(tmp_path / "a.nii.gz")
    assert volume.shape == (7, 5, 11)
    assert volume.values[0, 0].tolist() == [20 * index for index in range(1, 12)]
    assert np.allclose(spacing(volume.affine), [0.5, 0.6, 4])
    assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == np.uint8
    run(tmp_path / "a.nii.gz", tmp_path / "again", format="png")
    run(folder, tmp_path / "same", stack=True, spacing=(1, 1, 1), format="png")
    for index in range(1, 12):
        names = folder / f"s{index}.png", tmp_path / f"again/{index:04d}.png", tmp_path / f"same/s{index}.png"
        first, *others = (np.asarray(Image.open(path)) for path in names)
        assert all(np.array_equal(first, other) for other in others)


def test_pictures_of_a_stack_are_of_one_kind(tmp_path):
    folder = pictures(tmp_path / "in", 3)
    with pytest.raises(UsageError, match="go together"):
        run(folder, tmp_path / "a.nii", stack=True)
    with pytest.raises(UsageError, match="go together"):
        run(folder, tmp_path / "a.nii", spacing=(1, 1, 1))
    with pytest.raises(InputRefused, match="--stack and --spacing"):
        run(folder, tmp_path / "a.nii")
    with pytest.raises(InputRefused, match="no folder of pictures"):
        run(folder / "s1.png", tmp_path / "a.nii", stack=True, spacing=(1, 1, 1))
    Image.new("L", (5, 7)).save(folder / "s2.png")
    with pytest.raises(GeometryRefused, match=r"s2.png: 5 x 7 pixels .* s1.png has 7 x 5"):
        run(folder, tmp_path / "a.nii", stack=True, spacing=(1, 1, 1))
    for name in ("s2.png", "s3.png"):
        (folder / name).unlink()
    with pytest.raises(InputRefused, match="holds 1 pictures; a stack takes two or more"):
        run(folder, tmp_path / "a.nii", stack=True, spacing=(1, 1, 1))
    done = run(folder / "s1.png", tmp_path / "a.nii")
    assert "taken as 1 mm" in done.warnings[0]


@pytest.mark.parametrize(
    ("output", "more", "kind", "said"),
    [
        ("out", {}, UsageError, "a name with a suffix"),
        ("out", {"format": "mha"}, UsageError, "end its name in .mha"),
        ("out.dcm", {"format": "dicom", "modality": "ct"}, UsageError, "without suffix"),
        ("out", {"format": "dicom"}, UsageError, "--modality ct or --modality mr"),
        ("out.mnc", {}, UsageError, "no format writes .mnc"),
        ("out", {"format": "png"}, UsageError, "from -1024 to 1500 .* --window LEVEL WIDTH"),
        ("out.png", {"window": (40, 80)}, GeometryRefused, "a picture holds one slice"),
        ("out.mha", {"window": (40, 80)}, SettingsError, "only pictures need it"),
        ("o", {"format": "png", "window": (40, 80), "range": (0, 80)}, SettingsError, "one of them"),
        ("o", {"format": "png", "range": (80, 0)}, SettingsError, "lower end first"),
        ("o", {"format": "png", "range": (-1e-40, 1e-40)}, Diverged, "240 of 240 voxels"),
        ("o", {"format": "png", "range": (-1e300, 1e300)}, Diverged, "240 of 240 voxels"),
        (".", {"format": "dicom", "modality": "ct"}, UsageError, "holds the input"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(ct, tmp_path, output, more, kind, said):
    with pytest.raises(kind, match=said):
        run(ct, tmp_path / output, **more)
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_dicom_and_pictures_do_not_become_dicom(ct, tmp_path):
    run(ct, tmp_path / "series", format="dicom", modality="ct")
    with pytest.raises(UsageError, match="DICOM already"):
        run(tmp_path / "series", tmp_path / "more", format="dicom")
    folder = pictures(tmp_path / "in")
    with pytest.raises(GeometryRefused, match="neither measured values nor a place"):
        run(folder, tmp_path / "more", format="dicom", stack=True, spacing=(1, 1, 1), modality="ct")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "dicom"])
def test_a_name_with_a_newline_breaks_neither_error_nor_record(tmp_path, capsys, format):
    suffix = FORMATS[format].suffixes[-1]
    source, output = tmp_path / f"a\nb{suffix}", tmp_path / f"c\nd{suffix}"
    write_volume(Volume(np.arange(12).reshape(4, 3, 1), np.eye(4)), source)
    assert cli.invoke(["convert", str(source), str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == output.name
    (record,) = tmp_path.glob("c*.conversion.json")
    assert read_result(Conversion, record).output == output.name
    source.write_bytes(source.read_bytes()[:-30])
    assert cli.invoke(["convert", str(source), str(output), "--overwrite"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert f"a\\nb{suffix}: " in line


def test_a_deidentified_stack_does_not_keep_its_pictures_names(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for index in (1, 2, 3):
        Image.fromarray(np.full((5, 7), 20 * index, np.uint8)).save(folder / f"DOE_JOHN_1957_{index}.png")
    given = {"stack": True, "spacing": (1, 1, 1), "format": "png"}
    run(folder, tmp_path / "out", deidentify=True, **given)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("0001.png", "0002.png", "0003.png"),
        "conversion.json",
    }
    assert "DOE" not in (tmp_path / "out" / "conversion.json").read_text()


def test_regridded_slices_are_no_dicom_series(ct, tmp_path):
    run(ct, tmp_path / "series", format="dicom", modality="ct")
    with pytest.raises(UsageError, match="--regrid: a DICOM series keeps its own slices"):
        run(tmp_path / "series", tmp_path / "out", format="dicom", deidentify=True, regrid=True)
    assert not (tmp_path / "out").exists()
