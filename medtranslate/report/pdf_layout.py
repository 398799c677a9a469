"""Layout of a printed report with ReportLab: A4 pages, type, tables.

Lengths are points (1/72 inch). Text is printed unchanged: markup is escaped, and control characters are spelt
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from medtranslate.report.wording import CAUTION
from medtranslate.runtime import one_line

MARGIN = 17 * mm
WIDTH = A4[0] - 2 * MARGIN
"""Width of the text."""
INK, SOFT, LINE, ACCENT = (HexColor(code) for code in ("#1f2629", "#566166", "#d5dad8", "#1f6f78"))
WORST = HexColor("#b03a2e")
JUDGED = {
    "good": HexColor("#2c7a4b"),
    "fair": HexColor("#6f6410"),
    "poor": WORST,
    "doubtful": HexColor("#b45309"),
}
"""Colour of a verdict, by its kind."""
TINT = HexColor("#fff4e5")
"""Background of doubts."""
PLAIN, BOLD = "DejaVuSans", "DejaVuSans-Bold"


def _styles() -> dict[str, ParagraphStyle]:
    body = ParagraphStyle("body", fontName=PLAIN, fontSize=8.6, leading=12.4, textColor=INK, spaceAfter=4)
    return {
        "body": body,
        "title": ParagraphStyle("title", body, fontName=BOLD, fontSize=17, leading=21, spaceAfter=3),
        "heading": ParagraphStyle(
            "heading", body, fontName=BOLD, fontSize=11, leading=14, spaceBefore=12, keepWithNext=1
        ),
        "verdict": ParagraphStyle("verdict", body, fontName=BOLD, fontSize=12, leading=16),
        "doubtful": ParagraphStyle(
            "doubtful", body, fontName=BOLD, fontSize=12, leading=16, textColor=JUDGED["doubtful"]
        ),
        "strong": ParagraphStyle("strong", body, fontName=BOLD, spaceAfter=0),
        "cell": ParagraphStyle("cell", body, spaceAfter=0),
        "number": ParagraphStyle("number", body, spaceAfter=0, alignment=TA_RIGHT),
        "strong number": ParagraphStyle(
            "strong number", body, fontName=BOLD, spaceAfter=0, alignment=TA_RIGHT
        ),
        "soft": ParagraphStyle("soft", body, fontSize=7.4, leading=10, textColor=SOFT, spaceAfter=0),
        "kind": ParagraphStyle("kind", body, fontSize=7.6, textColor=ACCENT, spaceAfter=1),
        "point": ParagraphStyle(
            "point", body, leftIndent=10, bulletFontName=PLAIN, bulletFontSize=8, spaceAfter=2
        ),
    }


STYLES = _styles()


@cache
def embed_fonts() -> None:
    """Embed DejaVu Sans, which comes with matplotlib, so that all readers show the same page."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))


def text(words: str, style: str = "body") -> Paragraph:
    """Make a paragraph of plain text."""
    embed_fonts()
    return Paragraph(escape(one_line(words)), STYLES[style])


def points(lines: Sequence[str]) -> list[Flowable]:
    """Make a paragraph with a bullet for each line."""
    embed_fonts()
    return [Paragraph(escape(one_line(line)), STYLES["point"], bulletText="•") for line in lines]


def labelled(words: str, note: str = "", style: str = "cell") -> list[Paragraph]:
    """Make a cell of a table: words, and a note under them."""
    return [text(words, style), *([text(note, "soft")] if note else [])]


def section(title: str, *parts: Flowable, room: float = 60) -> list[Flowable]:
    """Put a heading over parts; it starts a page if less than `room` is left."""
    return [CondPageBreak(room + 30), text(title, "heading"), *parts]


def table(
    head: Sequence[str], rows: Sequence[tuple[str, str, Sequence[str]]], *, own: bool = False
) -> Flowable:
    """Make a table with rows of (name, note, numbers); `own` sets the first row in bold.

    The table may break between rows, and repeats its head on the next page.
    """
    embed_fonts()
    first = WIDTH * max(0.34, 1 - 0.18 * (len(head) - 1))
    rest = (WIDTH - first) / max(1, len(head) - 1)
    cells: list[list[Any]] = [[text(head[0], "strong"), *(text(word, "strong number") for word in head[1:])]]
    for index, (name, note, numbers) in enumerate(rows):
        first_style, style = ("strong", "strong number") if own and index == 0 else ("cell", "number")
        cells.append([labelled(name, note, first_style), *(text(number, style) for number in numbers)])
    lines = [
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, SOFT),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
    ]
    return _grid(cells, [first, *[rest] * (len(head) - 1)], (3, 3, 2.6, 3), lines, repeatRows=1)


def facts(pairs: Sequence[tuple[str, str]]) -> Flowable:
    """Make a table of terms and their values, which may break between rows."""
    rows = [[text(term, "soft"), text(meaning, "soft")] for term, meaning in pairs]
    return _grid(rows, [WIDTH * 0.22, WIDTH * 0.78], (0, 8, 1.2, 1.2))


def boxed(colour: Color, *parts: Flowable, fill: bool = False) -> Flowable:
    """Put a thick coloured line beside parts; `fill` adds a frame of that colour and a tint."""
    lines: list[tuple[Any, ...]] = [
        ("BOX", (0, 0), (-1, -1), 1 if fill else 0.5, colour if fill else LINE),
        ("LINEBEFORE", (0, 0), (0, -1), 4, colour),
        *([("BACKGROUND", (0, 0), (-1, -1), TINT)] if fill else []),
    ]
    return _grid([[list(parts)]], [WIDTH], (12, 8, 7, 6), lines)


def side_by_side(parts: Sequence[Flowable]) -> Flowable:
    """Lay out parts in two columns of equal width."""
    rows = [[*parts[k : k + 2], *([""] * (2 - len(parts[k : k + 2])))] for k in range(0, len(parts), 2)]
    return _grid(rows, [WIDTH / 2] * 2, (0, 0, 3, 3))


def _grid(
    rows: Sequence[list[Any]],
    widths: Sequence[float],
    padding: tuple[float, float, float, float],
    lines: Sequence[tuple[Any, ...]] = (),
    **more: Any,
) -> Flowable:
    """Lay out cells in columns, with padding left, right, above and below each."""
    sides = zip(("LEFT", "RIGHT", "TOP", "BOTTOM"), padding, strict=True)
    style = [
        ("FONTNAME", (0, 0), (-1, -1), PLAIN),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        *((f"{side}PADDING", (0, 0), (-1, -1), size) for side, size in sides),
        *lines,
    ]
    return Table(rows, colWidths=widths, style=style, hAlign="LEFT", **more)


class _Numbered(Canvas):
    """Canvas whose page numbers include the total."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **{**named, "initialFontName": PLAIN})
        self.pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802  # the name is ReportLab's
        self.pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]  # missing in the stubs

    def save(self) -> None:
        for number, page in enumerate(self.pages, start=1):
            self.__dict__.update(page)
            self.setFont(PLAIN, 7)
            self.setFillColor(SOFT)
            self.drawString(MARGIN, 10 * mm, CAUTION)
            self.drawRightString(A4[0] - MARGIN, 10 * mm, f"{number} / {len(self.pages)}")
            super().showPage()
        super().save()


def write_pages(story: Sequence[Flowable], path: Path, *, title: str, subject: str, maker: str) -> None:
    """Write the parts one after the other on numbered A4 pages, with the caution at each foot.

    Equal parts give equal bytes: the file contains no date and no name of a machine.
    """
    embed_fonts()
    document = BaseDocTemplate(
        str(path),
        pagesize=A4,
        title=one_line(title),
        subject=one_line(subject),
        author=maker,
        creator=maker,
        producer="ReportLab",
        lang="en-GB",
        displayDocTitle=True,
        invariant=1,
        pageCompression=1,
    )
    frame = Frame(MARGIN, 17 * mm, WIDTH, A4[1] - 31 * mm, 0, 0, 0, 0)
    document.addPageTemplates([PageTemplate("page", [frame])])
    document.build([*story, Spacer(1, 1)], canvasmaker=_Numbered)
