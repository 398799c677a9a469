"""The latent, channel by channel."""

from __future__ import annotations

import io
from math import exp

import pytest
import torch
from PIL import Image

from medtranslate.networks import Posterior
from medtranslate.training import fit
from medtranslate.training.latent import channels, latent_figure, latent_scores


def posterior(means: list[float], spreads: list[float], log_variance: float = -4.0) -> Posterior:
    noise = torch.randn(8, len(means), 16, 16, generator=torch.Generator().manual_seed(0))
    moved = torch.tensor(means)[:, None, None] + torch.tensor(spreads)[:, None, None] * noise
    return Posterior(moved, torch.full_like(noise, log_variance))


def test_channels_are_told_apart():
    rows = channels(posterior([0.0, 1.0, 0.0], [1.0, 0.0, 0.5]))
    own = exp(-4)
    assert [row["mean"] for row in rows] == pytest.approx([0, 1, 0], abs=0.05)
    assert [row["moved"] for row in rows] == pytest.approx([1, 0, 0.25], abs=0.05)
    assert [row["variance"] - row["moved"] for row in rows] == pytest.approx([own] * 3, abs=1e-5)
    # KL of N(m, s^2) from N(0, 1), with E[m^2] of each channel.
    expected = [0.5 * (square + own - 1 + 4) for square in (1.0, 1.0, 0.25)]
    assert [row["kl"] for row in rows] == pytest.approx(expected, abs=0.05)


def test_scores_are_means_over_channels():
    found = posterior([0.0, 1.0, 0.0], [1.0, 0.0, 0.5])
    rows, scores = channels(found), latent_scores(found)
    assert scores["kl"] == pytest.approx(sum(row["kl"] for row in rows) / 3, rel=1e-5)
    assert scores["active"] == 2


@pytest.mark.parametrize("count", [1, 8, 40])
def test_the_picture_shows_either_modality(count):
    found = posterior([0.0] * count, [1.0] * count)
    file = io.BytesIO()
    latent_figure({"ct": found, "mr": found}).savefig(file, format="png")
    with Image.open(file) as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("L").getcolors()) > 50


def test_a_run_keeps_the_latent_of_each_validation(settings, rows):
    fit(settings, quiet=True)
    kept, scores = rows(settings.out / "latent.csv"), rows(settings.out / "validation.csv")
    assert [(row["images"], row["side"], row["channel"]) for row in kept] == [
        (images, side, str(channel))
        for images in ("8", "16")
        for side in ("ct", "mr")
        for channel in range(settings.network.latent_channels)
    ]
    last = [float(row["kl"]) for row in kept if (row["images"], row["side"]) == ("16", "mr")]
    assert sum(last) / len(last) == pytest.approx(float(scores[-1]["kl_mr"]), rel=1e-4)
    assert (settings.out / "pictures" / "latent.png").is_file()
