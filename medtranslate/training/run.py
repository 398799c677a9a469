"""The work of a run between its steps: losses written, scores taken, models kept, an end when asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Never

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from medtranslate.checkpoint import describe
from medtranslate.config import TrainSettings
from medtranslate.data import Source
from medtranslate.errors import Diverged, Interrupted
from medtranslate.runtime import one_line
from medtranslate.training.diagnostics import PASSING, signs
from medtranslate.training.distributed import any_process
from medtranslate.training.journal import Journal
from medtranslate.training.keep import keep_models
from medtranslate.training.resume import keep_checkpoint
from medtranslate.training.run_folder import MODEL, keep_model
from medtranslate.training.state import State
from medtranslate.training.validation import validate


@dataclass(frozen=True)
class Run:
    """The means of a run beside its state.

    Attributes:
        notes: None in every process but the first.
        queued: images seen, seconds and losses of the steps that are not written yet.
    """

    settings: TrainSettings
    fabric: Fabric
    state: State
    sources: Mapping[str, Source]
    notes: Journal | None
    bar: tqdm[Never]
    queued: list[tuple[int, float, dict[str, Tensor]]] = field(default_factory=list)

    def write_losses(self) -> None:
        """Fetch the queued losses in one transfer, so that the device works on meanwhile."""
        table = torch.stack([torch.stack(list(losses.values())) for *_, losses in self.queued]).tolist()
        for (images, seconds, losses), values in zip(self.queued, table, strict=True):
            row = dict(zip(losses, values, strict=True))
            if not np.isfinite(values).all():
                break
            if "discriminator" in row:
                self.state.judged.append(row["discriminator"])
            if self.notes:
                self.notes.write_step(images, seconds, row)
            self.bar.set_postfix({name: f"{value:.3f}" for name, value in row.items()}, refresh=False)
        self.require_finite(row, images)
        self.queued.clear()

    def validate(self) -> None:
        """Score, keep the model and the state, and warn of new signs of failure."""
        settings, state = self.settings, self.state
        self.require_finite_weights()
        if self.notes:
            results = validate(settings, state.average, self.sources)
            scores = dict(results.scores)
            if state.judged:
                scores["discriminator"] = fmean(state.judged)
            require_finite(scores, state.images, settings.out)
            failures = signs(scores, settings.network.latent_channels, state.images / settings.images)
            fresh = {name: text for name, text in failures.items() if name not in state.warnings}
            state.scores = scores
            for name in state.warnings.keys() - failures.keys():
                if name.startswith(PASSING):
                    del state.warnings[name]
            state.warnings |= {name: f"after {state.images} images {text}" for name, text in fresh.items()}
            warn_by_name({name: state.warnings[name] for name in fresh})
            signs_now = " ".join(failures)
            self.notes.write_validation(
                state.images, state.seconds, scores, signs_now, state.warnings, results
            )
            keep_model(settings, state)
            step = settings.batch * self.fabric.world_size
            keep_models(settings, state, scores, step, doubtful=bool(failures))
        keep_checkpoint(settings, state, self.fabric)

    def draw(self) -> None:
        """Draw the pictures of a validation alone, which keeps nothing and warns of nothing."""
        self.require_finite_weights()
        if self.notes:
            results = validate(self.settings, self.state.average, self.sources)
            require_finite(results.scores, self.state.images, self.settings.out)
            self.notes.write_picture(self.state.images, results)

    def stop(self, *, kept: bool) -> Never:
        """End a run that was asked to."""
        if not kept:
            self.require_finite_weights()
            keep_checkpoint(self.settings, self.state, self.fabric)
        last = self.settings.out / MODEL
        seen = f", its model after {describe(last).training['images']}" if last.is_dir() else ""
        raise Interrupted(
            f"{self.settings.out}: interrupted after {self.state.images} of {self.settings.images} images,"
            f" and kept{seen}; give the same command with --resume to go on"
        )

    def require_finite(self, values: Mapping[str, float], images: int) -> None:
        """Agree on it with the other processes, for a loss of one may not be finite where theirs are."""
        broken = any(not np.isfinite(value) for value in values.values())
        if any_process(self.fabric, broken):
            require_finite(
                values if broken else {"loss of another process": np.nan}, images, self.settings.out
            )

    def require_finite_weights(self) -> None:
        """Refuse weights that a step has broken though its losses were finite; they are never kept."""
        largest = torch.stack([weight.detach().abs().max() for weight in self.state.model.parameters()]).max()
        self.require_finite({"weights": float(largest)}, self.state.images)


def require_finite(values: Mapping[str, float], images: int, out: Path) -> None:
    """Refuse to go on with broken numbers.

    Raises:
        Diverged: a value is not finite.
    """
    broken = [name for name, value in values.items() if not np.isfinite(value)]
    if broken:
        raise Diverged(
            f"{out}: {', '.join(broken)} not finite after {images} images; the last good checkpoint is kept,"
            " go on from it with --resume and a lower --learning-rate, or --precision float32"
        )


def warn_by_name(warnings: Mapping[str, str]) -> None:
    """Print warnings on stderr, above the progress."""
    for name, text in warnings.items():
        tqdm.write(f"warning: {name}: {one_line(text)}", file=sys.stderr)
