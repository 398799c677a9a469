from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.freesurfer.mghformat import header_dtd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.io import read_volume, write_volume
from medtranslate.io.inventory import list_items

VALUES = np.random.default_rng(0).integers(0, 100, (5, 4, 3))
POSE = nib.affines.from_matvec(
    Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix() * [1, 2, 3], [4, 5, 6]
)


def save(path: Path, values: NDArray[Any] = VALUES, dtype: str = "i2", **fields: object) -> Path:
    """A file that nibabel writes, with some fields of its header changed."""
    content = nib.MGHImage(values.astype(dtype), POSE).to_bytes()
    header = np.frombuffer(content[: np.dtype(header_dtd).itemsize], header_dtd).copy()
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.tobytes() + content[header.nbytes :])
    return path


def nibabel_reads(path: Path) -> Any:
    """nibabel's image of a file, which it would not close by itself."""
    content = path.read_bytes()
    return nib.MGHImage.from_bytes(gzip.decompress(content) if path.suffix == ".mgz" else content)


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4"])
def test_every_number_type_is_read_as_nibabel_reads_it(tmp_path: Path, dtype: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    nib.MGHImage(VALUES.astype(dtype), POSE).to_filename(path)
    volume, oracle = read_volume(path), nibabel_reads(path)
    assert np.array_equal(volume.values, oracle.get_fdata(dtype=np.float32))
    assert np.allclose(volume.affine, oracle.affine, atol=1e-5)
    assert (volume.meta.stored, volume.meta.warnings) == (np.dtype(dtype).name, ())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    sizes=st.tuples(*[st.floats(0.1, 9)] * 3),
    mirrored=st.booleans(),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    dtype=st.sampled_from(["u1", "i1", "i2", "u2", "i4", "f4"]),
)
def test_nibabel_reads_what_is_written(
    tmp_path: Path, angles: Any, sizes: Any, mirrored: Any, shape: Any, dtype: Any
) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * sizes
    affine = nib.affines.from_matvec(turn * ([-1, 1, 1] if mirrored else 1), [40, -50, 60])
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    nib.Nifti1Image(values, affine).to_filename(tmp_path / "a.nii")
    source = read_volume(tmp_path / "a.nii")
    for name in ("b.mgh", "b.mgz"):
        write_volume(source, tmp_path / name, overwrite=True)
        image = nibabel_reads(tmp_path / name)
        assert np.array_equal(image.get_fdata(dtype=np.float32), values)
        assert np.allclose(image.affine, affine, atol=1e-4)
        again = read_volume(tmp_path / name)
        assert np.array_equal(again.values, source.values)
        assert np.allclose(again.affine, source.affine, atol=1e-4)


def test_one_of_several_frames_is_taken(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 99, (5, 4, 3, 6))
    path = save(tmp_path / "a.mgh", frames)
    with pytest.raises(Unreadable, match=r"holds 6 volumes; take one with --volume N"):
        read_volume(path)
    assert np.array_equal(read_volume(path, volume=5).values, frames[..., 4])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dims": [0, 4, 3, 1]}, "holds no voxels"),
        ({"dims": [5, 4, 3, 0]}, "holds 0 volumes"),
        ({"dims": [900, 900, 900, 1]}, "more than the bound"),
        ({"dims": [50, 40, 30, 1]}, "of 120284 bytes of voxels"),
        ({"dims": [-5, 4, 3, 1]}, "no known image format"),
        ({"version": 2}, "no known image format"),
        ({"type": 7}, "unknown type 7"),
        ({"goodRASFlag": 0}, "has no geometry"),
        ({"delta": [1, -1, 1]}, "sizes are above 0"),
        ({"delta": [1, np.nan, 1]}, "sizes are above 0"),
        ({"Mdc": np.eye(3) * 2}, "lengths 1"),
        ({"Mdc": [[1, 0, 0], [1, 0, 0], [0, 0, 1]]}, "axes in one plane"),
        ({"Pxyz_c": [np.inf, 0, 0]}, "not a finite 4 x 4 matrix"),
    ],
)
def test_a_lying_header_is_refused(tmp_path: Path, fields: Any, said: str) -> None:
    path = save(tmp_path / "a.mgh", **fields)
    with pytest.raises((Unreadable, GeometryRefused), match=rf"a.mgh: .*{said}") as refusal:
        read_volume(path)
    assert list_items(path)[0].refused == str(refusal.value)
