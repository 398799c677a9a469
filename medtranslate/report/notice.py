"""A PDF of one sentence, for a series that has no translation."""

from __future__ import annotations

from pathlib import Path

from reportlab.platypus import Spacer

from medtranslate import __version__
from medtranslate.report.pdf_layout import JUDGED, boxed, text, write_pages


def write_notice(title: str, sentence: str, path: Path) -> None:
    """Write a page with a title and a sentence; text from outside is printed unchanged."""
    maker = f"medtranslate {__version__}"
    story = [
        text("medtranslate", "kind"),
        text(title, "title"),
        Spacer(1, 4),
        boxed(JUDGED["doubtful"], text(sentence), fill=True),
    ]
    write_pages(story, path, title=title, subject=sentence, maker=maker)
