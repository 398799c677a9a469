"""What nifti1.h gives a meaning to is read, what readers disagree on is said, sides are never a guess."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from medtranslate.errors import GeometryRefused, InputRefused, Unreadable
from medtranslate.geometry import swap_lps_ras
from medtranslate.io import read_volume, write_volume
from medtranslate.io.inventory import list_items

VALUES = (np.arange(5 * 4 * 3) - 20).reshape(5, 4, 3).astype(np.int16)
AFFINE = np.array([[-0.9, 0, 0, 20], [0, 0.95, 0, -30], [0, 0, 3, -15], [0, 0, 0, 1.0]])
MIRROR = np.diag([-1.0, 1, 1, 1])


def made(
    path, patches=(), *, qform=None, sform=None, codes=(1, 1), units="mm", kind=nib.Nifti1Image, values=VALUES
):
    """A file whose header is changed at some bytes: (offset, struct format, numbers...)."""
    image = kind(values, None)
    image.header.set_xyzt_units(units)
    given = AFFINE if qform is None and sform is None else qform if sform is None else sform
    image.header.set_zooms(np.linalg.norm(given[:3, :3], axis=0))
    image.set_qform(qform, codes[0] if qform is not None else 0)
    image.set_sform(sform, codes[1] if sform is not None else 0)
    raw = bytearray(image.to_bytes())
    for offset, form, *numbers in patches:
        struct.pack_into(form, raw, offset, *numbers)
    path.write_bytes(gzip.compress(bytes(raw)) if path.suffix == ".gz" else bytes(raw))
    return path


def itk_affine(path: Path) -> NDArray[np.float64]:
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return swap_lps_ras(affine)


MENDED = {
    "qfac 0": ({"qform": MIRROR @ AFFINE}, [(76, "<f", 0.0)], ""),
    "rounded quaternion": ({"qform": AFFINE}, [(256, "<3f", 0.0, 1.000001, 0.0)], ""),
    "quaternion of 3 digits": ({"qform": AFFINE}, [(256, "<3f", 0.0, 1.0009, 0.0)], ""),
    "dim[4] 0": ({"sform": AFFINE}, [(40, "<8h", 4, 5, 4, 3, 0, 1, 1, 1)], ""),
    "dim[5] negative": ({"sform": AFFINE}, [(40, "<8h", 5, 5, 4, 3, 1, -1, 1, 1)], ""),
    "unit 5": ({"sform": AFFINE}, [(123, "<B", 5)], "code 5 of a unit"),
    "unit 7 and seconds": ({"sform": AFFINE}, [(123, "<B", 15)], "code 7 of a unit"),
    "empty sform": ({"qform": AFFINE, "sform": AFFINE}, [(280, "<12f", *[0] * 12)], "sform is empty"),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", MENDED)
def test_a_header_that_the_standard_gives_a_meaning_to_is_read_as_itk_reads_it(
    tmp_path: Path, name: str, suffix: str
) -> None:
    forms, patches, said = MENDED[name]
    path = made(tmp_path / f"a{suffix}", patches, **forms)
    volume = read_volume(path)
    assert np.array_equal(volume.values, VALUES)
    assert np.allclose(volume.affine, itk_affine(path), atol=1e-4)
    assert len(volume.meta.warnings) == bool(said)
    assert said in "".join(volume.meta.warnings)
    write_volume(volume, tmp_path / "b.nii", like=volume)
    again = nib.load(tmp_path / "b.nii")
    assert np.allclose(again.affine, volume.affine, atol=1e-5)
    assert np.array_equal(again.get_fdata().reshape(VALUES.shape), VALUES)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("gap", [0, 4])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_voxels_of_offset_0_lie_where_the_length_of_the_file_says(
    tmp_path: Path, suffix: str, gap: int, kind: Any
) -> None:
    """nibabel takes byte 0 and ITK byte 348, each right for one file at most."""
    size, place = (348, (108, "<f", 0.0)) if kind is nib.Nifti1Image else (540, (168, "<q", 0))
    content = made(tmp_path / "plain.nii", [place], sform=AFFINE, kind=kind).read_bytes()
    content = content[:size] + content[size + 4 - gap :]
    for end, fits in ((b"", True), (b"\0\0", False)):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(gzip.compress(content + end) if suffix == ".nii.gz" else content + end)
        if fits:
            assert np.array_equal(read_volume(path).values, VALUES)
        else:
            with pytest.raises(Unreadable, match="vox_offset is 0"):
                read_volume(path)


@pytest.mark.parametrize(
    ("forms", "patches", "said"),
    [
        ({"qform": AFFINE}, [(256, "<3f", 0.0, 1.01, 0.0)], "quaternion of length 1.01"),
        ({"qform": AFFINE}, [(256, "<f", np.nan)], "quaternion of length nan"),
        ({"qform": AFFINE}, [(268, "<f", np.inf)], "offset of inf, -30, -15 mm"),
        ({"qform": AFFINE}, [(272, "<f", 1e20)], r"offset of 20, 1e\+20, -15 mm"),
        ({"qform": AFFINE}, [(76, "<f", -2.0)], r"pixdim\[0\] is -2"),
        ({"qform": AFFINE}, [(76, "<f", np.nan)], r"pixdim\[0\] is nan"),
        ({"qform": AFFINE}, [(80, "<f", -1.0)], "voxels of -1 x"),
    ],
)
def test_a_qform_that_cannot_be_mended_is_refused_or_passed_over(
    tmp_path: Path, forms: Any, patches: Any, said: str
) -> None:
    with pytest.raises(GeometryRefused, match=said):
        read_volume(made(tmp_path / "a.nii", patches, **forms))
    if "pixdim" not in said:
        volume = read_volume(made(tmp_path / "b.nii", patches, **forms, sform=AFFINE))
        assert np.allclose(volume.affine, AFFINE)
        assert "qform is damaged" in volume.meta.warnings[0]
        write_volume(volume, tmp_path / "c.nii", like=volume)
        assert int(nib.load(tmp_path / "c.nii").header["qform_code"]) == 0


def turned(degrees: float, axis: str = "x") -> NDArray[np.float64]:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    return turn @ AFFINE


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (1, 4), (2, 3)])
def test_forms_that_disagree_are_said_and_those_that_swap_sides_refused(
    tmp_path: Path, codes: tuple[int, int]
) -> None:
    kept = made(tmp_path / "kept.nii", qform=AFFINE, sform=AFFINE, codes=codes)
    assert read_volume(kept).meta.warnings == ()
    path = made(tmp_path / "apart.nii", qform=AFFINE, sform=turned(10), codes=codes)
    volume = read_volume(path)
    assert np.allclose(volume.affine, turned(10), atol=1e-5)
    (said,) = volume.meta.warnings
    corners = np.array([(i, j, k, 1) for i in (0, 4) for j in (0, 3) for k in (0, 2)])
    worst = np.linalg.norm((corners @ (AFFINE - turned(10)).T)[:, :3], axis=1).max()
    assert f"disagree by up to {worst:.3g} mm" in said
    assert f"sform (code {codes[1]}) and qform (code {codes[0]})" in said
    (item,) = list_items(path)
    assert item.warnings == (said,)
    for name, wrong in (
        ("mirrored", MIRROR @ AFFINE),
        ("half turn", turned(180, "z")),
        ("over", turned(170, "y")),
    ):
        with pytest.raises(GeometryRefused, match="disagree on which side is left"):
            read_volume(made(tmp_path / f"{name}.nii", qform=AFFINE, sform=wrong, codes=codes))


def test_forms_within_a_tenth_of_a_millimetre_agree(tmp_path: Path) -> None:
    for shift, said in ((0.09, 0), (0.11, 1)):
        moved = AFFINE.copy()
        moved[2, 3] += shift
        path = made(tmp_path / "a.nii", qform=AFFINE, sform=moved)
        assert len(read_volume(path).meta.warnings) == said


@pytest.mark.parametrize("unit", ["meter", "micron"])
@pytest.mark.parametrize("form", ["qform", "sform", "both", "neither"])
def test_other_units_are_said_and_written_in_mm(tmp_path: Path, unit: str, form: str) -> None:
    factor = {"meter": 1e-3, "micron": 1e3}[unit]
    small = np.diag([factor, factor, factor, 1]) @ AFFINE
    forms = {name: small for name in ("qform", "sform") if form in (name, "both")}
    path = made(tmp_path / "a.nii.gz", units=unit, **forms)
    if form == "neither":
        path = made(tmp_path / "a.nii.gz", [(80, "<3f", *(np.array([0.9, 0.95, 3]) * factor))], units=unit)
    volume = read_volume(path)
    assert f"geometry turned from {unit} to mm" in volume.meta.warnings
    assert np.allclose(volume.spacing, [0.9, 0.95, 3], rtol=1e-5)
    assert form == "neither" or np.allclose(volume.affine, AFFINE, atol=1e-4)
    write_volume(volume, tmp_path / "b.nii.gz", like=volume)
    header = nib.load(tmp_path / "b.nii.gz").header
    assert header.get_xyzt_units()[0] == "mm"
    assert np.allclose(header.get_zooms(), [0.9, 0.95, 3], rtol=1e-5)
    assert np.allclose(header.get_best_affine(), volume.affine, atol=1e-4)
    assert np.allclose(itk_affine(tmp_path / "b.nii.gz"), volume.affine, atol=1e-4) or form == "neither"


@pytest.mark.parametrize(
    ("slope", "intercept", "factors", "said"),
    [
        (0.5, -3.0, (0.5, -3), ""),
        (0.0, 0.0, (1, 0), ""),
        (np.nan, np.nan, (1, 0), ""),
        (np.inf, np.nan, (1, 0), ""),
        (0.0, -1024.0, (1, 0), "scl_inter is -1024 beside a scl_slope of 0"),
        (np.nan, -1024.0, (1, 0), "scl_inter is -1024 beside a scl_slope of nan"),
        (2.0, np.nan, None, "scl_slope is 2 and scl_inter nan"),
        (2.0, np.inf, None, "scl_slope is 2 and scl_inter inf"),
    ],
)
def test_scaling_is_that_of_the_standard_and_what_readers_disagree_on_is_said(
    tmp_path: Path, slope: Any, intercept: Any, factors: Any, said: str
) -> None:
    path = made(tmp_path / "a.nii", [(112, "<2f", slope, intercept)], sform=AFFINE)
    (item,) = list_items(path)
    if factors is None:
        assert said in item.refused
        with pytest.raises(Unreadable, match=said):
            read_volume(path)
        return
    volume = read_volume(path)
    assert np.array_equal(volume.values, VALUES * factors[0] + factors[1])
    assert np.array_equal(volume.values, nib.load(path).get_fdata())
    assert len(item.warnings) == len(volume.meta.warnings) == bool(said)
    assert said in "".join(item.warnings)


@pytest.mark.parametrize("suffix", [".img", ".img.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
def test_pairs_are_read_by_their_header_as_nibabel_reads_them(tmp_path: Path, suffix: str, kind: Any) -> None:
    image = kind(VALUES, turned(20))
    image.header.set_xyzt_units("mm")
    image.to_filename(tmp_path / f"a{suffix}")
    path = tmp_path / f"a{suffix}".replace(".img", ".hdr")
    volume = read_volume(path)
    assert np.array_equal(volume.values, VALUES)
    assert np.allclose(volume.affine, nib.load(path).affine, atol=1e-5)
    write_volume(volume, tmp_path / "b.nii", like=volume)
    assert np.array_equal(nib.load(tmp_path / "b.nii").get_fdata(), VALUES)
    (tmp_path / f"a{suffix}").rename(tmp_path / "c.img")
    with pytest.raises(Unreadable, match=r"a.img is not beside it"):
        read_volume(path)


def test_the_voxels_of_a_pair_lead_to_its_header_and_analyze_is_named(tmp_path: Path) -> None:
    nib.Nifti1Pair(np.arange(400, dtype=np.uint8).reshape(10, 10, 4), AFFINE).to_filename(tmp_path / "a.img")
    with pytest.raises(Unreadable, match=r"a.img: the voxels of a pair; name a.hdr"):
        read_volume(tmp_path / "a.img")
    for order in "<>":
        header = nib.AnalyzeHeader(endianness=order)
        header.set_data_shape((5, 4, 3))
        (tmp_path / "b.hdr").write_bytes(header.binaryblock)
        with pytest.raises(Unreadable, match=r"b.hdr: is Analyze 7.5, which does not say where left is"):
            read_volume(tmp_path / "b.hdr")
    assert "Analyze" in next(item for item in list_items(tmp_path) if item.name == "b.hdr").refused


def test_a_voxel_size_that_is_not_that_of_the_sform_is_said(tmp_path: Path) -> None:
    path = made(tmp_path / "a.nii", [(80, "<3f", 1, 1, 1)], sform=AFFINE)
    volume = read_volume(path)
    assert np.allclose(volume.affine, AFFINE)
    assert np.allclose(np.linalg.norm(itk_affine(path)[:3, :3], axis=0), 1)
    assert volume.meta.warnings == (
        "the sform has voxels of 0.9 x 0.95 x 3 mm and pixdim of 1 x 1 x 1 mm: the sform is taken;"
        " readers built on ITK take pixdim",
    )


def test_a_lone_slice_without_thickness_gets_one(tmp_path: Path) -> None:
    path = made(tmp_path / "a.nii", [(88, "<f", 0.0)], qform=AFFINE, values=VALUES[:, :, :1])
    volume = read_volume(path)
    assert volume.spacing == pytest.approx([0.9, 0.95, 1])
    assert volume.meta.warnings == ("the only slice has no thickness in the header: taken as 1 mm",)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    sizes=st.tuples(*[st.floats(0.3, 5)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    left_handed=st.booleans(),
    second=st.floats(-0.5, 0.5),
)
def test_any_pose_is_read_as_itk_reads_it_or_said_to_be_open_to_choice(
    tmp_path: Path, angles: Any, sizes: Any, origin: Any, codes: Any, left_handed: Any, second: Any
) -> None:
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * sizes
    affine = nib.affines.from_matvec(matrix * ([-1, 1, 1] if left_handed else 1), origin)
    moved = affine + np.outer([0, 0, 0.3 * (abs(second) > 0.25), 0], [0, 0, 0, 1])
    image = nib.Nifti1Image(VALUES, None)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, codes[0])
    image.set_sform(moved, codes[1])
    image.to_filename(tmp_path / "a.nii")
    try:
        volume = read_volume(tmp_path / "a.nii")
    except InputRefused as refusal:
        raise AssertionError(refusal) from refusal
    assert np.allclose(volume.affine, nib.load(tmp_path / "a.nii").affine, atol=1e-4)
    if not volume.meta.warnings:
        assert np.allclose(volume.affine, itk_affine(tmp_path / "a.nii"), atol=0.1)
