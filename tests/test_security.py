"""The limits that SECURITY.md states are those of the code; the forms for issues are well formed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from medtranslate.batch import bids_filter
from medtranslate.checkpoint import MAX_TEXT, MAX_WEIGHTS
from medtranslate.engines import mercure
from medtranslate.io import bounds, dicom_files, dicom_pixels, tables, text_header

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
MIB, GIB = 2**20, 2**30

LIMITS = {
    "volume (as float32), file of DICOM, content of a `.zip`": f"{bounds.MAX_BYTES / GIB:g} GiB",
    "picture": f"{bounds.MAX_PIXELS} pixels",
    "files in a `.zip`": f"{dicom_files.MAX_MEMBERS}",
    "inflated header of a deflated DICOM file": f"{dicom_files.HEADER_BYTES / MIB:g} MiB",
    "RLE-compressed frame of DICOM": f"{dicom_pixels.MAX_RLE_BYTES / MIB:g} MiB",
    "text header (MetaImage, NRRD)": f"{text_header.MAX_HEADER_BYTES / MIB:g} MiB",
    "CSV": f"{tables.MAX_TABLE_BYTES / MIB:g} MiB",
    "weights of a model": f"{MAX_WEIGHTS / GIB:g} GiB",
    "other files of a model": f"{MAX_TEXT / MIB:g} MiB",
    "BIDS filter file": f"{bids_filter.MAX_FILTER_BYTES / MIB:g} MiB",
    "`task.json` of mercure": f"{mercure.MAX_TASK_BYTES / MIB:g} MiB",
}


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    section = (ROOT / "SECURITY.md").read_text(encoding="utf-8").split("## Limits")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    assert dict(rows[2:]) == LIMITS


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_for_issues_has_what_github_requires(form: Path) -> None:
    """GitHub's syntax for issue forms: top keys, types, and ids that are unique."""
    told = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= {*told} <= {"name", "description", "labels", "body"}
    fields = [field for field in told["body"] if field["type"] != "markdown"]
    assert fields
    ids = [field["id"] for field in fields]
    assert len(ids) == len({*ids})
    for field in told["body"]:
        assert {*field} <= {"type", "id", "attributes", "validations"}
        assert field["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        assert "value" in field["attributes"] or field["attributes"]["label"]
