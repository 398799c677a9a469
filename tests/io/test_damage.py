"""Whatever single byte of a file is wrong: a volume or one refusal, never a crash."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from medtranslate.errors import InputRefused
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.inventory import list_items


@pytest.mark.parametrize("suffix", ["", ".nii", ".nii.gz", ".mha", ".nrrd", ".mgz", ".png", ".jpg"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read(
    tmp_path: Path, make_volume: Callable[..., Volume], suffix: str, data: st.DataObject
) -> None:
    path = tmp_path / f"a{suffix}"
    if not path.exists():
        write_volume(make_volume("mr", (8, 6, 1)), path)
    whole = next(path.iterdir()) if path.is_dir() else path
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    with suppress(InputRefused):
        assert np.isfinite(read_volume(damaged).values).all()


def test_a_length_that_swallows_the_next_elements_is_refused(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    write_volume(make_volume("mr", (8, 6, 1)), tmp_path / "series")
    content = bytearray(next((tmp_path / "series").iterdir()).read_bytes())
    place = content.index(b"\x02\x00\x02\x00UI") + 6  # length of MediaStorageSOPClassUID
    content[place : place + 2] = (162).to_bytes(2, "little")
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(InputRefused, match="damaged"):
        read_volume(tmp_path / "damaged")


@pytest.mark.parametrize("value", [b"", b"1234"])
@pytest.mark.parametrize("keyword", ["AccessionNumber", "PatientSex", "PatientID", "FrameOfReferenceUID"])
def test_an_attribute_of_no_known_type_is_refused_or_left_out(
    tmp_path: Path, make_volume: Callable[..., Volume], keyword: str, value: bytes
) -> None:
    write_volume(make_volume("mr", (8, 6, 1)), tmp_path / "series")
    (path,) = (tmp_path / "series").glob("*.dcm")
    content, tag = path.read_bytes(), Tag(keyword)
    place = content.index(struct.pack("<HH", tag.group, tag.element) + dictionary_VR(tag).encode())
    length = int.from_bytes(content[place + 6 : place + 8], "little")
    damaged = b"LM" + struct.pack("<H", len(value)) + value
    path.write_bytes(content[: place + 4] + damaged + content[place + 8 + length :])
    (item,) = list_items(tmp_path / "series")
    if item.refused:
        with pytest.raises(InputRefused, match=re.escape(item.refused)):
            read_volume(tmp_path / "series")
        return
    volume = read_volume(tmp_path / "series")
    assert keyword in ("AccessionNumber", "PatientSex")
    assert (keyword in str(volume.meta.identity)) == bool(value)
