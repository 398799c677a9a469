from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.geometry import swap_lps_ras
from medtranslate.io import Volume, read_volume, write_volume

VALUES = np.random.default_rng(0).integers(0, 100, (5, 4, 3))
OBLIQUE = nib.affines.from_matvec(
    Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix() * [1, 2, 3], [4, 5, 6]
)


def save(path: Path, values: NDArray[Any], affine: NDArray[np.float64] | None = OBLIQUE) -> Path:
    nib.Nifti1Image(values, affine).to_filename(path)
    return path


def falsify(path: Path, header: dict[str, Any]) -> Path:
    """Overwrite header fields of a plain .nii, which nibabel itself would set right."""
    content = path.read_bytes()
    block = nib.Nifti1Header(content[:348])
    for name, value in header.items():
        block[name] = value
    path.write_bytes(block.binaryblock + content[348:])
    return path


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "<i2", ">i2", "i4", "u4", "i8", ">f4", "f8"])
def test_every_number_type_is_read_as_nibabel_reads_it(
    tmp_path: Path, dtype: str, suffix: str, kind: Any
) -> None:
    image = kind(VALUES.astype(dtype), OBLIQUE, dtype=dtype)
    image.header.set_slope_inter(0.5, -3)
    image.to_filename(tmp_path / f"a{suffix}")
    volume = read_volume(tmp_path / f"a{suffix}", modality="ct")
    oracle = nib.load(tmp_path / f"a{suffix}")
    assert np.array_equal(volume.values, oracle.get_fdata(dtype=np.float32))
    assert np.array_equal(volume.affine, oracle.affine)
    assert (volume.meta.modality, volume.meta.warnings) == ("ct", ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(codes=st.tuples(*map(st.sampled_from, ("RL", "AP", "SI"))).flatmap(st.permutations))
def test_each_orientation_survives_reading_and_writing(tmp_path: Path, codes: Any) -> None:
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    affine = OBLIQUE @ inv_ornt_aff(turn, VALUES.shape)
    source = read_volume(save(tmp_path / "a.nii.gz", VALUES.astype(np.float32), affine))
    write_volume(source, tmp_path / "b.nii.gz", like=source, overwrite=True)
    image, written = (nib.load(tmp_path / f"{name}.nii.gz") for name in "ab")
    assert np.array_equal(written.get_fdata(), VALUES)
    for part in ("get_sform", "get_qform"):
        assert np.array_equal(*(getattr(one, part)() for one in (image, written)))
    assert nib.aff2axcodes(written.affine) == tuple(nib.aff2axcodes(affine))


def test_the_source_s_geometry_fields_are_kept_and_its_text_is_not(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VALUES[..., None].astype(np.int16), OBLIQUE / [[1000], [1000], [1000], [1]])
    image.set_qform(OBLIQUE / [[1000], [1000], [1000], [1]], "aligned")
    image.set_sform(None, 0)
    image.header.set_xyzt_units("meter", "sec")
    image.header["descrip"], image.header["aux_file"] = b"CANARY", b"CANARY"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"CANARY"))
    image.to_filename(tmp_path / "a.nii")
    source = read_volume(tmp_path / "a.nii")
    assert source.shape == (5, 4, 3)
    assert np.allclose(source.affine, OBLIQUE, atol=1e-4)
    assert "meter" in source.meta.warnings[0]
    write_volume(source.with_values(source.values + 0.25), tmp_path / "b.nii", like=source)
    written = nib.load(tmp_path / "b.nii")
    assert written.shape == (5, 4, 3, 1)
    assert written.get_data_dtype() == np.float32
    assert np.array_equal(written.get_fdata(), VALUES[..., None] + 0.25)
    assert np.array_equal(written.affine, source.affine)
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == (2, 0)
    assert written.header.get_xyzt_units() == ("mm", "sec")
    assert b"CANARY" not in (tmp_path / "b.nii").read_bytes()


def test_a_volume_of_another_origin_is_written_where_it_is(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    volume = make_volume()
    write_volume(volume, tmp_path / "a.nii.gz")
    image = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz"))
    for index in ((0, 0, 0), (7, 5, 4)):
        lps = swap_lps_ras(volume.affine) @ [*index, 1]
        assert np.allclose(image.TransformIndexToPhysicalPoint(index), lps[:3], atol=1e-4)
        assert image[index] == float(volume.values[index])
    header = nib.load(tmp_path / "a.nii.gz").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert np.allclose(header.get_qform(), volume.affine)


def test_a_source_that_is_gone_is_refused(tmp_path: Path) -> None:
    source = read_volume(save(tmp_path / "a.nii", VALUES.astype(np.int16)))
    (tmp_path / "a.nii").unlink()
    with pytest.raises(Unreadable, match=r"a.nii: the source cannot be read again"):
        write_volume(source, tmp_path / "b.nii", like=source)
    assert not any(tmp_path.iterdir())


def test_a_single_slice_gets_its_third_axis_and_keeps_its_shape(tmp_path: Path) -> None:
    source = read_volume(save(tmp_path / "a.nii", VALUES[:, :, 0].astype(np.int16)))
    assert source.shape == (5, 4, 1)
    write_volume(source, tmp_path / "b.nii", like=source)
    assert nib.load(tmp_path / "b.nii").shape == (5, 4)


def test_a_header_without_orientation_is_read_with_a_warning(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", VALUES.astype(np.int16), None)
    volume = read_volume(path)
    assert "guess" in volume.meta.warnings[0]
    assert np.array_equal(volume.affine, nib.load(path).affine)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((4, 4, 4, 6), np.int16), "holds 6 volumes"),
        (
            np.array([1.0, np.nan, np.inf, 2], np.float32).reshape(4, 1, 1),
            "2 of 4 voxels are NaN or infinite",
        ),
        (np.zeros((4, 4, 4), np.complex64), "complex"),
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colour"),
        (np.full((4, 4, 4), 1e300), "64 of 64 voxels are NaN or infinite"),
    ],
)
def test_what_is_not_one_grey_volume_is_refused(tmp_path: Path, values: Any, said: str) -> None:
    with pytest.raises(Unreadable, match=rf"a.nii: .*{said}"):
        read_volume(save(tmp_path / "a.nii", values))


@pytest.mark.parametrize(
    "header",
    [
        {"srow_x": [0, 0, 0, 0]},
        {"srow_x": [np.nan, 0, 0, 0]},
        {"sform_code": 0, "qform_code": 1, "quatern_b": 3},
        {"sform_code": 0, "qform_code": 1, "pixdim": [1, 0, 0, 0, 0, 0, 0, 0]},
    ],
)
def test_a_degenerate_geometry_is_refused(tmp_path: Path, header: Any) -> None:
    with pytest.raises(GeometryRefused, match=r"a.nii"):
        read_volume(falsify(save(tmp_path / "a.nii", VALUES.astype(np.int16)), header))


@pytest.mark.parametrize(
    "header",
    [
        {"dim": [3, 32000, 32000, 32000, 1, 1, 1, 1]},
        {"dim": [3, 900, 900, 900, 1, 1, 1, 1]},
        {"dim": [3, -5, 4, 3, 1, 1, 1, 1]},
        {"dim": [9, 5, 4, 3, 1, 1, 1, 1]},
        {"dim": [3, 5, 4, 0, 1, 1, 1, 1]},
        {"dim": [3, 50, 40, 30, 1, 1, 1, 1]},
        {"datatype": 77},
        {"vox_offset": 1e9},
        {"vox_offset": np.nan},
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_lying_header_is_refused_before_anything_is_allocated(
    tmp_path: Path, header: Any, suffix: str
) -> None:
    content = falsify(save(tmp_path / "plain.nii", VALUES.astype(np.int16)), header).read_bytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(Unreadable, match=r"a.nii"):
        read_volume(path)


def test_a_connectome_in_a_nifti_is_no_set_of_volumes(tmp_path: Path) -> None:
    image = nib.Nifti2Image(np.zeros((1, 1, 1, 1, 6, 7), np.float32), np.eye(4))
    image.header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE", name="ConnDense")
    image.to_filename(tmp_path / "a.nii")
    with pytest.raises(Unreadable, match="is CIFTI"):
        read_volume(tmp_path / "a.nii", volume=1)


def test_no_more_is_inflated_than_the_header_says(tmp_path: Path) -> None:
    plain = save(tmp_path / "plain.nii", VALUES.astype(np.int16)).read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(plain + bytes(2**27), compresslevel=1))
    tracemalloc.start()
    values = read_volume(tmp_path / "bomb.nii.gz").values
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(values, VALUES)
    assert peak < 2**24


def test_a_volume_is_read_and_written_within_its_own_size(tmp_path: Path) -> None:
    values = np.zeros((128, 128, 256), np.int16)
    save(tmp_path / "a.nii.gz", values)
    size = 4 * values.size
    tracemalloc.start()
    volume = read_volume(tmp_path / "a.nii.gz")
    _, reading = tracemalloc.get_traced_memory()
    halves = volume.with_values(volume.values + np.float32(0.5))
    tracemalloc.reset_peak()
    held, _ = tracemalloc.get_traced_memory()
    write_volume(halves, tmp_path / "b.nii.gz")
    _, writing = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reading < size + 2**24
    assert writing - held < size + 2**24


def test_a_flipped_bit_of_gzipped_voxels_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 99, (40, 40, 40), np.int16)
    content = bytearray(save(tmp_path / "a.nii.gz", noise).read_bytes())
    content[-8] ^= 1  # of the checksum (RFC 1952)
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(Unreadable, match=r"a.nii.gz: damaged file \(.*checksum"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "f4", "f8"])
def test_whole_numbers_keep_their_type_and_are_widened_before_they_are_changed(
    tmp_path: Path, dtype: str
) -> None:
    image = nib.Nifti1Image(VALUES.astype(dtype), OBLIQUE)
    image.to_filename(tmp_path / "a.nii")
    source = read_volume(tmp_path / "a.nii")
    for name, volume, kept in (
        ("same", source, dtype if dtype != "f8" else "f4"),
        ("half", source.with_values(source.values + 0.5), "f4"),
        ("huge", source.with_values(source.values * 2.0**33), "f4"),
    ):
        write_volume(volume, tmp_path / f"{name}.nii.gz", like=source)
        written = nib.load(tmp_path / f"{name}.nii.gz")
        assert written.get_data_dtype() == np.dtype(kept)
        assert np.array_equal(written.get_fdata(dtype=np.float32), volume.values)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    noise = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    for suffix in (".nii", ".nii.gz"):
        path = save(tmp_path / f"a{suffix}", noise)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(Unreadable, match=r"a.nii"):
            read_volume(path)


@pytest.mark.parametrize(
    "content", [b"", b"hello world\n" * 50, gzip.compress(b"hello" * 200, mtime=0), bytes(range(256)) * 3]
)
def test_what_only_is_named_like_nifti_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(Unreadable, match=r"a.nii.gz: (text|empty|no known)"):
        read_volume(tmp_path / "a.nii.gz")


def test_real_volumes_are_read_as_nibabel_reads_them(shared_data: Path) -> None:
    for path in sorted((shared_data / "nifti").glob("*.nii.gz")):
        volume, oracle = read_volume(path), nib.load(path)
        assert np.array_equal(volume.values, oracle.get_fdata(dtype=np.float32))
        assert np.array_equal(volume.affine, oracle.affine)


def test_the_digest_tells_values_and_places_apart(tmp_path: Path) -> None:
    shifted = OBLIQUE.copy()
    shifted[0, 3] += 0.5
    digests = [
        read_volume(save(tmp_path / f"{index}.nii", *content)).meta.digest
        for index, content in enumerate(
            [
                (VALUES.astype(np.int16), OBLIQUE),
                (VALUES.astype(np.int16), shifted),
                ((VALUES + (VALUES.max() == VALUES)).astype(np.int16), OBLIQUE),
                (VALUES.reshape(3, 4, 5).astype(np.int16), OBLIQUE),
            ]
        )
    ]
    assert all(first != second for first, second in pairwise(digests))
    assert (
        read_volume(save(tmp_path / "again.nii.gz", VALUES.astype(float), OBLIQUE)).meta.digest == digests[0]
    )
