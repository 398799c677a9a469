"""Compressed data of any size, content and number of members, as gzip, zlib, isal and ITK write them."""

from __future__ import annotations

import gzip
import io
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from isal import igzip

from medtranslate.errors import Unreadable
from medtranslate.io import inflate, read_volume
from medtranslate.io.inflate import DAMAGE

CHUNKS = st.sampled_from([1, 2, 7, 64, 1000, 2**16])
STEPS = st.integers(1, 5000)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Bytes that compress well, badly or in parts, from none to some blocks of the inflater."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = draw(st.lists(st.tuples(st.sampled_from(["zeros", "noise", "ramp"]), st.integers(0, 12_000))))
    made = {
        "zeros": bytes,
        "noise": random.bytes,
        "ramp": lambda size: (np.arange(size) // 7 % 251).astype("u1").tobytes(),
    }
    return b"".join(made[kind](size) for kind, size in parts)


def compress(content: bytes, kind: str, level: int) -> bytes:
    if kind == "zlib":
        return zlib.compress(content, level)
    return gzip.compress(content, level) if kind == "gzip" else igzip.compress(content, min(level, 3))


def drain(file: Any, step: int) -> bytes:
    return b"".join(iter(lambda: file.read(step), b""))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=contents(),
    kind=st.sampled_from(["zlib", "gzip", "igzip"]),
    level=st.integers(1, 9),
    cuts=st.lists(st.floats(0, 1), max_size=3),
    zeros=st.integers(0, 3),
    chunk=CHUNKS,
    step=STEPS,
    data=st.data(),
)
def test_what_was_compressed_comes_back_and_what_is_cut_or_changed_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    content: Any,
    kind: Any,
    level: Any,
    cuts: Any,
    zeros: Any,
    chunk: Any,
    step: Any,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(inflate, "_CHUNK_BYTES", chunk)
    places = [0, *sorted(int(cut * len(content)) for cut in cuts), len(content)]
    members = [content] if kind == "zlib" else [content[start:end] for start, end in pairwise(places)]
    packed = b"".join(compress(member, kind, level) for member in members)
    assert drain(inflate.inflate(io.BytesIO(packed + bytes(zeros))), step) == content
    cut = data.draw(st.integers(len(packed) - len(compress(members[-1], kind, level)) + 1, len(packed) - 1))
    with pytest.raises(DAMAGE):
        drain(inflate.inflate(io.BytesIO(packed[:cut])), step)
    with pytest.raises(DAMAGE):
        drain(inflate.inflate(io.BytesIO(packed + b"\x01")), step)
    wrong = bytearray(packed)
    wrong[-1 if kind == "zlib" else -5] ^= 0x40  # of the checksum
    with pytest.raises(DAMAGE):
        drain(inflate.inflate(io.BytesIO(wrong)), step)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(*[st.integers(1, 45)] * 3),
    dtype=st.sampled_from(["u1", "i2", "u2", "f4", "f8"]),
    noise=st.sampled_from([0, 0, 3, 300]),
    seed=st.integers(0, 2**32 - 1),
    chunk=CHUNKS.filter(lambda size: size > 2),
)
def test_every_compressed_file_that_other_libraries_write_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Any, dtype: Any, noise: Any, seed: Any, chunk: Any
) -> None:
    """A smooth head in air, with noise or without: two in three such files end with output held back."""
    monkeypatch.setattr(inflate, "_CHUNK_BYTES", chunk)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    head = np.where(z**2 + y**2 + x**2 < 0.7, 100 + 60 * np.sin(9 * x) * np.cos(7 * y) + 20 * z, 0)
    random = np.random.default_rng(seed)
    values = (head + noise * random.normal(size=shape)).clip(0, 255).astype(dtype)
    image = SimpleITK.GetImageFromArray(values)
    for name in ("a.mha", "a.mhd", "a.nrrd", "a.nii.gz"):
        SimpleITK.WriteImage(image, str(tmp_path / name), True)
        found = read_volume(tmp_path / name).values.T
        assert np.array_equal(found, values.astype(np.float32))
    nib.MGHImage(values.T.astype(np.float32), np.eye(4)).to_filename(tmp_path / "a.mgz")
    assert np.array_equal(read_volume(tmp_path / "a.mgz").values.T, values.astype(np.float32))


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a.nii.gz", "a.mgz"])
def test_each_format_refuses_compressed_data_that_are_cut_or_followed(tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(0).integers(0, 9, (30, 31, 32)).astype(np.int16)
    path = tmp_path / name
    if name == "a.mgz":
        nib.MGHImage(values, np.eye(4)).to_filename(path)
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path), True)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:-9], whole[: len(whole) // 2], whole + b"more"):
        path.write_bytes(content)
        with pytest.raises(Unreadable, match=r"damaged file|truncated"):
            read_volume(path)


@pytest.mark.parametrize("members", [2, 9])
def test_several_members_are_read_in_each_format(tmp_path: Path, members: int) -> None:
    values = np.arange(5 * 6 * 7, dtype="<i2").reshape(7, 6, 5)
    plain = nib.Nifti1Image(values.T, np.eye(4)).to_bytes()
    head = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 5 6 7\nendian: little\nencoding: gzip\n\n"

    def split(content: bytes) -> bytes:
        edges = np.linspace(0, len(content), members + 1).astype(int).tolist()
        return b"".join(gzip.compress(content[start:end]) for start, end in pairwise(edges))

    (tmp_path / "a.nii.gz").write_bytes(split(plain))
    (tmp_path / "a.nrrd").write_bytes(head + split(values.tobytes()))
    for name in ("a.nii.gz", "a.nrrd"):
        assert np.array_equal(read_volume(tmp_path / name).values.T, values)
        assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / name))), values)
