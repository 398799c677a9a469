"""The contrast of an MR: as a model sees it, and as it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import BatchSettings, Contrast, ScaleSettings, TranslateSettings
from medtranslate.device import choose_device, fast_precision
from medtranslate.errors import ModelRefused, UsageError
from medtranslate.io import Volume, read_volume
from medtranslate.phantom import named_brightness, nearest_contrast
from medtranslate.records import SeenContrast
from medtranslate.transforms import denormalise
from medtranslate.translation.framed import Floats, frame
from medtranslate.translation.picture_window import asked_window
from medtranslate.translation.tissue_brightness import Ratios, as_bright_as, measure_ratios, with_fluid

LOOKED_AT = 16
"""Most slices of an MR whose contrast is to be met, spread over those that show the head."""

_OF_RIM, _OF_FLUID, _SHIFT = 32.0, -8.7, 4.9
"""Logarithm of the odds of FLAIR against T1: factors of the logarithm of the brain's rim over its middle, and
of dark fluid over brain (`tissue_brightness.Ratios`), and a constant.

A linear discriminant of 63 T1 and 41 FLAIR: pictures of a published training set, judged by eye, and a few
volumes. If each is left out in turn, it names 56 of 63 T1 and 40 of 41 FLAIR right.
"""

_SURE = 0.8
"""Likelihood from which a contrast is named alone."""

_FLUID_OF_T2 = 1.4
"""Least brightness of fluid over brain, as a model sees them, in T2. Of 227 pictures of a published training
set, judged by eye, 51 of 53 T2 have more, and 5 of 174 others."""

_FLUID_OF_PD = 0.55, 1.25
"""Least and greatest brightness of fluid over brain in PD; T2 has more, and T1 and FLAIR have less.

Between the 0.34 of T1, the 0.77 of PD and the 2.1 of T2 (`phantom.nominal_brightness`).
"""

_RIM_OF_PD, _DARK_OF_PD = 1.0, 0.5
"""Least brightness of the brain's rim over its middle, and of the darkest fluid over brain, in PD: of those
pictures 94 % of the T1 have a darker rim, and all FLAIR darker fluid."""

_T1: tuple[Contrast, ...] = ("t1", "t1c")


def seen_contrast(
    slices: Sequence[Tensor], views: Sequence[tuple[Tensor, Tensor]], scale: ScaleSettings
) -> SeenContrast:
    """Describe the contrast of an MR that was translated to CT.

    Args:
        slices: brightness of the tissues that a model saw, [B, 7] each.
        views: slices of the MR and their CT, [B, 1, S, S] each in [-1, 1].
        scale: of the CT.
    """
    mr, ct = (torch.cat(images).float().cpu() for images in zip(*views, strict=True))
    hu = denormalise(ct, "ct", scale).numpy()
    return name_contrast(as_bright_as(_median(slices), mr.numpy(), hu), measure_ratios(mr.numpy(), hu))


def name_contrast(brightness: Floats, ratios: Ratios | None) -> SeenContrast:
    """Name the contrast that is nearest, and a second one where the measures do not tell them apart.

    The brightness of tissues tells T2 and PD from the others. It does not tell FLAIR from T1, because scalp
    may be near the coils, and windows differ.

    Args:
        brightness: of the tissues of `phantom.TOLD`, [7] in [-1, 1].
        ratios: measured in the MR; without them T1 and FLAIR stay undecided.
    """
    nearest, named = nearest_contrast(brightness), named_brightness(brightness)
    t1 = nearest_contrast(brightness, _T1)
    if ratios is None:
        second: dict[Contrast, Contrast] = {"t1": "flair", "t1c": "flair", "flair": t1}
        return SeenContrast(nearest=nearest, second=second.get(nearest), brightness=named)
    near, (least, most) = nearest in ("t2", "pd"), _FLUID_OF_PD
    if _fluid_over_brain(named) >= _FLUID_OF_T2 or (near and ratios.fluid >= most):
        return SeenContrast(nearest="t2", brightness=named)
    near |= ratios.rim > _RIM_OF_PD and ratios.dark_fluid > _DARK_OF_PD
    if near and least < ratios.fluid < most:
        return SeenContrast(nearest="pd", brightness=named)
    odds = _OF_RIM * np.log(max(ratios.rim, 1e-3)) + _OF_FLUID * min(ratios.dark_fluid, 1.2) + _SHIFT
    flair = float(1 / (1 + np.exp(-odds)))
    order: tuple[Contrast, Contrast] = ("flair", t1) if flair > 0.5 else (t1, "flair")
    likelihood = max(flair, 1 - flair)
    return SeenContrast(
        nearest=order[0],
        second=None if likelihood >= _SURE else order[1],
        likelihood=round(likelihood, 2),
        brightness=named,
    )


def _fluid_over_brain(brightness: Mapping[str, float]) -> float:
    """Divide the brightness of fluid by that of brain, where black is 0."""
    share = {tissue: value + 1 for tissue, value in brightness.items()}
    return 2 * share["csf"] / max(share["grey matter"] + share["white matter"], 1e-3)


def open_model(settings: TranslateSettings | BatchSettings, device: torch.device | None = None) -> Model:
    """Load the model that the settings name, with the contrast of the MR that it shall make.

    Args:
        device: to load it on (default: that of the settings).

    Raises:
        ModelRefused, RunFailed: the model or the device is not there, it has no choice of contrast, or it
            does not know the planes.
        InputRefused: the MR whose contrast is to be met is refused.
        UsageError: two contrasts are asked for, or one of a CT; or two ways from grey values to HU.
    """
    if settings.to == "ct" and (settings.contrast or settings.like):
        given = "--contrast" if settings.contrast else "--like"
        raise UsageError(f"{given} says which contrast a translated MR has; leave it out with --to ct")
    if settings.contrast and settings.like:
        raise UsageError("--contrast and --like name two contrasts; leave one out")
    device = device or choose_device(settings.device)
    precision = fast_precision(settings.precision, device)
    window = asked_window(settings.window, settings.picture_hu)
    model = load_model(settings.model, device, precision, settings.contrast, window)
    if (settings.planes or 1) > model.planes:
        raise ModelRefused(
            f"{model.description.name}: knows axial slices alone, and --planes {settings.planes} is given;"
            " leave it out, or name a model that knows three planes"
        )
    model = model.axial() if settings.planes == 1 else model
    if settings.like is None:
        return model
    return told_like(model, read_volume(settings.like, modality="mr"))


@torch.inference_mode()
def told_like(model: Model, mr: Volume) -> Model:
    """Return a model that makes MR in the contrast of another MR.

    Raises:
        ModelRefused: it has no choice of contrast, or does not see it.
        InputRefused: no head is found in the MR.
    """
    network = model.description.network
    if not (network.told and network.seen):
        raise ModelRefused(
            f"{model.description.name}: cannot meet the contrast of another MR; leave --like out, or name a"
            " model that is told contrasts and sees them"
        )
    framed = frame(mr, "mr", model)
    places = framed.shown[:: -(-len(framed.shown) // LOOKED_AT)]
    slices = framed.framed(places, network.size, network.neighbours).to(model.device)
    made = model.generators.to_ct(slices)
    hu = denormalise(made.image.float().cpu(), "ct", model.description.scale).numpy()
    shown = slices[:, :1].float().cpu().numpy()
    return model.told(with_fluid(as_bright_as(_median([made.seen]), shown, hu), shown, hu))


def _median(slices: Sequence[Tensor]) -> Floats:
    seen: Floats = np.median(torch.cat(list(slices)).float().cpu().numpy(), axis=0)
    return seen
