"""A generator of MR that is told the brightness of the tissues."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medtranslate.config import NetworkSettings
from medtranslate.model import Batch, Generators, PassSettings
from medtranslate.networks import Told, VariationalGenerator
from medtranslate.phantom import TOLD, nominal_brightness

SMALL = NetworkSettings(size=32, channels=(8, 16), latent_channels=4, told=len(TOLD))


def test_it_answers_in_the_contrast_that_it_is_told():
    torch.manual_seed(0)
    generator = VariationalGenerator(SMALL).eval()
    image = torch.rand(2, 1, 32, 32) * 2 - 1
    t1, t2 = (torch.from_numpy(nominal_brightness(name)) for name in ("t1", "t2"))
    both = generator(image, torch.stack([t1, t2])).image
    for index, told in enumerate((t1, t2)):
        alone = Told(generator, told)
        torch.testing.assert_close(alone(image).image[index], both[index])
        posterior = alone(image).posterior
        torch.testing.assert_close(alone.decode(posterior.mean), alone(image).image)
    assert not torch.allclose(Told(generator, t1)(image).image, Told(generator, t2)(image).image)


def test_its_loss_reaches_the_weights_that_mix():
    generators = Generators(SMALL)
    images = {name: torch.zeros(2, 1, 32, 32) for name in ("anchor_ct", "anchor_mr", "anchor_wanted")}
    batch = Batch(**images, anchor_told=torch.rand(2, len(TOLD)))
    passes = generators(batch, PassSettings(cycle=False, identity=False, noise=0.0))
    passes.anchor.fake_mr.square().sum().backward()
    assert generators.to_mr.mix[0].weight.grad.abs().sum() > 0


def test_unpaired_ct_becomes_mr_in_the_contrast_of_the_mr_beside_it():
    """Which the generator of CT sees, and in which the MR comes back; CT is judged as a picture shows it."""
    torch.manual_seed(0)
    generators = Generators(replace(SMALL, seen=len(TOLD)))
    told = list[torch.Tensor]()
    forward = generators.to_mr.forward
    generators.to_mr.forward = lambda image, brightness, draw: (
        told.append(brightness) or forward(image, brightness, draw=draw)
    )
    images = {
        name: torch.rand(2, 1, 32, 32) for name in ("ct", "mr", "anchor_ct", "anchor_mr", "anchor_wanted")
    }
    batch = Batch(**images, anchor_told=torch.rand(2, len(TOLD)))
    passes = generators(batch, PassSettings(cycle=True, identity=True, noise=0.0, shown=(-0.1, 0.1)))
    seen = generators.to_ct.seen(batch.mr)
    torch.testing.assert_close(told[0], torch.cat([seen, batch.anchor_told]))
    torch.testing.assert_close(told[1], torch.cat([seen, seen]))
    for ct in (passes.fake_ct, passes.cycled_ct, passes.identity_ct):
        assert ct.abs().max() <= 0.1
    assert passes.anchor.fake_ct.abs().max() > 0.1
    assert not told[1].requires_grad


def test_ct_is_told_nothing_and_others_keep_their_weights():
    assert not hasattr(Generators(SMALL).to_ct, "mix")
    untold = Generators(replace(SMALL, told=0))
    assert list(untold.to_mr.state_dict()) == list(untold.to_ct.state_dict())


@pytest.mark.parametrize(
    ("contrast", "brighter", "darker"),
    [
        ("t1", "white matter", "csf"),
        ("t2", "csf", "white matter"),
        ("flair", "grey matter", "csf"),
        ("pd", "grey matter", "white matter"),
    ],
)
def test_contrasts_are_those_of_the_sequences(contrast, brighter, darker):
    told = dict(zip(TOLD, nominal_brightness(contrast), strict=True))
    assert told[brighter] > told[darker] + 0.1


def test_contrast_agent_brightens_the_blood():
    before, after = (dict(zip(TOLD, nominal_brightness(name), strict=True)) for name in ("t1", "t1c"))
    assert after["venous blood"] > before["venous blood"] + 0.3
    assert abs(after["white matter"] - before["white matter"]) < 0.3
