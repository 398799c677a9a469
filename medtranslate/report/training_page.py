"""Page of a training run, written again and again while it lasts: curves, signs of failure, pictures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medtranslate.report.drawing import round_ticks
from medtranslate.report.page import render

WIDTH, HEIGHT = 420, 130
ROWS = "medtranslate rows"
"""Key of the PNG text that describes where the rows of a sheet of pictures lie, as JSON."""
SHOWN = 8
"""Slices of a row on the page."""
LARGE, SMALL = 128, 72
"""Most pixels of a slice's side: in the last pictures, and in earlier ones."""
MOMENTS = 6
"""Moments at which translations are shown one below the other."""
REACH = 98.0
"""Percentile of a curve at the top of its plot: the first steps of a run can be far above."""

Curve = tuple[Sequence[float], Sequence[float]]
"""Images seen, and values."""
Strip = NDArray[np.uint8]
"""Grey slices side by side, [S, N * S]."""


@dataclass(frozen=True)
class Plot:
    """Curves over the images seen.

    Attributes:
        title: of the plot.
        curves: by name; the name is empty for a lone one.
        limits: labels and heights of lines.
        from_zero: the axis begins at 0, or at the lowest value.
    """

    title: str
    curves: Mapping[str, Curve]
    limits: Sequence[tuple[str, float]] = ()
    from_zero: bool = True


@dataclass(frozen=True)
class Drawn:
    """A plot in a box of `width` x `height` with y downward; each outline is the points of a polyline."""

    title: str
    width: int
    height: int
    outlines: dict[str, str]
    last: dict[str, str]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    limits: list[tuple[float, str]]


@dataclass(frozen=True)
class TrainingView:
    """Content of the page.

    Attributes:
        running: the page reloads itself.
        headline, sentences: state of the run.
        signs: signs of failure and other warnings, in sentences.
        losses, scores: plots.
        pictures: sheets of rows by the images seen, ascending.
        facts: about the run, as terms and texts.
    """

    title: str
    running: bool
    headline: str
    sentences: Sequence[str]
    signs: Sequence[str]
    losses: Sequence[Plot]
    scores: Sequence[Plot]
    pictures: Mapping[int, Path]
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Growth:
    """Translations of the same slices at several moments, and their truth."""

    label: str
    rows: list[tuple[str, str]]


@dataclass(frozen=True)
class Encoded:
    """A row of a sheet as data URIs of two sizes."""

    label: str
    large: str
    small: str


class TrainingPage:
    """Renders the page of one run; pictures are encoded once."""

    def __init__(self) -> None:
        self._encoded: dict[int, list[Encoded]] = {}

    def see(self, images: int, sheet: Image.Image) -> None:
        """Encode a sheet that is at hand, which saves reading its file."""
        self._encoded[images] = _encode(sheet)

    def render(self, view: TrainingView) -> str:
        """Return the page as text."""
        # Moments that are no longer shown are not shown later either.
        self._encoded = {
            images: self._encoded[images] if images in self._encoded else _encode_file(path)
            for images, path in view.pictures.items()
        }
        sheets = {images: rows for images, rows in self._encoded.items() if rows}
        last = max(sheets, default=None)
        return render(
            "training.html",
            title=view.title,
            kind="medtranslate training",
            home=None,
            view=view,
            losses=[draw_plot(plot) for plot in view.losses],
            scores=[draw_plot(plot) for plot in view.scores],
            last=last,
            latest=[] if last is None else [(row.label, row.large) for row in sheets[last]],
            growths=_growths(sheets),
        )


def moments(images: Sequence[int]) -> list[int]:
    """Choose at most `MOMENTS` of the images seen, evenly; the first and the last are among them.

    What is chosen of more, the last apart, is chosen of fewer, too.
    """
    ordered = sorted(images)
    step = 1
    while len(ordered[::step]) > MOMENTS - 1:
        step *= 2
    return list(dict.fromkeys([*ordered[::step], *ordered[-1:]]))


def describe_rows(labels: Sequence[str], left: int, top: int, step: int, side: int) -> str:
    """Describe where the rows of a sheet lie, for the text `ROWS` of its PNG."""
    return json.dumps({"labels": list(labels), "left": left, "top": top, "step": step, "side": side})


def read_rows(sheet: Image.Image) -> list[tuple[str, Strip]]:
    """Cut a sheet into labels and slices; nothing of one without `ROWS`, or with wrong ones."""
    with suppress(ValueError, KeyError, TypeError, IndexError):
        place = json.loads(sheet.info[ROWS])
        left, top, step, side = (int(place[key]) for key in ("left", "top", "step", "side"))
        grey = np.asarray(sheet.convert("L"))
        tops = [top + k * step for k in range(len(place["labels"]))]
        if 0 < side <= step and 0 <= left < grey.shape[1] and top >= 0 and tops[-1] + side <= len(grey):
            return [
                (str(label), grey[y : y + side, left : left + SHOWN * side])
                for label, y in zip(place["labels"], tops, strict=True)
            ]
    return []


def _encode_file(path: Path) -> list[Encoded]:
    """Encode the rows of a file; none of one that is absent or damaged."""
    with suppress(OSError, ValueError, SyntaxError), Image.open(path) as sheet:
        sheet.load()
        return _encode(sheet)
    return []


def _encode(sheet: Image.Image) -> list[Encoded]:
    return [Encoded(label, _jpeg(strip, LARGE), _jpeg(strip, SMALL)) for label, strip in read_rows(sheet)]


def draw_plot(plot: Plot) -> Drawn:
    """Draw curves over one pair of axes from 0 images on; what lies above the axis runs along its top."""
    x_end = max((max(x) for x, _ in plot.curves.values()), default=1) or 1
    values = np.concatenate([np.asarray(y, np.float64) for _, y in plot.curves.values()])
    ends = [float(y[-1]) for _, y in plot.curves.values()]
    heights = [float(values.min()), float(np.percentile(values, REACH)), *ends]
    near = [(label, limit) for label, limit in plot.limits if limit <= 2 * max(heights)]
    heights += [limit for _, limit in near]
    ticks = round_ticks(min([0.0] * plot.from_zero + heights), max(heights), 4)
    x_ticks = [tick for tick in round_ticks(0.0, float(x_end), 5) if tick <= x_end]
    outlines = {}
    for name, (x, y) in plot.curves.items():
        across, down = np.interp(x, (0, x_end), (0, WIDTH)), np.interp(y, (ticks[0], ticks[-1]), (HEIGHT, 0))
        outlines[name] = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
    return Drawn(
        title=plot.title,
        width=WIDTH,
        height=HEIGHT,
        outlines=outlines,
        last={name: f"{y[-1]:.3g}" for name, (_, y) in plot.curves.items()},
        x_ticks=[(float(tick / x_end * WIDTH), f"{tick:,g}") for tick in x_ticks],
        y_ticks=[(float(np.interp(tick, (ticks[0], ticks[-1]), (HEIGHT, 0))), f"{tick:g}") for tick in ticks],
        limits=[
            (float(np.interp(limit, (ticks[0], ticks[-1]), (HEIGHT, 0))), label) for label, limit in near
        ],
    )


def _growths(sheets: Mapping[int, Sequence[Encoded]]) -> list[Growth]:
    """Put the translations of several moments below each other, and the truth at the end."""
    if len(sheets) < 2:
        return []
    last = sheets[max(sheets)]
    labels = [row.label for row in last]
    known = [k for k, label in enumerate(labels) if k and label.startswith("true ")]
    found = []
    for k in known or [k for k, label in enumerate(labels) if label.count(" to ") == 1]:
        made = k - 1 if known else k
        drawn = [
            (f"{images:,}", rows[made].small)
            for images, rows in sorted(sheets.items())
            if [row.label for row in rows] == labels
        ]
        truth = [(labels[k], last[k].small)] if known else []
        found.append(Growth(labels[made], [*drawn, *truth]))
    return found


def _jpeg(strip: Strip, side: int) -> str:
    """Encode slices as a data URI, each at most `side` pixels high."""
    picture = Image.fromarray(strip)
    if strip.shape[0] > side:
        picture = picture.resize((round(strip.shape[1] * side / strip.shape[0]), side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
