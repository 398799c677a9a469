"""The journal of a run: CSV files, pictures, its page and, where asked for, TensorBoard's log."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from medtranslate.config import TrainSettings
from medtranslate.errors import Interrupted, RunFailed
from medtranslate.runtime import whole_output
from medtranslate.training.latent import channels, latent_figure
from medtranslate.training.pictures import draw_sheet, save_sheet
from medtranslate.training.validation import Validation
from medtranslate.training.watch import Watch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TABLES = ("log.csv", "validation.csv", "latent.csv")
"""The CSV files of a run: losses, scores, and the latent channel by channel."""

Row = Mapping[str, int | float | str]


@dataclass(frozen=True)
class Journal:
    """Open files of a run; rows begin with the number of images seen.

    Attributes:
        total: images of the whole run.
    """

    total: int
    pictures: Path
    steps: TextIO
    validations: TextIO
    latents: TextIO
    board: SummaryWriter | None
    watch: Watch

    def write_step(self, images: int, seconds: float, values: Mapping[str, float]) -> None:
        """Append the losses of a step."""
        write_row(self.steps, {"images": images, "seconds": round(seconds, 1), **values})
        self._show("training", images, values)
        self.watch.see_step(images, seconds, values)

    def write_validation(
        self,
        images: int,
        seconds: float,
        scores: Mapping[str, float],
        signs: str,
        warnings: Mapping[str, str],
        results: Validation,
    ) -> None:
        """Append the scores of a validation and the names of its signs, and draw its latents and pictures.

        Args:
            images: seen so far.
            seconds: of training.
            scores: of the validation.
            signs: names of its signs of failure.
            warnings: of the run so far, by name.
            results: of the validation.
        """
        timed = {"images": images, "seconds": round(seconds, 1)}
        write_row(self.validations, {**timed, **scores, "warnings": signs})
        for side, posterior in results.posteriors.items():
            for index, values in enumerate(channels(posterior)):
                write_row(self.latents, {"images": images, "side": side, "channel": index, **values})
        self.watch.see_validation(images, seconds, scores, warnings)
        self.write_picture(images, results)
        with whole_output(self.pictures / "latent.png", overwrite=True, folder=False) as path:
            latent_figure(results.posteriors).savefig(path, format="png")
        self._show("validation", images, scores)
        if self.board:
            self.board.flush()

    def write_picture(self, images: int, results: Validation) -> None:
        """Draw the slices of a validation, with a label for each row and the moment of the run."""
        sheet = draw_sheet(results.rows, f"after {images:,} of {self.total:,} images")
        with whole_output(self.pictures / f"{images:08d}.png", overwrite=True, folder=False) as path:
            save_sheet(sheet, path)
        if self.board:
            self.board.add_image("validation", np.asarray(sheet), images, dataformats="HW")
        self.watch.see_picture(images, sheet)
        self.watch.write("running")

    def _show(self, group: str, images: int, values: Mapping[str, float]) -> None:
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(f"{group}/{name}", value, images)


@contextmanager
def journal(settings: TrainSettings, images: int, warnings: Mapping[str, str]) -> Iterator[Journal]:
    """Open the journal of a run that has seen `images`; existing files are appended to.

    The page of the run is written at both ends, also where an error ends the run.
    """
    out = settings.out
    with ExitStack() as files:
        steps, validations, latents = (
            files.enter_context((out / name).open("a", newline="", encoding="utf-8")) for name in TABLES
        )
        board = files.enter_context(closing(_board(out, images))) if settings.tensorboard else None
        watch = Watch(settings, images, warnings)
        watch.write("running")
        end = "ended by an error"
        try:
            yield Journal(settings.images, out / "pictures", steps, validations, latents, board, watch)
            end = "all images seen"
        except (Interrupted, KeyboardInterrupt):
            end = "interrupted"
            raise
        finally:
            watch.write(end)


def write_row(file: TextIO, row: Row) -> None:
    """Append a row to a CSV; the first row of a new file brings the header."""
    writer = csv.DictWriter(file, list(row))
    if file.tell() == 0:
        writer.writeheader()
    writer.writerow(
        {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
    )
    file.flush()


def trim(path: Path, images: int) -> None:
    """Remove the rows of a CSV that were written after `images`, and a last one that was cut off."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    whole = [row for row in rows[1:] if len(row) == len(rows[0]) and row[0].isdigit()]
    kept = [row for row in whole if int(row[0]) <= images]
    with (
        whole_output(path, overwrite=True, folder=False) as fresh,
        fresh.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows(rows[:1] + kept if kept else [])


def require_tensorboard() -> None:
    """Refuse early to write TensorBoard's log without its package.

    Raises:
        RunFailed: the package is not installed.
    """
    if find_spec("tensorboard") is None:
        raise RunFailed(
            "--tensorboard: the package tensorboard is not installed;"
            " pip install 'medtranslate[tensorboard]', or train without it"
        )


def _board(out: Path, images: int) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    # Its steps count images; those that a killed run logged after its checkpoint are purged.
    return SummaryWriter(str(out / "tensorboard"), purge_step=images + 1)
