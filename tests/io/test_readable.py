"""What `info` calls readable, `convert` reads, and what it refuses is refused with that sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtranslate.errors import MedtranslateError
from medtranslate.io import read_volume
from medtranslate.io.inventory import list_items

VALUES = np.arange(60, dtype="<i2").reshape(3, 4, 5)
VOXELS = ("truncated, ", "damaged file", "voxels are NaN or infinite", "holds more voxels")
"""Faults that only the voxels show."""


def verdict(path, volume=None):
    """What reading gives, which has to be what `info` says: the volume, or None where it is refused."""
    (item,) = list_items(path, volume)
    found, said = None, ""
    try:
        found = read_volume(path, volume=volume)
    except MedtranslateError as refusal:
        said = str(refusal)
    if not item.refused and any(words in said for words in VOXELS):
        return None
    assert item.refused == said
    assert "\n" not in said
    if found is None:
        return None
    assert item.size == found.shape
    assert item.warnings == tuple(
        warning for warning in found.meta.warnings if not warning.startswith("no right angles")
    )
    assert np.isfinite(found.values).all()
    return found


def one_of(*texts):
    return st.sampled_from(texts)


def some(**fields):
    """A header: of some fields the usual text mostly, of some none, of some another."""
    return st.fixed_dictionaries(
        {name: st.just(texts[0]) | one_of(*texts) for name, texts in fields.items()}
    ).map(lambda chosen: {name: text for name, text in chosen.items() if text is not None})


NRRD = some(
    **{
        "type": ("short", "int16", "uchar", "float", "double", "block", "signed short int"),
        "dimension": ("3", "3", "4", "2"),
        "space": (None, "LPS", "RAS", "left-anterior-superior", "scanner-xyz", "3D-right-handed", "LPST"),
        "sizes": ("5 4 3", "5 4 3 1", "1 5 4 3", "5 4 0", "5 4", "5 4 3 2", "5000 4000 3000"),
        "space directions": (
            *(None, "(1,0,0) (0,2,0) (0,0,3)", "(1, 0, 0) (0, 2, 0.5) (0, 0, 3)", "(1,0,0) (0,2,0) none"),
            *("(1,0,0) (0,2,0) (0,0,3) none", "none (1,0,0) (0,2,0) (0,0,3)", "(0,0,0) (0,2,0) (0,0,3)"),
        ),
        "space origin": (None, "(1,2,3)", "(1,2)", "(nan,0,0)"),
        "spacings": (None, "1 2 3", "1 2 3 nan", "nan 1 2 3", "0 1 1", "-1 1 1", "x"),
        "axis mins": (None, "1 2 3", "1 2 3 nan", "nan nan nan"),
        "axis maxs": (None, "6 7 8", "6 7 8 nan", "1 2 3"),
        "centerings": (
            None,
            "cell cell cell",
            "node node node",
            "cell cell cell none",
            "??? node cell",
            "x x",
        ),
        "kinds": (None, "domain domain domain", "domain domain domain list", "vector domain domain domain"),
        "units": (None, '"mm" "mm" "mm"', '"m" "m" "m"'),
        "endian": ("little", "big", None),
        "encoding": ("raw", "gzip", "ascii", "bz2", None),
        "byte skip": (None, "0", "-1", "4", "-3", "1e9", "99999999999"),
        "line skip": (None, "0", "1"),
    }
)
MHA = some(
    **{
        "ObjectType": ("Image", "Mesh"),
        "NDims": ("3", "3", "4", "2"),
        "BinaryData": (None, "True", "False", "perhaps"),
        "BinaryDataByteOrderMSB": (None, "False", "True"),
        "ElementByteOrderMSB": (None, "False", "True"),
        "CompressedData": (None, "False", "True"),
        "TransformMatrix": (None, "1 0 0 0 1 0 0 0 1", "1 0 0 0 .8 .6 0 0 1", "2 0 0 0 1 0 0 0 1", "1 0 0"),
        "Offset": (None, "1 2 3", "1 2 3 4", "1 2"),
        "Position": (None, "1 2 3", "4 5 6"),
        "ElementSpacing": (None, "1 2 3", "1 2 3 1", "0 1 1", "1 -1 1"),
        "ElementSize": (None, "1 2 3"),
        "DimSize": ("5 4 3", "5 4 3 1", "5 4 3 2", "5 4", "5 4 0", "9999 9999 9999"),
        "HeaderSize": (None, "0", "-1", "4", "-7"),
        "Comment": (None, "words", "= : ="),
        "ElementToIntensityFunctionSlope": (None, "1", "2"),
        "ElementNumberOfChannels": (None, "1", "3"),
        "ElementType": ("MET_SHORT", "MET_UCHAR", "MET_DOUBLE", "MET_STRING"),
        "ElementDataFile": (
            "LOCAL",
            "local",
            "LIST",
            "a%02d.raw 1 3 1",
            "gone.raw",
            "there.raw",
            "../there.raw",
        ),
    }
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=NRRD, packed=st.booleans(), size=st.sampled_from([120, 60, 240, 480, 124]))
def test_any_nrrd_is_read_as_info_says(tmp_path: Path, fields: Any, packed: Any, size: Any) -> None:
    head = "NRRD0004\n# comment\nkey:=value\n" + "".join(f"{k}: {v}\n" for k, v in fields.items()) + "\n"
    body = (VALUES.tobytes() * 8)[:size]
    gzipped = zlib.compressobj(wbits=31)
    body = gzipped.compress(body) + gzipped.flush() if packed else body
    (tmp_path / "a.nrrd").write_bytes(head.encode() + body)
    verdict(tmp_path / "a.nrrd")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=MHA, packed=st.booleans(), size=st.sampled_from([120, 60, 240, 480, 124]), blank=st.booleans())
def test_any_metaimage_is_read_as_info_says(
    tmp_path: Path, fields: Any, packed: Any, size: Any, blank: Any
) -> None:
    last = fields.pop("ElementDataFile")
    lines = [f"{name} = {text}" for name, text in {**fields, "ElementDataFile": last}.items()]
    body = (VALUES.tobytes() * 8)[:size]
    body = zlib.compress(body) if packed else body
    (tmp_path / "there.raw").write_bytes(body)
    head = ("\n\n" if blank else "\n").join(lines) + "\n"
    (tmp_path / "a.mha").write_bytes(head.encode() + body)
    verdict(tmp_path / "a.mha")


INTEGERS = [0, 1, 2, -1, 3, 7, 255, 256, 1000, 32767, -32768, 2**31 - 1, -(2**31)]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    1e-30,
    1e30,
    3.4e38,
    -3.4e38,
    np.nan,
    np.inf,
    -np.inf,
    348.0,
    352.0,
    353.0,
]


def binary_files():
    """The plain bytes of a NIfTI-1, a NIfTI-2 and an MGH in both forms, and where their fields begin."""
    affine = np.array([[-0.9, 0, 0, 20], [0, 0.95, 0.1, -30], [0, 0, 3, -15], [0, 0, 0, 1.0]])
    for kind, name in ((nib.Nifti1Image, "a.nii"), (nib.Nifti2Image, "b.nii")):
        image = kind(VALUES.T.astype("<i2"), affine)
        image.set_qform(affine, 1)
        yield name, image.to_bytes(), image.header.sizeof_hdr
    yield "c.mgh", nib.MGHImage(VALUES.T.astype(">i2"), affine).to_bytes(), 90


def damage(content, header, random):
    """A header with some of its bytes, numbers or lines changed."""
    content = bytearray(content)
    for _ in range(random.integers(1, 5)):
        place, kind = int(random.integers(header)), random.integers(7)
        if kind == 0:
            content[place] ^= 1 << random.integers(8)
        elif kind == 1:
            content[place] = random.integers(256)
        elif kind == 2:
            content[place : place + random.integers(4)] = random.bytes(random.integers(4))
        elif kind == 3:
            text = random.choice(list("0123456789.-+eE nXx=:()\n"), random.integers(1, 5))
            content[place : place + len(text)] = "".join(text).encode()
        elif kind == 4 and b"\n" in content[:header]:
            lines = bytes(content[:header]).split(b"\n")
            first, second = random.integers(len(lines), size=2)
            lines[first : first + random.integers(2)] = [lines[second]]
            content[:header] = b"\n".join(lines)
        else:
            form = random.choice(["<h", ">h", "<i", ">i", "<f", ">f", "<d"])
            pool = FLOATS if form[1] in "fd" else [n for n in INTEGERS if form[1] == "i" or abs(n) < 2**15]
            place -= place % 2
            if place + 8 <= len(content):
                struct.pack_into(form, content, place, random.choice(pool))
        header = min(header, len(content))
    return bytes(content)


def text_files():
    head = (
        b"NRRD0004\n# comment\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 5 4 3\n"
        b"space directions: (1,0,0) (0,2,0.1) (0,0,3)\nkinds: domain domain domain\nendian: little\n"
        b"encoding: raw\nspace origin: (4,5,6)\n\n"
    )
    yield "a.nrrd", head + VALUES.tobytes(), len(head)
    head = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 5 4 3\nspacings: 1 2 3\naxis mins: 4 5 6\n"
    head += b"byte skip: -1\ncenterings: cell node cell\nendian: little\nencoding: raw\n\n"
    yield "b.nrrd", head + VALUES.tobytes(), len(head)
    head = (
        b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        b"CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 4 5 6\n"
        b"ElementSpacing = 1 2 3\nDimSize = 5 4 3\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    yield "c.mha", head + VALUES.tobytes(), len(head)
    head = head.replace(b"NDims = 3", b"NDims = 4").replace(b"DimSize = 5 4 3", b"DimSize = 5 4 3 1")
    head = head.replace(b"Offset = 4 5 6", b"Offset = 4 5 6 0").replace(b"1 2 3\n", b"1 2 3 1\n")
    head = head.replace(b"1 0 0 0 1 0 0 0 1", b"1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")
    yield "d.mha", head + VALUES.tobytes(), len(head)


FILES = {name: (content, header) for name, content, header in (*binary_files(), *text_files())}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("count", [150, pytest.param(1_500, marks=pytest.mark.slow)])
def test_damaged_headers_are_read_or_refused_in_one_line(tmp_path: Path, name: str, count: int) -> None:
    content, header = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert verdict(tmp_path / name) is not None
    random, refused = np.random.default_rng(count), 0
    for _ in range(count):
        (tmp_path / name).write_bytes(damage(content, header, random))
        refused += verdict(tmp_path / name) is None
    assert 0 < refused < count
