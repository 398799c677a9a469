"""Key planes and the line to sign of a printed report."""

from __future__ import annotations

from reportlab.lib.colors import black, white
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable

from medtranslate.report.key_planes import KeyFigure
from medtranslate.report.pdf_layout import BOLD, INK, PLAIN, SOFT, WIDTH, embed_fonts, text
from medtranslate.runtime import one_line

HIGHEST = 96 * mm
"""Largest height of the figure, so that the first page also holds the verdict."""


class KeyPlanes(Flowable):
    """The key figure on black, with the names of rows and planes."""

    def __init__(self, figure: KeyFigure) -> None:
        super().__init__()
        embed_fonts()
        self.figure = figure
        self.scale = min(WIDTH / figure.width, HIGHEST / figure.height)
        self.width, self.height = WIDTH, figure.height * self.scale + 8

    def draw(self) -> None:
        pen, figure, scale = self.canv, self.figure, self.scale
        wide, high = figure.width * scale, figure.height * scale
        pen.translate((WIDTH - wide) / 2, 4)
        pen.setFillColor(black)
        pen.rect(0, 0, wide, high, stroke=0, fill=1)
        for plane in figure.planes:
            for picture in plane.pictures:
                place = picture.left * scale, high - (picture.top + picture.height) * scale
                pen.drawImage(
                    ImageReader(picture.image), *place, picture.width * scale, picture.height * scale
                )
                pen.setFillColor(white)
                pen.setFont(PLAIN, 6)
                pen.drawString(place[0] + 2, place[1] + picture.height * scale / 2, plane.left)
            top = plane.pictures[0]
            pen.drawRightString((top.left + top.width) * scale - 2, high - 8, plane.title)
        step = (high + 4 * scale) / len(figure.rows)
        pen.setFont(BOLD, 7)
        for index, row in enumerate(figure.rows):
            pen.drawString(2, high - (index + 1) * step + 4 * scale + 3, one_line(row))


class Signature(Flowable):
    """Space for a comment, and lines for name, date and signature."""

    def __init__(self) -> None:
        super().__init__()
        embed_fonts()
        self.width, self.height = WIDTH, 42 * mm

    def draw(self) -> None:
        pen, gap = self.canv, 6 * mm
        pen.setFont(BOLD, 8)
        pen.setFillColor(INK)
        pen.drawString(0, self.height - 8 * mm, "Reader’s comment")
        pen.setFont(PLAIN, 7)
        pen.setFillColor(SOFT)
        pen.setStrokeColor(SOFT)
        pen.setLineWidth(0.5)
        wide = (WIDTH - 2 * gap) / 3
        for index, words in enumerate(("Name", "Date", "Signature")):
            left = index * (wide + gap)
            pen.line(left, 5 * mm, left + wide, 5 * mm)
            pen.drawString(left, 1.5 * mm, words)


def key_planes(figure: KeyFigure | None) -> list[Flowable]:
    """Lay out the figure with its rule; nothing without one."""
    if figure is None:
        return []
    return [KeyPlanes(figure), *([text(figure.caption, "soft")] if figure.caption else [])]
