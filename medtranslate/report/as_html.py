"""report.html: the result for people, as one page that needs no network."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from medtranslate.records import Cohort, Cycle, Evaluation
from medtranslate.report.case_page import case_page
from medtranslate.report.cohort_page import cohort_page
from medtranslate.report.pictures import Pictures

CASES = "cases"
"""Folder beside a cohort's page, with the pages of its cases."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def write(result: Evaluation | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/report.html`: slices to scroll through for one pair, distributions for many.

    A page of many links to the pages that `write_case` wrote into the same folder before. Every text from
    outside (names, warnings, a model's name) is escaped. The page runs its own script alone and loads
    nothing.

    Raises:
        InputRefused: result and pictures are not of the same volume.
    """
    if isinstance(result, Evaluation) or (isinstance(result, Cycle) and len(result.items) == 1):
        item = result if isinstance(result, Evaluation) else result.items[0]
        page = case_page(result, pictures.get(item.name))
    else:
        links = {
            item.name: quote(f"{CASES}/{place.name}")
            for item in result.items
            if (place := case_place(folder, item.name)).is_file()
        }
        page = cohort_page(result, pictures, links)
    (folder / "report.html").write_text(page, encoding="utf-8")


def write_case(result: Evaluation | Cycle, pictures: Pictures, folder: Path) -> None:
    """Write the page of one pair or round trip of many; the page of all links to it."""
    name = result.name if isinstance(result, Evaluation) else result.items[0].name
    place = case_place(folder, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(case_page(result, pictures, home="../report.html"), encoding="utf-8")


def case_place(folder: Path, name: str) -> Path:
    """Return the path of a case's page; a name that is no plain file name becomes its digest."""
    plain = name if _PLAIN.fullmatch(name) else hashlib.sha256(name.encode("utf-8")).hexdigest()[:16]
    return folder / CASES / f"{plain}.html"
