"""Series descriptions: terms of acquisitions pass, whatever could be a person does not."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtranslate.io import read_volume
from medtranslate.io.series_terms import plain_description


@pytest.mark.parametrize(
    "text",
    [
        "T1 MPRAGE sag iso 1mm",
        "t2_tse_tra_512",
        "Head 5.0 H31s",
        "SCHÄDEL nativ 3.0 mm",
        "AX FLAIR + C",
        "3D BRAVO post GD",
        "ep2d_diff_trace_p2_b1000",
        "Thin bone, axial",
    ],
)
def test_terms_pass(text: str) -> None:
    assert plain_description(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mustermann T1",
        "T1 for Dr. House",
        "T1 19830412",
        "head 04 12 1983",
        "ID 4711",
        "head^jane",
        "Max axial",
        "t1 1 2 3 4 5 6 7 8 9",
    ],
)
def test_what_could_be_a_person_does_not(text: str) -> None:
    assert plain_description(text) is None


@given(st.text(max_size=100))
def test_what_passes_is_one_short_line(text: str) -> None:
    found = plain_description(text)
    assert found is None or (found.isprintable() and 0 < len(found) <= 64)


def test_a_record_holds_the_description_of_its_series(series: Path) -> None:
    def describe(text: str) -> str | None:
        for path in series.iterdir():
            header = pydicom.dcmread(path)
            header.SeriesDescription = text
            header.save_as(path)
        return read_volume(series).source().description

    assert describe("T1 MPRAGE\tsag") == "T1 MPRAGE sag"
    assert describe("T1 of Jane Doe") is None
