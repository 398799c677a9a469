"""methods.md: the methods paragraph of an evaluation, to paste into a paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from medtranslate.records import Cohort, Cycle, Evaluation
from medtranslate.report.methods import methods
from medtranslate.report.pictures import Pictures

_MARKS = re.compile(r"[\\`*_\[\]<>&#|]")


def write(result: Evaluation | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/methods.md`: a paragraph, and its references. Signs of Markdown are escaped."""
    found = methods(result)
    references = "".join(f"{number}. {_plain(text)}\n" for number, text in enumerate(found.references, 1))
    (folder / "methods.md").write_text(f"{_plain(found.text)}\n\n{references}", encoding="utf-8")


def _plain(text: str) -> str:
    """Escape the signs that Markdown or HTML would interpret; names in a record come from anywhere."""
    return _MARKS.sub(r"\\\g<0>", text)
