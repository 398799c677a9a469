"""The page by which a run is watched, `report.html`: what it shows, and when it is written."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from medtranslate.config import TrainSettings
from medtranslate.errors import MedtranslateError
from medtranslate.report.training_page import Curve, Plot, TrainingPage, TrainingView, moments
from medtranslate.runtime import whole_output
from medtranslate.training.normal import LOSSES, SCORES, say_normal

PAGE = "report.html"

MOST_POINTS = 400
"""Points of a curve; of more rows, neighbours are averaged."""

SHARE = 0.01
"""Largest share of the run's time that is spent on the page between validations."""

SECONDS = 30.0
"""Least time between two pages, validations apart."""


@dataclass
class Means:
    """Rows of a table over the images seen, thinned to means of equally many neighbours."""

    images: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    each: int = 1
    waiting: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def add(self, images: float, row: Mapping[str, float]) -> None:
        """Add a row; a column that a row lacks is left out from there on."""
        self.waiting.append((images, dict(row)))
        if len(self.waiting) < self.each:
            return
        self.images.append(float(np.mean([seen for seen, _ in self.waiting])))
        names = [name for name in row if all(name in other for _, other in self.waiting)]
        for name in names:
            mean = float(np.mean([other[name] for _, other in self.waiting]))
            self.values.setdefault(name, [mean] * (len(self.images) - 1)).append(mean)
        self.waiting.clear()
        if len(self.images) == 2 * MOST_POINTS:
            self.each *= 2
            self.images = _halved(self.images)
            self.values = {name: _halved(column) for name, column in self.values.items()}

    def curves(self) -> dict[str, Curve]:
        """Give each column that all rows have."""
        return {
            name: (self.images, column)
            for name, column in self.values.items()
            if column and len(column) == len(self.images)
        }


def _halved(column: Sequence[float]) -> list[float]:
    pairs: list[float] = np.reshape(column, (-1, 2)).mean(axis=1).tolist()
    return pairs


class Watch:
    """Collects the rows of a run and writes its page, whole or not at all.

    A page that cannot be written, as on a full disk, leaves the last one: a view does not end a run.
    """

    def __init__(self, settings: TrainSettings, images: int, warnings: Mapping[str, str]) -> None:
        self.settings, self.images, self.seconds = settings, images, 0.0
        self.warnings = dict(warnings)
        self.steps, self.validations = Means(), Means()
        for name, table in (("log.csv", self.steps), ("validation.csv", self.validations)):
            for row in _read(settings.out / name):
                self.seconds = max(self.seconds, row.pop("seconds", 0.0))
                table.add(row.pop("images"), row)
        self.page, self.written, self.cost = TrainingPage(), time.monotonic(), 0.0

    def see_step(self, images: int, seconds: float, losses: Mapping[str, float]) -> None:
        """Add the losses of a step; write the page if the last one is old and was cheap enough."""
        self.images, self.seconds = images, seconds
        self.steps.add(images, losses)
        if time.monotonic() - self.written > max(SECONDS, self.cost / SHARE):
            self.write("running")

    def see_validation(
        self, images: int, seconds: float, scores: Mapping[str, float], warnings: Mapping[str, str]
    ) -> None:
        """Add the scores of a validation."""
        self.images, self.seconds, self.warnings = images, seconds, dict(warnings)
        self.validations.add(images, scores)

    def see_picture(self, images: int, sheet: Image.Image) -> None:
        """Add the pictures of a validation."""
        self.page.see(images, sheet)

    def write(self, state: str) -> None:
        """Write the page.

        Args:
            state: `running`, or how the run ended.
        """
        started = time.monotonic()
        with suppress(MedtranslateError, OSError):
            text = self.page.render(self._view(state))
            with whole_output(self.settings.out / PAGE, overwrite=True, folder=False) as path:
                path.write_text(text, encoding="utf-8")
        self.written = time.monotonic()
        self.cost = self.written - started

    def _view(self, state: str) -> TrainingView:
        settings = self.settings
        drawn = {
            int(path.stem): path
            for path in (settings.out / "pictures").glob("*.png")
            if path.stem.isdigit() and int(path.stem) <= self.images
        }
        share = self.images / settings.images
        return TrainingView(
            title=f"Training of {settings.name}",
            running=state == "running",
            headline=f"{self.images:,} of {settings.images:,} images ({share:.0%}): {state}",
            sentences=[self._pace(state), *say_normal(settings, self.images)],
            signs=list(self.warnings.values()),
            losses=[
                Plot(LOSSES.get(name, name), {"": curve})
                for name, curve in sorted(self.steps.curves().items(), key=lambda pair: pair[0] != "total")
            ],
            scores=[
                Plot(score.title, curves, score.limits, score.from_zero)
                for score in SCORES
                if (curves := score.pick(self.validations.curves()))
            ],
            pictures={images: drawn[images] for images in moments(list(drawn))} if drawn else {},
            facts=_facts(settings),
        )

    def _pace(self, state: str) -> str:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        left = self.seconds / self.images * (self.settings.images - self.images) if self.images else 0.0
        rest = f"; about {_clock(left)} remain at this pace" if state == "running" and left > 0 else ""
        reload = " The page reloads itself every minute." if state == "running" else ""
        return f"{_clock(self.seconds)} of training{rest}. Written {now}.{reload}"


def _clock(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _facts(settings: TrainSettings) -> list[tuple[str, str]]:
    network, loss = settings.network, settings.loss
    return [
        ("Slices", f"{network.size} × {network.size} pixels, {settings.batch} per modality and step"),
        ("Validation", f"every {settings.every:,} images"),
        (
            "Weights",
            f"anchor {loss.anchor:g}, adversarial {loss.adversarial:g}, cycle {loss.cycle:g}, KL {loss.kl:g}",
        ),
        (
            "Files",
            "settings.yaml, log.csv, validation.csv and latent.csv hold all numbers; pictures/ all pictures",
        ),
    ]


def _read(path: Path) -> list[dict[str, float]]:
    """Read the rows of a CSV of the run that are numbers; columns of words are left out."""
    rows = []
    with suppress(FileNotFoundError), path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            with suppress(ValueError, TypeError):
                values = {name: float(cell) for name, cell in row.items() if name != "warnings"}
                rows += [values] if np.isfinite(list(values.values())).all() else []
    return rows
