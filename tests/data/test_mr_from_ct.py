"""MR rendered from CT resembles the true MR of the same head, and is where its source is."""

from __future__ import annotations

import pytest
import torch

from medtranslate import phantom
from medtranslate.config import NetworkSettings, PhantomContrast, ScaleSettings
from medtranslate.data import frame_pairs, render

WINDOW = (-20.0, 100.0)


def heads(contrast: PhantomContrast, window: tuple[float, float] = WINDOW) -> tuple[torch.Tensor, ...]:
    """CT and MR of the same phantom slices, framed alike, [24, 1, 96, 96]."""
    drawn = phantom.slices(phantom.HELD_OUT, 24, 96, contrast=contrast)
    ct, mr, *_ = frame_pairs(drawn, NetworkSettings(size=96), ScaleSettings(ct_window=window))
    return ct, mr


def likeness(one: torch.Tensor, other: torch.Tensor, where: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one[where], other[where]]))[0, 1])


@pytest.mark.parametrize("window", [WINDOW, (-1000.0, 1000.0)])
@pytest.mark.parametrize("contrast", ["t1", "t2", "flair"])
def test_rendered_mr_is_more_like_the_true_one_than_its_source_is(
    contrast: PhantomContrast, window: tuple[float, float]
) -> None:
    ct, mr = heads(contrast, window)
    made, clean, _ = render(ct, window, contrast, contrast, seed=0)
    inside = ct > -0.8
    assert likeness(ct, mr, inside) < -0.2  # bone is bright in one and dark in the other
    assert likeness(clean, mr, inside) > 0.4
    assert likeness(made, mr, inside) > 0.4
    assert 0 <= clean.min() < clean.max() < 1600


def test_bone_is_dark_csf_as_the_sequence_has_it_and_air_is_empty() -> None:
    ct, _ = heads("t1")
    hu = (ct + 1) * 60 - 20
    brain, csf, bone = ((hu > low) & (hu < high) for low, high in ((26, 40), (2, 12), (99.9, 101)))
    t1, t2 = (render(ct, WINDOW, name, name, seed=1)[1] for name in ("t1", "t2"))
    for made in (t1, t2):
        assert made[bone].median() < 0.5 * made[brain].median()
    assert t2[csf].median() > 1.3 * t2[brain].median()
    assert t1[csf].median() < 0.8 * t1[brain].median()
    assert t2[..., :2, :2].max() < 60  # noise alone


def test_a_seed_says_all_and_contrasts_differ() -> None:
    ct, _ = heads("t1")
    first, again, other = (render(ct[:4], WINDOW, "both", "t2", seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=50)
    inside = ct[:4] > -0.8
    assert likeness(first[:1], first[1:2], inside[:1] & inside[1:2]) < 0.99


def test_what_is_hidden_and_reaches_the_skin_is_fat() -> None:
    """A disc of brain in a ring of bone: the window hides the scalp around it, and an MR shows it."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    radius = ((y - 64) ** 2 + (x - 64) ** 2).sqrt()
    hu = torch.where(radius < 40, 33.0, torch.where(radius < 46, 1000.0, -1000.0))
    ct = ((hu.clamp(*WINDOW) + 20) / 60 - 1)[None, None]
    made = torch.stack([render(ct, WINDOW, "t1", "t1", seed)[1][0, 0] for seed in range(8)])
    rim = (radius > 47) & (radius < 50)
    assert made[:, rim].mean() > 2 * made[:, (radius > 42) & (radius < 44)].mean()
    assert made[:, radius > 56].max() < 60
    # Its thickness varies, and so does that of the scalp that heads are framed with.
    assert made[:, rim].mean(dim=1).std() > 50
