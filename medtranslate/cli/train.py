"""`medtranslate train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import TrainSettings


def act(settings: TrainSettings, quiet: bool) -> Answer:
    """Train a model."""
    from medtranslate.training import fit

    summary = fit(settings, quiet=quiet)
    if not summary:
        raise SystemExit(0)  # a process beside the first, which speaks for all
    return Answer(summary, [f"run: {settings.out}"])


class _Train(SettingsCommand[TrainSettings]):
    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Take network and scale over from the model that a run starts from."""
        if "from" not in values:
            return dict(values)
        from medtranslate.checkpoint import inherit

        return inherit(values)


command = _Train(
    "train",
    TrainSettings,
    act,
    "training",
    help="""Train both directions, CT to MR and MR to CT, on images without pairs.

    The run's folder grows while training: settings, log, pictures, checkpoint, model. After an
    interruption, --resume continues from the last checkpoint.

    The anchor is a share of slices whose true translation is known: digital heads, and CT with an MR
    rendered from it.""",
    sections={
        "Image options": (
            *("ct", "mr", "val_ct", "val_mr", "val_share", "val_paired", "groups"),
            *("nan_to", "picture_hu", "cache"),
        ),
        "Model options": ("from", "anatomy", "name", "notes", "gate", "network", "scale"),
        "Schedule options": (
            *("images", "batch", "learning_rate", "discriminator_rate", "decay", "ema", "pool"),
            *("cycle_noise", "unpaired", "only", "every", "keep_every", "keep_best"),
        ),
        "Loss and anchor options": (
            *("loss", "anchor_share", "anchor_contrast", "anchor_rendered", "anchor_kept"),
            *("anchor_labels", "anchor_labelled", "anchor_lesions", "anchor_skull_base"),
            *("anchor_weights", "phantom_contrast"),
        ),
        "Augmentation options": ("augment",),
        "Machine options": ("device", "devices", "nodes", "workers", "capture", "precision"),
    },
)
