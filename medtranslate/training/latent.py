"""The content of the latent: in numbers, channel by channel, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from medtranslate.config import Modality
from medtranslate.losses import kl_map
from medtranslate.networks import Posterior

ACTIVE = 0.01
"""Variance of a channel's mean over slices and places from which it is active (Burda et al., "Importance
Weighted Autoencoders", 2016)."""

SHOWN = 16
"""Channels that the picture shows at most."""

REACH = 4.0
"""Latent values that the picture shows, on both sides of zero."""

Channel = dict[str, float]


def channels(posterior: Posterior) -> list[Channel]:
    """Describe each channel: mean KL, mean and variance of the aggregated posterior, variance of the means.

    The aggregated posterior is the mixture of the posteriors of all slices and places; it would be N(0, I)
    were the prior met. Its variance is that of the means and the mean of the variances.
    """
    places = (0, 2, 3)
    mean, own = posterior.mean, posterior.log_variance.exp().mean(dim=places)
    moved = mean.var(dim=places)
    table = {
        "kl": kl_map(posterior).mean(dim=places),
        "mean": mean.mean(dim=places),
        "variance": moved + own,
        "moved": moved,
    }
    return [dict(zip(table, row, strict=True)) for row in torch.stack(list(table.values()), dim=1).tolist()]


def latent_scores(posterior: Posterior) -> dict[str, float]:
    """Score a latent for a collapse or an ignored prior.

    Returns:
        kl: mean per latent element; active: channels whose mean varies by more than `ACTIVE`;
        aggregate_mean and aggregate_variance of the aggregated posterior of all channels together, 0 and 1
        where it is the prior; prior_gap: KL(N(m, v) || N(0, 1)) of a channel's aggregated mean m and
        variance v, in nats, the mean over channels.
    """
    mean, variance = posterior.mean, posterior.log_variance.exp()
    rows = channels(posterior)
    gaps = [
        0.5 * (row["mean"] ** 2 + row["variance"] - 1 - np.log(max(row["variance"], 1e-12))) for row in rows
    ]
    return {
        "kl": float(kl_map(posterior).mean()),
        "active": float(sum(row["moved"] > ACTIVE for row in rows)),
        "aggregate_mean": float(mean.mean()),
        "aggregate_variance": float(mean.var() + variance.mean()),
        "prior_gap": float(np.mean(gaps)),
    }


def latent_figure(posteriors: Mapping[Modality, Posterior]) -> Figure:
    """Draw the latents of slices by modality.

    On the left the aggregated posterior of each channel, as columns of a histogram beside the prior's; on the
    right each channel's mean over the first slice, from -`REACH` (black) to `REACH` (white).
    """
    figure = Figure(figsize=(11, 5.5), dpi=90, layout="constrained")
    plots = figure.subplots(len(posteriors), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), (side, posterior) in zip(plots, posteriors.items(), strict=True):
        few = Posterior(posterior.mean[:, :SHOWN], posterior.log_variance[:, :SHOWN])
        rows = channels(few)
        left.imshow(
            _columns(few),
            cmap="magma",
            aspect="auto",
            interpolation="nearest",
            origin="lower",
            extent=(-1.5, len(rows) - 0.5, *_ENDS),
        )
        names = [f"{index}\n{row['kl']:.2f}" for index, row in enumerate(rows)]
        left.set_xticks(range(-1, len(rows)), ["N(0, 1)", *names], fontsize=8)
        left.set_title(f"{side} slices: aggregated posterior of each channel (below: KL in nats)", fontsize=9)
        right.imshow(_mosaic(few.mean[0]), cmap="gray", vmin=-REACH, vmax=REACH)
        right.set_title(f"{side}: each channel's mean over one slice", fontsize=9)
        right.set_axis_off()
    return figure


_ENDS = (-REACH, REACH)


def _columns(posterior: Posterior, bins: int = 81) -> NDArray[np.float64]:
    """Estimate densities [bins, 1 + channels]: of the prior, then of each channel's aggregated posterior."""
    edges = np.linspace(*_ENDS, bins + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    prior = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi)
    noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(0))
    drawn = posterior.at(noise.to(posterior.mean.device)).transpose(0, 1).flatten(1).cpu().numpy()
    counts = [np.histogram(values, edges)[0] / (values.size * (edges[1] - edges[0])) for values in drawn]
    columns = np.stack([prior, *counts], axis=1)
    peaks: NDArray[np.float64] = columns / np.maximum(columns.max(axis=0), 1e-9)
    return peaks


def _mosaic(maps: Tensor) -> NDArray[np.float32]:
    """Lay maps [channels, h, w] side by side on a sheet that is nearly square."""
    count, height, width = maps.shape
    across = int(np.ceil(np.sqrt(2 * count)))
    down = -(-count // across)
    sheet = np.full((down * (height + 1), across * (width + 1)), REACH, np.float32)
    for index, plane in enumerate(maps.cpu().numpy()):
        row, column = (index // across) * (height + 1), (index % across) * (width + 1)
        sheet[row : row + height, column : column + width] = plane
    return sheet
