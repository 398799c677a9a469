"""Settings that ask for heads where the training images show none."""

from __future__ import annotations

from medtranslate.config import TrainSettings
from medtranslate.errors import SettingsError


def require_no_heads(settings: TrainSettings) -> None:
    """Refuse digital heads in a run of another anatomy.

    Raises:
        SettingsError: images, anchor or the whole run would be digital heads.
    """
    if settings.anatomy == "head":
        return
    for name in ("ct", "mr", "val_ct", "val_mr"):
        if (getattr(settings, name) or "").startswith("phantom:"):
            raise SettingsError(
                f"train: {name} is {getattr(settings, name)}, which are digital heads, and anatomy is other;"
                " name files"
            )
    if settings.loss.needs_truth and settings.anchor_rendered < 1:
        raise SettingsError(
            f"train: anchor_rendered is {settings.anchor_rendered:g}, so that a part of the anchor would be"
            " digital heads, and anatomy is other; leave --anchor-rendered out"
        )
    if not settings.unpaired:
        raise SettingsError(
            "train: without unpaired images no MR is shown but that of digital heads, and anatomy is other;"
            " leave --no-unpaired out"
        )
