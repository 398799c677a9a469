"""Generators that see the slices beside the one that they translate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medtranslate.checkpoint import load_model, save_model
from medtranslate.config import NetworkSettings, ScaleSettings
from medtranslate.io import Volume
from medtranslate.model import Batch, Generators, PassSettings
from medtranslate.networks import VariationalGenerator
from medtranslate.phantom import study
from medtranslate.translation import sample_volume, translate_volume
from medtranslate.translation.framed import frame

SMALL = NetworkSettings(
    size=32, channels=(8, 8), latent_channels=4, fine=2, neighbours=1, discriminator_channels=(8, 8, 8)
)


@pytest.fixture(scope="module")
def head():
    return study(910_001, size=40, spacing=6.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("neighbours")
    means = {"ct": torch.zeros(1, 32, 32), "mr": torch.zeros(1, 32, 32)}
    known = {"name": "stacked", "summary": "Random.", "network": SMALL, "scale": ScaleSettings()}
    save_model(folder, Generators(SMALL), means, **known)
    return load_model(str(folder))


def test_a_slice_without_neighbours_stands_for_them():
    torch.manual_seed(0)
    generator = VariationalGenerator(SMALL).eval()
    alone, other = torch.rand(2, 2, 1, 32, 32) * 2 - 1
    own, beside = alone.expand(-1, 3, -1, -1), torch.cat([alone, alone, other], dim=1)
    assert torch.equal(generator(alone).image, generator(own).image)
    assert not torch.allclose(generator(alone).image, generator(beside).image)
    # Edges are of the slice alone.
    fine = [generator.encode(given).parts[1].mean for given in (alone, beside)]
    assert torch.equal(*fine)


def test_slices_with_and_without_neighbours_share_a_step():
    torch.manual_seed(0)
    generators = Generators(SMALL)
    alone = {name: torch.rand(2, 1, 32, 32) for name in ("ct", "mr", "anchor_ct", "anchor_wanted")}
    batch = Batch(**alone, anchor_mr=torch.rand(2, 3, 32, 32), anchor_shown=torch.rand(2, 3, 32, 32))
    passes = generators(batch, PassSettings(cycle=True, identity=True, noise=0.0))
    for image in (passes.cycled_ct, passes.cycled_mr, passes.anchor.fake_ct, passes.anchor.fake_mr):
        assert image.shape == (2, 1, 32, 32)
    passes.anchor.fake_ct.square().sum().backward()
    below, above = generators.to_ct.encoder[0].conv.weight.grad[:, 16:48].split(16, dim=1)
    assert below.abs().sum() > 0
    assert above.abs().sum() > 0


@pytest.mark.parametrize("flipped", [False, True])
def test_the_neighbours_of_a_slice_lie_below_and_above_it(head, model, flipped):
    source = head.mr
    if flipped:  # the same head, stored from top to bottom
        turned = source.affine @ np.diag([1.0, 1.0, -1.0, 1.0])
        turned[:3, 3] = (source.affine @ [0, 0, source.shape[2] - 1, 1])[:3]
        source = Volume(source.values[:, :, ::-1].copy(), turned, source.meta)
    seen = frame(source, "mr", model)
    last = seen.shape[0] - 1
    stacks = seen.framed(np.array([0, 15, last]), 32, 2)
    wanted = [[0, 0, 0, 1, 2], [15, 14, 13, 16, 17], [last, last - 1, last - 2, last, last]]
    for stack, places in zip(stacks, wanted, strict=True):
        assert torch.equal(stack[:, None], seen.framed(np.array(places), 32))
    assert seen.axial.affine[2, 2] > 0  # the next slice is the one above


@pytest.mark.parametrize("batch", [1, 7])
def test_a_volume_is_translated_with_the_neighbours_of_each_slice(head, model, batch):
    made, _ = translate_volume(head.mr, model, "ct", batch)
    seen = frame(head.mr, "mr", model)
    wanted = seen.blank()
    with torch.inference_mode():
        image = model.generators.to_ct(seen.framed(seen.shown, 32, 1)).image
        alone = model.generators.to_ct(seen.framed(seen.shown, 32)).image
    assert not torch.allclose(image, alone, atol=1e-2)
    wanted[seen.shown, *seen.box] = seen.unframed(image)
    expected = seen.volume(wanted, "ct", model.description.scale).values
    inside = made.values > made.values.min()  # beside the head is air
    np.testing.assert_allclose(made.values[inside], expected[inside], atol=1e-2, rtol=0)


def test_a_picture_is_translated_as_a_stack_of_its_copies(head, model):
    one = head.mr.with_values(head.mr.values[..., 18:19])
    three = head.mr.with_values(np.repeat(one.values, 3, axis=2))
    alone, stacked = (sample_volume(each, model, "ct", samples=2) for each in (one, three))
    np.testing.assert_allclose(alone.volume.values[..., 0], stacked.volume.values[..., 1], atol=0.1)
    np.testing.assert_allclose(alone.uncertainty.values[..., 0], stacked.uncertainty.values[..., 0], atol=0.1)
