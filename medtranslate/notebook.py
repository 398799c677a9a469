"""Images with sliders, in a notebook or a file: the report's own pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from medtranslate.api import Image, scored_volumes
from medtranslate.evaluation import ScoringRules
from medtranslate.evaluation.alignment import align
from medtranslate.evaluation.pair import compare
from medtranslate.evaluation.shown import shown_of
from medtranslate.report.case_page import case_page
from medtranslate.report.translation_page import translation_page
from medtranslate.runtime import whole_output
from medtranslate.translation import Translated

HEIGHT = 900
"""Pixels of the frame in a notebook."""
_TO_THE_IMAGES = (
    "const page = this.contentDocument;"
    " page.scrollingElement.scrollTop = page.getElementById('viewer')?.offsetTop ?? 0"
)


@dataclass(frozen=True)
class View:
    """A page that scrolls through slices in three planes; notebooks show it from the images on.

    Attributes:
        page: HTML that needs no other file and no network.
    """

    page: str

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the page.

        Raises:
            OutputExists: the file is there and `overwrite` is not set.
        """
        with whole_output(Path(path), overwrite=overwrite, folder=False) as fresh:
            fresh.write_text(self.page, encoding="utf-8")
        return Path(path)

    def _repr_html_(self) -> str:
        page = escape(self.page, quote=True)
        size = f'width="100%" height="{HEIGHT}" style="border:0"'
        return f'<iframe srcdoc="{page}" onload="{_TO_THE_IMAGES}" {size}></iframe>'


def view(made: Translated | Image, reference: Image | None = None, **roles: Any) -> View:
    """Show a translation beside its source or, with a reference, a pair with its errors and scores.

    Args:
        made: what `translate` gave; with a reference any prediction that `read` takes.
        reference: the truth, on the same grid.
        roles: `source`, `mask`, `uncertainty` and `modality`, as of `score`.

    Raises:
        InputRefused: an image can't be read, or the two do not compare.
        TypeError: there is neither a translation nor a reference.
    """
    if reference is None:
        if not isinstance(made, Translated):
            raise TypeError("view: give what `translate` returned, or a prediction and its reference")
        return View(translation_page(made.record, made.source.name, shown_of(made)))
    volumes, record = scored_volumes(made, reference, **roles)
    result, pictures = compare(
        align(volumes), ScoringRules(), translation=record, name=volumes["prediction"].name
    )
    return View(case_page(result, pictures))
