"""Weights for a larger network from those of a smaller one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from medtranslate.config import NetworkSettings
from medtranslate.networks import VariationalGenerator
from medtranslate.networks.enlarge import between, enlarged, grown

SMALL = NetworkSettings(size=32, fold=2, channels=(32, 48), blocks=1, told=7, fine=4, neighbours=1)


def _pair(small: NetworkSettings) -> tuple[VariationalGenerator, VariationalGenerator]:
    """A generator with weights that are not near 0 at its end, and the enlarged one."""
    torch.manual_seed(0)
    before = VariationalGenerator(small).eval()
    after = VariationalGenerator(replace(small, size=2 * small.size, fold=2 * small.fold)).eval()
    after.load_state_dict(enlarged(before.state_dict(), after.state_dict(), small.fold))
    return before, after


def _heads(side: int) -> torch.Tensor:
    """Smooth images, [4, 3, side, side], with a side's half in blocks of 2 x 2 equal pixels."""
    coarse = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1
    smooth = functional.interpolate(coarse, size=(side // 2, side // 2), mode="bicubic").clamp(-1, 1)
    return smooth.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize("told", [0, 7])
@pytest.mark.parametrize("fold", [2, 4])
@torch.no_grad()
def test_an_enlarged_generator_makes_the_same_image_in_more_pixels(told, fold):
    """The latent is that of the mean of 2 x 2 pixels; the image is the same, but for what lies between."""
    before, after = _pair(replace(SMALL, told=told, fold=fold, fine=0, coordinates=False))
    large = _heads(64)
    small = functional.avg_pool2d(large, 2)
    torch.testing.assert_close(after.encode(large).mean, before.encode(small).mean)
    brightness = torch.linspace(-1, 1, 4 * 7).reshape(4, 7) if told else None
    made, known = after(large, brightness).image, before(small, brightness).image
    assert made.shape == (4, 1, 64, 64)
    there = functional.avg_pool2d(made, 2)[..., 2:-2, 2:-2]
    assert torch.corrcoef(torch.stack([there.flatten(), known[..., 2:-2, 2:-2].flatten()]))[0, 1] > 0.9
    assert float((there - known[..., 2:-2, 2:-2]).abs().mean()) < 0.05


def test_edges_of_an_enlarged_generator_change_nothing_yet():
    _, after = _pair(SMALL)
    last = after.edges[-1]
    assert not last.weight.any()
    assert not last.bias.any()


@pytest.mark.parametrize("channels", [(32,), (32, 48), (32, 48, 64)])
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("blocks", [(1, 2), (2, 4)])
@torch.no_grad()
def test_added_blocks_change_nothing_yet_and_can_learn(channels, attention, blocks):
    few, many = blocks
    small = replace(SMALL, channels=channels, attention=attention, blocks=few, limits=True)
    before, after = VariationalGenerator(small), VariationalGenerator(replace(small, blocks=many))
    weights = grown(before.state_dict(), after.state_dict(), small, replace(small, blocks=many))
    after.load_state_dict(weights)
    slices, told = _heads(32), torch.linspace(-1, 1, 4 * 7).reshape(4, 7)
    made, known = after(slices, told), before(slices, told)
    torch.testing.assert_close(made.image, known.image, rtol=0, atol=0)
    torch.testing.assert_close(made.limit, known.limit, rtol=0, atol=0)
    with torch.enable_grad():
        after(slices, told).image.mean().backward()
    last = [layer for name, layer in after.named_parameters() if name.endswith("conv2.conv.weight")]
    assert all(layer.grad is not None and layer.grad.any() for layer in last)


@pytest.mark.parametrize(
    ("change", "sizes"),
    [
        ({}, []),
        ({"size": 64, "fold": 4}, [64]),
        ({"size": 128, "fold": 8}, [64, 128]),
        ({"size": 64}, None),
        ({"size": 64, "fold": 8}, None),
        ({"blocks": 2}, [32]),
        ({"size": 64, "fold": 4, "blocks": 2}, [32, 64]),
        ({"channels": (32, 64)}, None),
        ({"channels": (32, 64), "blocks": 2}, None),
    ],
)
def test_a_network_grows_by_blocks_and_by_doubling_its_side_and_its_fold_alone(change, sizes):
    found = between(SMALL, replace(SMALL, **change))
    assert (found and [network.size for network in found]) == sizes
    if sizes:
        assert found[-1] == replace(SMALL, **change)
        assert all(network.blocks == change.get("blocks", 1) for network in found)
        assert between(found[-1], SMALL) == ([] if "blocks" not in change else None)
