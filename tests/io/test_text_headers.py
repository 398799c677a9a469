from __future__ import annotations

import gzip
import re
import tracemalloc
import zlib
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
from medtranslate.io import FORMATS, read_volume, write_volume

VALUES = np.random.default_rng(0).integers(0, 100, (3, 4, 5))
TURN = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix()
BOTH = pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
NUMBERS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")

MHA = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "4 5 6",
    "ElementSpacing": "1 2 3",
    "DimSize": "5 4 3",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 4 3",
    "space directions": "(1,0,0) (0,2,0) (0,0,3)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(4,5,6)",
}
VOXELS = VALUES.astype("<i2").tobytes()


def itk_image(dtype: str = "i2") -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(VALUES.astype(dtype))
    image.SetSpacing((1.5, 2.5, 3.25))
    image.SetOrigin((-4.125, 5.1, 6.2))
    image.SetDirection(TURN.ravel())
    return image


def itk_affine(image: SimpleITK.Image) -> NDArray[np.float64]:
    """RAS affine of an image of SimpleITK."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return swap_lps_ras(affine)


def craft(path: Path, voxels: bytes = VOXELS, **changes: str | None) -> Path:
    """A file with some fields changed (`_` for a space), or left out where they are None."""
    mha = path.suffix in (".mha", ".mhd")
    fields = {**(MHA if mha else NRRD), **{name.replace("_", " "): text for name, text in changes.items()}}
    if mha:
        fields["ElementDataFile"] = fields.pop("ElementDataFile")
    lines = [f"{name}{' = ' if mha else ': '}{text}\n" for name, text in fields.items() if text is not None]
    header = "".join(lines) if mha else "NRRD0004\n# comment\nkey:=value\n" + "".join(lines) + "\n"
    path.write_bytes(header.encode() + voxels)
    return path


@BOTH
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_every_number_type_that_itk_writes_is_read(
    tmp_path: Path, suffix: Any, dtype: Any, compressed: bool
) -> None:
    image = itk_image(dtype)
    SimpleITK.WriteImage(image, str(tmp_path / f"a{suffix}"), compressed)
    volume = read_volume(tmp_path / f"a{suffix}", modality="mr")
    assert np.array_equal(volume.values.T, VALUES)
    assert np.allclose(volume.affine, itk_affine(image), atol=1e-9)
    assert volume.meta.stored == np.dtype(dtype).name
    assert (volume.meta.modality, volume.meta.warnings) == ("mr", ())


@BOTH
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_itk_reads_what_is_written(tmp_path: Path, suffix: Any, dtype: str) -> None:
    nib.Nifti1Image(VALUES.T.astype(dtype), itk_affine(itk_image())).to_filename(tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    write_volume(volume, tmp_path / f"b{suffix}")
    image = SimpleITK.ReadImage(str(tmp_path / f"b{suffix}"))
    values = SimpleITK.GetArrayFromImage(image)
    assert values.dtype == np.dtype(dtype)
    assert np.array_equal(values, VALUES)
    assert np.allclose(itk_affine(image), volume.affine, atol=1e-9)


@BOTH
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    sizes=st.tuples(*[st.floats(0.01, 50)] * 3),
    origin=st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    dtype=st.sampled_from(["u1", "i2", "u2", "i4", "f4"]),
)
def test_nifti_comes_back_from_there_unchanged(
    tmp_path: Path, suffix: Any, angles: Any, sizes: Any, origin: Any, dtype: Any
) -> None:
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * sizes
    image = nib.Nifti1Image(VALUES.astype(dtype), nib.affines.from_matvec(matrix, origin))
    image.to_filename(tmp_path / "a.nii")
    source = read_volume(tmp_path / "a.nii")
    write_volume(source, tmp_path / f"b{suffix}", overwrite=True)
    between = read_volume(tmp_path / f"b{suffix}")
    write_volume(between, tmp_path / "c.nii", overwrite=True)
    again = nib.load(tmp_path / "c.nii")
    assert np.allclose(between.affine, source.affine, rtol=0, atol=1e-12)
    assert again.get_data_dtype() == image.get_data_dtype()
    assert np.array_equal(again.get_fdata(), VALUES)
    assert np.allclose(again.affine, image.affine, rtol=1e-6, atol=1e-5 * max(sizes))


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize("compressed", [False, True])
def test_voxels_in_a_file_beside_the_header_are_read(tmp_path: Path, suffix: str, compressed: bool) -> None:
    SimpleITK.WriteImage(itk_image(), str(tmp_path / f"a{suffix}"), compressed)
    volume = read_volume(tmp_path / f"a{suffix}")
    assert np.array_equal(volume.values.T, VALUES)
    assert np.allclose(volume.affine, itk_affine(itk_image()))


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "../b.raw",
        "sub/b.raw",
        "",
        "..",
        ".",
        "LIST",
        "b%03d.raw 1 3 1",
        "gone",
    ],
)
def test_voxels_elsewhere_are_not_read(tmp_path: Path, suffix: str, name: str) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for place in (tmp_path / "b.raw", tmp_path / "in" / "sub" / "b.raw"):
        place.write_bytes(VOXELS)
    key = "ElementDataFile" if suffix == ".mhd" else "data_file"
    path = craft(tmp_path / "in" / f"a{suffix}", b"", **{key: name})
    with pytest.raises(Unreadable, match=rf"a{suffix}: its voxels are said to lie in"):
        read_volume(path)


def test_other_spaces_and_byte_orders_are_turned(tmp_path: Path) -> None:
    lps = read_volume(craft(tmp_path / "a.nrrd"))
    swapped = VALUES.astype(">i2").tobytes()
    ras = craft(
        tmp_path / "b.nrrd",
        swapped,
        space="RAS",
        endian="big",
        space_directions="(-1,0,0) (0,-2,0) (0,0,3)",
        space_origin="(-4,-5,6)",
    )
    las = craft(
        tmp_path / "c.nrrd",
        space="left-anterior-superior",
        space_directions="(1,0,0) (0,-2,0) (0,0,3)",
        space_origin="(4,-5,6)",
    )
    mha = craft(tmp_path / "d.mha", swapped, BinaryDataByteOrderMSB="True", Offset=None, Position="4 5 6")
    for path in (ras, las, mha):
        volume = read_volume(path)
        assert np.array_equal(volume.values, lps.values)
        assert np.array_equal(volume.affine, lps.affine)
        image = SimpleITK.ReadImage(str(path))
        assert np.allclose(itk_affine(image), lps.affine)
        assert np.array_equal(SimpleITK.GetArrayFromImage(image), VALUES)


def test_a_header_without_orientation_is_read_as_itk_does_and_says_so(tmp_path: Path) -> None:
    for path in (
        craft(tmp_path / "a.mha", TransformMatrix=None, Offset=None),
        craft(tmp_path / "a.nrrd", space=None, space_directions=None, space_origin=None, spacings="1 2 3"),
    ):
        volume = read_volume(path)
        assert np.allclose(volume.affine, itk_affine(SimpleITK.ReadImage(str(path))))
        assert "taken as" in volume.meta.warnings[0]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("ElementSpacing", "no voxel size: taken as 1 mm"),
        ("TransformMatrix", "no orientation: taken as left, posterior, superior"),
        ("Offset", "no `Offset`: the first voxel is taken to lie at 0, 0, 0"),
    ],
)
def test_a_metaimage_is_said_to_lack_what_it_lacks_and_nothing_else(
    tmp_path: Path, field: str, said: str
) -> None:
    volume = read_volume(craft(tmp_path / "a.mha", **{field: None}))
    assert volume.meta.warnings == (f"the header has {said}",)
    assert np.allclose(volume.affine, itk_affine(SimpleITK.ReadImage(str(tmp_path / "a.mha"))))


LINES = [f"{name} = {text}" for name, text in MHA.items()]
READ_MHA = {
    "no BinaryData": [line for line in LINES if "BinaryData " not in line],
    "blank lines": [LINES[0], "", "", *LINES[1:]],
    "two comments": [LINES[0], "Comment = one", "Comment = another", *LINES[1:]],
    "an unknown field twice": [LINES[0], "Site = one", "Site = another", *LINES[1:]],
    "both names of the byte order": [*LINES[:4], "ElementByteOrderMSB = False", *LINES[4:]],
    "both names of the position": [*LINES[:-1], "Position = 4 5 6", LINES[-1]],
    "a field twice": [*LINES[:-1], "Offset = 4  5 6", LINES[-1]],
    "colons": [line.replace(" =", ":") for line in LINES],
    "HeaderSize -1": [LINES[0], "HeaderSize = -1", *LINES[1:]],
}


@pytest.mark.parametrize("name", READ_MHA)
def test_a_metaimage_header_as_itk_takes_it_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.mha"
    path.write_bytes("".join(f"{line}\n" for line in READ_MHA[name]).encode() + VOXELS)
    volume, image = read_volume(path), SimpleITK.ReadImage(str(path))
    assert np.array_equal(volume.values.T, SimpleITK.GetArrayFromImage(image))
    assert np.array_equal(volume.values.T, VALUES)
    assert np.allclose(volume.affine, itk_affine(image))
    assert volume.meta.warnings == ()


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize(("skip", "before"), [("4", b"abcd"), ("-1", b"abcdefg"), ("-1", b""), ("0", b"")])
def test_bytes_before_the_voxels_of_another_file_are_skipped(
    tmp_path: Path, suffix: str, skip: str, before: bytes
) -> None:
    (tmp_path / "a.raw").write_bytes(before + VOXELS)
    changes = {"HeaderSize": skip, "ElementDataFile": "a.raw"}
    if suffix == ".nhdr":
        changes = {"byte_skip": skip, "data_file": "a.raw"}
    path = craft(tmp_path / f"a{suffix}", b"", **changes)
    assert np.array_equal(read_volume(path).values.T, VALUES)
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), VALUES)


NONE = {"space": None, "space_directions": None, "space_origin": None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space_origin": None}, "no `space origin`"),
        (NONE, "no voxel size"),
        ({**NONE, "axis_mins": "10 20 -30"}, "no voxel size"),
        ({**NONE, "spacings": "1 1.5 2"}, "no orientation"),
        ({**NONE, "spacings": "1 1.5 2", "axis_mins": "10 20 -30"}, "no orientation"),
        (
            {**NONE, "spacings": "1 1.5 2", "axis_mins": "10 20 -30", "centerings": "cell cell cell"},
            "no orie",
        ),
        ({**NONE, "spacings": "1 1.5 2", "axismins": "10 20 -30", "centers": "node node node"}, "no orie"),
        ({**NONE, "spacings": "1 1.5 2", "axis_mins": "10 20 -30", "centerings": "cell node ???"}, "no orie"),
        ({"encoding": "raw", "byte_skip": "-1"}, ""),
    ],
)
def test_a_nrrd_that_leaves_something_out_is_placed_as_itk_places_it(
    tmp_path: Path, changes: Any, said: str
) -> None:
    path = craft(tmp_path / "a.nrrd", **changes)
    volume = read_volume(path)
    assert np.array_equal(volume.values.T, VALUES)
    assert np.allclose(volume.affine, itk_affine(SimpleITK.ReadImage(str(path))))
    assert bool(volume.meta.warnings) == bool(said)
    assert said in "".join(volume.meta.warnings)


def test_ends_of_axes_give_the_size_of_voxels(tmp_path: Path) -> None:
    """Which the format says and ITK does not take; a node is a sample at each end, a cell is not."""
    for centerings, sizes, origin in (
        (None, (2, 3, 4), (11, 21.5, -28)),
        ("node node node", (2.5, 4, 6), (10, 20, -30)),
    ):
        path = craft(
            tmp_path / "a.nrrd", **NONE, axis_mins="10 20 -30", axis_maxs="20 32 -18", centerings=centerings
        )
        volume = read_volume(path)
        assert volume.spacing == pytest.approx(sizes)
        assert swap_lps_ras(volume.affine)[:3, 3].tolist() == pytest.approx(origin)
        assert "ITK takes 1 mm" in volume.meta.warnings[0]


def test_a_scaling_that_itk_does_not_apply_is_said(tmp_path: Path) -> None:
    path = craft(tmp_path / "a.mha", ElementToIntensityFunctionSlope="2")
    volume = read_volume(path)
    assert np.array_equal(volume.values.T, SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))
    assert "ElementToIntensityFunctionSlope is not applied" in volume.meta.warnings[0]
    assert read_volume(craft(path, ElementToIntensityFunctionSlope="1.0")).meta.warnings == ()


REFUSED_MHA = [
    ({"NDims": "5", "DimSize": "5 4 3 2 2"}, "'5' dimensions"),
    ({"NDims": "2", "DimSize": "5 4"}, "'2' dimensions"),
    ({"ElementNumberOfChannels": "3"}, "'3' channels"),
    ({"ElementType": "MET_FLOAT_ARRAY"}, "is no number"),
    ({"BinaryData": "False"}, "text"),
    ({"BinaryData": "perhaps"}, "neither True nor False"),
    ({"ObjectType": "Mesh"}, "not an image"),
    ({"HeaderSize": "4"}, "HeaderSize"),
    ({"DistanceUnits": "um"}, "DistanceUnits"),
    ({"DimSize": "5 4"}, "`DimSize` is not 3 finite numbers"),
    ({"DimSize": "5 4 x"}, "`DimSize` is not 3 finite numbers"),
    ({"DimSize": "5 4 3.5"}, "not whole"),
    ({"DimSize": "5 4 0"}, "holds no voxels"),
    ({"DimSize": "-5 -4 3"}, "holds no voxels"),
    ({"DimSize": "99999 99999 99999"}, "more than the bound"),
    ({"DimSize": "1e300 1 1"}, "huge"),
    ({"DimSize": "9" * 5000 + " 1 1"}, "finite numbers"),
    ({"DimSize": "50 40 30"}, "120 of 120000 bytes of voxels"),
    ({"DimSize": "5 4 2"}, "120 of 80 bytes of voxels"),
    ({"DimSize": None}, "lacks `DimSize`"),
    ({"Offset": "1 2 nan"}, "`Offset` is not"),
    ({"Offset": "4 5 6", "Position": "1 2 3"}, "contradicts another on `Offset`"),
]
REFUSED_NRRD = [
    ({"dimension": "5", "sizes": "5 4 3 2 2"}, "'5' dimensions"),
    ({"kinds": "RGB-color domain domain"}, "its axes are"),
    ({"type": "block"}, "is no number"),
    ({"encoding": "bzip2"}, "bzip2"),
    ({"encoding": "ascii"}, "ascii"),
    ({"byte_skip": "-2"}, "it skips"),
    ({"line_skip": "1"}, "it skips"),
    ({"byte_skip": "-1", "encoding": "gzip"}, "it skips"),
    ({"space": "RAS", "space_directions": None, "spacings": "1 2 3"}, "lacks `space directions`"),
    ({"space": None, "space_directions": None, "units": '"m" "m" "m"'}, "its units are"),
    ({"endian": None}, "lacks `endian`"),
    ({"endian": "middle"}, "middle"),
    ({"space": "scanner-xyz"}, "does not say where left is"),
    ({"space": None}, "lacks `space`"),
    ({"space_units": '"um" "um" "um"'}, "not mm"),
    ({"space_directions": "none (0,2,0) (0,0,3)"}, "`space directions` is not 9"),
    ({"space_origin": "(inf,0,0)"}, "`space origin` is not"),
    ({"sizes": "5 4"}, "`sizes` is not 3"),
    ({"sizes": "5 4 0"}, "holds no voxels"),
    ({"sizes": "99999 99999 99999"}, "more than the bound"),
    ({"sizes": "50 40 30"}, "120 of 120000 bytes of voxels"),
]


@pytest.mark.parametrize(
    ("suffix", "changes", "said"),
    [
        *((".mha", *case) for case in REFUSED_MHA),
        *((".nrrd", *case) for case in REFUSED_NRRD),
    ],
)
def test_what_is_not_one_grey_volume_is_refused_from_its_header(
    tmp_path: Path, suffix: Any, changes: Any, said: Any
) -> None:
    with pytest.raises(Unreadable, match=re.escape(said)) as refusal:
        read_volume(craft(tmp_path / f"a{suffix}", **changes))
    assert f"a{suffix}" in str(refusal.value)
    assert len(str(refusal.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("suffix", "changes"),
    [
        (".mha", {"TransformMatrix": "2 0 0 0 1 0 0 0 1"}),
        (".mha", {"TransformMatrix": "1 0 0 1 0 0 0 0 1"}),
        (".mha", {"ElementSpacing": "1 0 1"}),
        (".mha", {"ElementSpacing": "1 -1 1"}),
        (".nrrd", {"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}),
        (".nrrd", {"space_directions": "(1,0,0) (0,0,0) (0,0,1)"}),
    ],
)
def test_a_degenerate_geometry_is_refused(tmp_path: Path, suffix: str, changes: Any) -> None:
    with pytest.raises(GeometryRefused, match=rf"a{suffix}: "):
        read_volume(craft(tmp_path / f"a{suffix}", **changes))


@BOTH
def test_voxels_that_are_not_finite_are_refused(tmp_path: Path, suffix: Any) -> None:
    values = np.zeros((3, 4, 5), np.float32)
    values[0, 0, :2] = np.nan, np.inf
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / f"a{suffix}"))
    with pytest.raises(Unreadable, match="2 of 60 voxels are NaN or infinite"):
        read_volume(tmp_path / f"a{suffix}")


@BOTH
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: Any, compressed: bool, share: float) -> None:
    noise = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noise), str(path), compressed)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(Unreadable, match=rf"a{suffix}: (truncated|damaged)"):
        read_volume(path)


@pytest.mark.parametrize("length", [0, 100, 119, 121, 200])
def test_compressed_voxels_are_as_many_as_the_header_says(tmp_path: Path, length: int) -> None:
    """ITK reads too short a compressed MetaImage into memory that nobody has filled."""
    voxels = (VOXELS * 2)[:length]
    mha = craft(tmp_path / "a.mha", zlib.compress(voxels), CompressedData="True")
    nrrd = craft(tmp_path / "a.nrrd", gzip.compress(voxels), encoding="gzip")
    for path in (mha, nrrd):
        with pytest.raises(Unreadable, match=r"truncated|more voxels than its header says"):
            read_volume(path)


@pytest.mark.parametrize(
    ("suffix", "changes", "compress"),
    [(".mha", {"CompressedData": "True"}, zlib.compress), (".nrrd", {"encoding": "gzip"}, gzip.compress)],
)
def test_a_bomb_is_not_inflated(tmp_path: Path, suffix: str, changes: Any, compress: Any) -> None:
    path = craft(tmp_path / f"a{suffix}", compress(bytes(2**27), 1), **changes)
    tracemalloc.start()
    with pytest.raises(Unreadable, match="more voxels than its header says"):
        read_volume(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


@pytest.mark.parametrize(
    ("suffix", "head"), [(".mha", b"ObjectType = Image\nNDims = 3\nComment = "), (".nrrd", b"NRRD0004\n# ")]
)
def test_a_header_without_end_is_refused(tmp_path: Path, suffix: str, head: bytes) -> None:
    for index, rest in enumerate((bytes(2**21), b"1" * 2**21, b"# Doe^Jane\n" * 2**18)):
        path = tmp_path / f"{index}{suffix}"
        path.write_bytes(head + rest)
        with pytest.raises(Unreadable) as refusal:
            read_volume(path)
        assert "Jane" not in str(refusal.value)


@pytest.mark.parametrize(
    "content", [b"", b"hello world\n", b"<html>\n", b"NRRD9", b"NDims\n", b"\xff\xfe\x00"]
)
@BOTH
def test_what_only_is_named_like_it_is_refused(tmp_path: Path, suffix: Any, content: bytes) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(Unreadable, match=rf"a{suffix}: (text|empty|no known)"):
        read_volume(tmp_path / f"a{suffix}")


def test_text_of_the_source_s_header_is_not_taken_over(tmp_path: Path) -> None:
    craft(tmp_path / "a.mha", Comment="CANARY", PatientName="CANARY")
    for suffix in (".mha", ".nrrd", ".nii"):
        volume = read_volume(tmp_path / "a.mha")
        write_volume(volume, tmp_path / f"b{suffix}", like=volume)
        assert b"CANARY" not in (tmp_path / f"b{suffix}").read_bytes()
        assert "CANARY" not in repr(volume.meta)


@BOTH
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_a_damaged_header_is_refused_or_read_within_the_bounds(
    tmp_path: Path, suffix: Any, data: st.DataObject
) -> None:
    content = bytearray(craft(tmp_path / f"a{suffix}").read_bytes())
    header = len(content) - len(VOXELS)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, header - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=4) | st.text("0123456789.-+eE nXx=:()\n", max_size=4).map(str.encode)
        )
    path = Path(tmp_path / f"a{suffix}")
    path.write_bytes(content)
    try:
        volume = FORMATS[suffix[1:]].read(path, None)
    except InputRefused:
        return
    assert volume.values.size == VALUES.size or volume.values.nbytes < 4 * len(content)
    assert np.isfinite(volume.affine).all()
