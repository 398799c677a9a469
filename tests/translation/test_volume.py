from __future__ import annotations

import numpy as np
import pytest
import torch

from medtranslate.checkpoint import load_model
from medtranslate.phantom import study
from medtranslate.transforms import to_axial
from medtranslate.translation import framed_alone, sample_volume, translate_volume
from medtranslate.translation.stack import stack
from medtranslate.translation.volume import _noise


@pytest.fixture(scope="module")
def head():
    return study(910_001, size=40, spacing=6.0)


@pytest.fixture(scope="module")
def model(small_model):
    return load_model(str(small_model))


def test_a_seed_gives_the_same_spread_whatever_the_batch(head, model):
    one = sample_volume(head.mr, model, "ct", 1, samples=3, seed=5)
    all_at_once = sample_volume(head.mr, model, "ct", 64, samples=3, seed=5)
    torch.testing.assert_close(one.spread.as_tensor(), all_at_once.spread.as_tensor(), atol=1e-3, rtol=0)
    again = sample_volume(head.mr, model, "ct", 64, samples=3, seed=5)
    assert torch.equal(all_at_once.spread.as_tensor(), again.spread.as_tensor())
    other = sample_volume(head.mr, model, "ct", 64, samples=3, seed=6)
    assert not torch.allclose(other.spread.as_tensor(), again.spread.as_tensor(), atol=1e-2)


def test_samples_leave_the_translation_as_it_is(head, model):
    plain, record = translate_volume(head.mr, model, "ct")
    sampled = sample_volume(head.mr, model, "ct", samples=2)
    assert torch.equal(plain.as_tensor(), sampled.volume.as_tensor())
    assert record.uncertainty is None
    found = sampled.record.uncertainty
    assert (found.samples, found.seed, found.unit) == (2, 0, "HU")
    assert "not the error" in found.meaning


@pytest.mark.parametrize(("to", "gain"), [("ct", 60.0), ("mr", 500.0)])
def test_the_spread_is_the_standard_deviation_of_decoded_samples(head, model, to, gain):
    source = head.mr if to == "ct" else head.ct
    done = sample_volume(source, model, to, samples=4, seed=1)
    seen = stack(source, "mr" if to == "ct" else "ct", model)
    place = int(seen.shown()[len(seen.shown()) // 2])
    generator, one = model.translator(to), torch.tensor([place])
    posterior = generator.encode(seen.framed(one, 32))
    shape = posterior.mean.shape[1:]
    drawn = [
        seen.unframed(
            generator.decode(posterior.mean + (posterior.log_variance / 2).exp() * _noise(shape, 1, k, place))
        )
        for k in range(4)
    ]
    expected = np.std(torch.cat(drawn).numpy(), axis=0, ddof=1)[0].T * gain
    found = to_axial(done.spread).numpy()[0, :, :, place]
    assert found.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * gain)


def test_the_spread_is_an_image_of_no_modality_and_zero_where_nothing_is_translated(head, model):
    done = sample_volume(head.mr, model, "ct", samples=2)
    assert "modality" not in done.spread.meta
    assert done.spread[0, 0, 0, 0] == 0
    assert torch.equal(done.spread.affine, head.mr.affine)


def test_noise_of_slices_and_samples_is_independent():
    shape = torch.Size((4, 32, 32))
    drawn = [_noise(shape, *key).flatten() for key in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))]
    correlations = torch.corrcoef(torch.stack(drawn)) - torch.eye(4)
    assert correlations.abs().max() < 0.08
    assert abs(float(torch.cat(drawn).std()) - 1) < 0.02


def test_the_frame_alone_gives_a_smoothed_source(head, model):
    seen = framed_alone(head.ct, "ct", model)
    window = head.ct.as_tensor().clamp(-20, 100)
    error = (seen.as_tensor() - window).abs().mean()
    assert 0 < error < 10
    assert seen.meta["modality"] == "ct"
