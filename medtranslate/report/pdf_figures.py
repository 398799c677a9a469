"""Curves, histograms and strips of pictures of a printed report; `pdf_layout` lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image
from reportlab.lib.colors import Color, HexColor, black, white
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.platypus import Flowable

from medtranslate.records import Histograms
from medtranslate.report.charts import draw_histograms
from medtranslate.report.drawing import Curve
from medtranslate.report.pdf_layout import ACCENT, BOLD, INK, LINE, PLAIN, SOFT, WIDTH, WORST, embed_fonts
from medtranslate.runtime import one_line

COLOURS = (ACCENT, HexColor("#a8590f"))
"""Colours of the lines of a chart, in order."""


@dataclass(frozen=True)
class Axes:
    """Axes of a chart, in a box of `width` x `height` with y downward; ticks as in `Curve`."""

    label: str
    width: float
    height: float
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]


class Chart(Flowable):
    """Lines over axes, as vectors.

    Args:
        title: above it.
        axes: under it.
        lines: by name, points `x,y x,y ...` in the box of the axes. Several get a legend.
        dot: the point to mark.
    """

    def __init__(
        self, title: str, axes: Axes, lines: Mapping[str, str], dot: tuple[float, float] | None = None
    ) -> None:
        super().__init__()
        embed_fonts()
        self.title, self.axes, self.lines, self.dot = one_line(title), axes, lines, dot
        self.left, self.under, self.over = 34.0, 32.0, 20.0
        self.width = WIDTH / 2 - 6
        self.scale = (self.width - self.left - 8) / axes.width
        self.height = axes.height * self.scale + self.under + self.over

    def draw(self) -> None:
        pen, axes, scale = self.canv, self.axes, self.scale
        pen.setFont(BOLD, min(8.0, 8 * self.width / pdfmetrics.stringWidth(self.title, BOLD, 8)))
        pen.setFillColor(INK)
        pen.drawString(0, self.height - 9, self.title)
        self._legend()
        pen.translate(self.left, self.under)
        pen.setFont(PLAIN, 6.8)
        pen.setFillColor(SOFT)
        pen.setStrokeColor(LINE)
        pen.setLineWidth(0.5)
        for down, words in axes.y_ticks:
            y = (axes.height - down) * scale
            pen.line(0, y, axes.width * scale, y)
            pen.drawRightString(-5, y - 2.4, words)
        for x, words in axes.x_ticks:
            pen.drawCentredString(x * scale, -11, words)
            pen.line(x * scale, 0, x * scale, -3)
        pen.drawCentredString(axes.width * scale / 2, -22, one_line(axes.label))
        pen.setLineWidth(1.1)
        pen.setLineJoin(1)
        for points, colour in zip(self.lines.values(), COLOURS, strict=False):
            self._line(points, colour)
        if self.dot:
            pen.setFillColor(WORST)
            pen.circle(self.dot[0] * scale, (axes.height - self.dot[1]) * scale, 2.4, stroke=0, fill=1)

    def _line(self, points: str, colour: Color) -> None:
        path = self.canv.beginPath()
        for index, point in enumerate(points.split()):
            x, down = map(float, point.split(","))
            (path.lineTo if index else path.moveTo)(x * self.scale, (self.axes.height - down) * self.scale)
        self.canv.setStrokeColor(colour)
        self.canv.drawPath(path)

    def _legend(self) -> None:
        """Write the names of several lines, each in its colour, on the right of the title."""
        pen, x = self.canv, self.width - 8
        pen.setFont(PLAIN, 6.8)
        for name, colour in reversed(list(zip(self.lines, COLOURS, strict=False))):
            if len(self.lines) > 1:
                pen.setFillColor(colour)
                pen.drawRightString(x, self.height - 9, one_line(name))
                x -= pdfmetrics.stringWidth(one_line(name), PLAIN, 6.8) + 8


def curve_chart(title: str, label: str, curve: Curve) -> Chart:
    """Draw a score per slice, and mark the worst."""
    axes = Axes(label, curve.width, curve.height, curve.x_ticks, curve.y_ticks)
    return Chart(title, axes, {"": curve.points}, curve.worst)


def histogram_chart(histograms: Histograms, names: Mapping[str, str], unit: str) -> Chart:
    """Draw the histograms of the page."""
    drawn = draw_histograms(histograms, names)
    label = f"{unit}; the end bins hold the values beyond"
    axes = Axes(label, drawn.width, drawn.height, drawn.x_ticks, [(drawn.height, "0")])
    return Chart("Histograms", axes, drawn.outlines)


@dataclass(frozen=True)
class Shot:
    """A picture of a plane.

    Attributes:
        width_mm: width of the plane; None if unknown.
        left: side of the patient at its left edge.
    """

    image: Image.Image
    width_mm: float | None = None
    left: str = "R"


class Strip(Flowable):
    """Pictures of one plane side by side on black, with a scale bar and a mark of the left side."""

    def __init__(self, caption: str, shots: Sequence[Shot], highest: float) -> None:
        super().__init__()
        embed_fonts()
        self.caption, self.shots, self.gap = one_line(caption), shots, 4.0
        sides = [shot.image.height / shot.image.width for shot in shots]
        self.each = min((WIDTH - self.gap * (len(shots) + 1)) / len(shots), (highest - 22) / max(sides))
        self.tall = self.each * max(sides)
        self.width, self.height = WIDTH, self.tall + 2 * self.gap + 22

    def draw(self) -> None:
        pen, gap = self.canv, self.gap
        pen.setFillColor(INK)
        pen.setFont(PLAIN, 8)
        pen.drawString(0, self.height - 10, self.caption)
        pen.setFillColor(black)
        pen.rect(0, 6, WIDTH, self.tall + 2 * gap, stroke=0, fill=1)
        cell = (WIDTH - gap) / len(self.shots)
        for index, shot in enumerate(self.shots):
            high = self.each * shot.image.height / shot.image.width
            x = gap / 2 + index * cell + (cell - self.each) / 2
            y = 6 + gap + (self.tall - high) / 2
            pen.drawImage(ImageReader(shot.image), x, y, self.each, high)
            if index == 0 and shot.width_mm:
                self._mark(x, y, high, shot.width_mm, shot.left)

    def _mark(self, x: float, y: float, high: float, width_mm: float, left: str) -> None:
        """Draw a bar of a round length in mm, and name the side of the patient at the left edge."""
        pen = self.canv
        length = next((mark for mark in (50, 20, 10, 5, 2) if mark <= width_mm / 2.5), 1)
        pen.setStrokeColor(white)
        pen.setFillColor(white)
        pen.setLineWidth(1.2)
        pen.line(x + 3, y + 4, x + 3 + length / width_mm * self.each, y + 4)
        pen.setFont(PLAIN, 6)
        pen.drawString(x + 3, y + 7, f"{length} mm")
        pen.drawString(x + 2, y + high / 2 - 2, left)


class Scale(Flowable):
    """Scale of a map: its colours from zero to the end, with numbers."""

    def __init__(self, limit: float, unit: str, colours: Sequence[str], what: str) -> None:
        super().__init__()
        embed_fonts()
        self.limit, self.unit, self.colours, self.what = limit, one_line(unit), colours, one_line(what)
        self.width, self.height = WIDTH, 24

    def draw(self) -> None:
        pen, wide = self.canv, 150.0
        pen.translate(WIDTH - wide, 0)
        stops = [HexColor(colour) for colour in self.colours]
        pen.saveState()
        clip = pen.beginPath()
        clip.rect(0, 12, wide, 8)
        pen.clipPath(clip, stroke=0)
        pen.linearGradient(0, 0, wide, 0, stops)
        pen.restoreState()
        pen.setFont(PLAIN, 6.8)
        pen.setFillColor(SOFT)
        pen.drawString(0, 3, "0")
        pen.drawCentredString(wide / 2, 3, f"{self.limit / 2:.3g}")
        pen.drawRightString(wide, 3, f"≥ {self.limit:.3g}")
        pen.drawRightString(-8, 13, f"{self.what}, {self.unit}" if self.unit else self.what)
