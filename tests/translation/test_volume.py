from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from medtranslate import metrics
from medtranslate.checkpoint import Model, load_model
from medtranslate.config import NetworkSettings
from medtranslate.io import Meta, Volume
from medtranslate.io.layout import from_axial, pixel_mm, to_axial, to_slices
from medtranslate.modality import OTHER
from medtranslate.phantom import study
from medtranslate.records import Calibration, Curve
from medtranslate.runtime import staged
from medtranslate.transforms import (
    AIR,
    VISIBLE,
    denormalise,
    find_frame,
    input_curve,
    into_frame,
    isolate,
    normalise,
    out_of_frame,
)
from medtranslate.translation import as_spoken, framed_alone, passes, sample_volume, translate_volume
from medtranslate.translation.air import find_outline
from medtranslate.translation.framed import Framed, frame
from medtranslate.translation.uncertainty import noise
from medtranslate.translation.volume import translate_framed


@pytest.fixture(scope="module")
def head():
    return study(910_001, size=40, spacing=6.0)


@pytest.fixture(scope="module")
def model(small_model):
    return load_model(str(small_model))


def test_a_seed_gives_the_same_spread_whatever_the_batch(head, model):
    one = sample_volume(head.mr, model, "ct", 1, samples=3, seed=5)
    all_at_once = sample_volume(head.mr, model, "ct", 64, samples=3, seed=5)
    np.testing.assert_allclose(one.uncertainty.values, all_at_once.uncertainty.values, atol=1e-3, rtol=0)
    again = sample_volume(head.mr, model, "ct", 64, samples=3, seed=5)
    assert np.array_equal(all_at_once.uncertainty.values, again.uncertainty.values)
    other = sample_volume(head.mr, model, "ct", 64, samples=3, seed=6)
    assert not np.allclose(other.uncertainty.values, again.uncertainty.values, atol=1e-2)


def test_samples_leave_the_translation_as_it_is(head, model):
    plain, record = translate_volume(head.mr, model, "ct")
    sampled = sample_volume(head.mr, model, "ct", samples=2)
    assert np.array_equal(plain.values, sampled.volume.values)
    assert record.uncertainty is None
    found = sampled.record.uncertainty
    assert (found.samples, found.seed, found.unit) == (2, 0, "HU")
    assert "not the error" in found.meaning


@pytest.mark.parametrize(("to", "gain"), [("ct", 60.0), ("mr", 500.0)])
def test_the_spread_is_the_standard_deviation_of_decoded_samples(head, model, to, gain):
    source = head.mr if to == "ct" else head.ct
    done = sample_volume(source, model, to, samples=4, seed=1)
    seen = frame(source, "mr" if to == "ct" else "ct", model)
    place = int(seen.shown[len(seen.shown) // 2])
    generator, one = model.translator(to), np.array([place])
    posterior = generator.encode(seen.framed(one, 32))
    shape = posterior.mean.shape[1:]
    noises = [torch.from_numpy(noise(shape, 1, k, place)) for k in range(4)]
    drawn = [seen.unframed(generator.decode(posterior.at(each))) for each in noises]
    rows, columns = seen.box
    inside = allowed(seen)[place, rows, columns]
    expected = (np.std(np.concatenate(drawn), axis=0, ddof=1) * inside).T * gain
    found = to_axial(done.uncertainty).values[columns, rows, place]
    assert found.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * gain)


@pytest.mark.parametrize(
    ("share", "quantity", "meaning"),
    [
        (None, "Calibrated standard deviation, 3 samples", "root mean square error"),
        (0.9, "90% error limit, 3 samples", "90% of the errors of such voxels"),
    ],
)
def test_a_calibrated_model_gives_the_errors_of_its_curve_inside_the_head(
    head, model, share, quantity, meaning
):
    raw = sample_volume(head.mr, model, "ct", samples=3)
    units = raw.uncertainty.values / 60
    spread = np.quantile(units[units > 0], [0.2, 0.5, 0.8])
    curve = Curve(value=0.0, spread=tuple(spread), error=(0.1, 0.2, 0.4))
    known = Calibration(curves=(curve,), on="three heads", share=share)
    description = replace(model.description, calibration={"ct": known})
    done = sample_volume(head.mr, Model(description, model.generators, model.means), "ct", samples=3)
    assert np.array_equal(done.volume.values, raw.volume.values)
    found, inside = done.uncertainty.values, done.uncertainty.values > 0
    assert inside.any()
    np.testing.assert_allclose(
        found[inside], 60 * np.interp(units[inside], spread, [0.1, 0.2, 0.4]), rtol=1e-4
    )
    assert found[0, 0, 0] == 0
    record = done.record.uncertainty
    assert record.mean_std == pytest.approx(found[inside].mean(), rel=1e-4)
    assert (record.calibrated_on, record.share, record.quantity) == ("three heads", share, quantity)
    assert meaning in record.meaning
    assert raw.record.uncertainty.calibrated_on is None
    # The other direction was not measured.
    other = sample_volume(head.ct, Model(description, model.generators, model.means), "mr", samples=2)
    assert "not calibrated" in other.record.uncertainty.meaning


def test_what_the_skull_of_the_source_encloses_has_curves_of_its_own(head, model):
    rest, own = (Curve(value=0.0, spread=(0.0,), error=(error,)) for error in (0.8, 0.1))
    known = Calibration(curves=(rest,), enclosed=(own,), on="three heads", share=0.9)
    description = replace(model.description, calibration={"mr": known})
    done = sample_volume(head.ct, Model(description, model.generators, model.means), "mr", samples=2)
    ct, found = head.ct.values, done.uncertainty.values
    lower, upper = done.record.model.output_range
    skull = metrics.enclosed(ct.T > 88).T
    inside = found > 0
    # But for a few voxels that lie outside the head's outline, which become air.
    for part, error in ((inside & skull, 0.1), (inside & ~skull, 0.8)):
        assert np.isclose(found[part], error * (upper - lower) / 2).mean() > 0.99
    assert (inside & ~skull).any()


@pytest.mark.parametrize("to", ["ct", "mr"])
def test_a_shipped_model_is_about_as_far_off_as_it_says(to):
    head = study(910_002, size=48, spacing=5.0)
    source, truth = (head.mr, head.ct) if to == "ct" else (head.ct, head.mr)
    model = load_model("phantom")
    done = sample_volume(source, model, to, samples=4)
    wanted = truth if to == "ct" else as_spoken(truth, "mr", model)
    lower, upper = done.record.model.output_range
    errors = np.abs(done.volume.values - wanted.values.clip(lower, upper))
    mask = done.uncertainty.values > 0
    found = metrics.coverage(done.uncertainty.values, errors, mask)
    assert 0.7 < found.rms_ratio < 1.4
    assert 0.85 < found.within_2_sd < 0.99


def test_the_spread_is_an_image_of_no_modality_and_zero_where_nothing_is_translated(head, model):
    done = sample_volume(head.mr, model, "ct", samples=2)
    assert done.uncertainty.meta.modality is None
    assert done.uncertainty.values[0, 0, 0] == 0
    assert np.array_equal(done.uncertainty.affine, head.mr.affine)


def whole(source, model, to):
    """The steps of a translation one after the other, each on the whole volume."""
    description, modality = model.description, OTHER[to]
    axial = to_axial(source)
    unit = normalise(axial.values, modality, description.scale)
    slices = torch.from_numpy(to_slices(unit).copy())[:, None]
    network = description.network
    found, head = find_frame(
        slices, modality, network.margin, pixel_mm(axial), scale=description.scale, around=network.frame
    )
    seen = isolate(slices, head)
    shown = (seen > 2 * VISIBLE - 1).flatten(1).any(dim=1).nonzero().flatten()
    made = torch.full_like(slices, AIR)
    for places in shown.split(7):
        image = model.translator(to)(into_frame(seen[places], found, description.network.size)).image
        made[places] = out_of_frame(image, found, tuple(slices.shape[2:])).clamp(-1, 1)
    lower, upper = input_curve(axial.values, modality, description.scale)
    saturated = float(((axial.values < lower) | (axial.values > upper)).mean())
    planes = made[:, 0].numpy()
    planes[~allowed(frame(source, modality, model))] = AIR
    output = from_axial(axial.with_values(to_slices(denormalise(planes, to, description.scale))), source)
    return output, saturated, [curved(volume) for volume in (slices[:, 0].numpy(), planes)]


def allowed(seen):
    """The head with its rim [Z, Y, X], on the source's own pixels."""
    found = find_outline(seen)
    wide = np.kron(found.allowed, np.ones((1, *found.step), dtype=bool))
    return wide[:, : seen.shape[1], : seen.shape[2]]


def curved(slices):
    unit = to_slices(slices)
    return metrics.seams(unit, unit > 2 * VISIBLE - 1, (-1.0, 1.0))


@pytest.mark.parametrize("to", ["ct", "mr"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_volume_in_slabs_is_bit_for_bit_that_of_whole_arrays(model, monkeypatch, to, order):
    # Slabs of a slice or two, the last one thinner.
    monkeypatch.setattr("medtranslate.translation.framed.SLAB", 2000)
    given = study(910_002, size=101, spacing=2.4)
    source = given.mr if to == "ct" else given.ct
    values = np.ascontiguousarray(source.values.transpose(order))
    source = Volume(values, source.affine[:, [*order, 3]], Meta(modality=OTHER[to]))
    made, record = translate_volume(source, model, to, 7)
    expected, saturated, (before, after) = whole(source, model, to)
    assert np.array_equal(made.values, expected.values)
    assert record.saturated == pytest.approx(saturated)
    assert record.seams == pytest.approx({"source": before, "output": after}, rel=1e-5)
    assert made.values.std() > 0


@pytest.mark.parametrize("stage", ["framed", "unframed", "seams"])
def test_a_stage_that_fails_ends_the_translation_and_leaves_no_thread(head, model, monkeypatch, stage):
    def fail(*given):
        raise ZeroDivisionError

    monkeypatch.setattr(Framed, stage, fail)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        translate_volume(head.mr, model, "ct", 2)
    assert threading.active_count() == before


@pytest.mark.parametrize("within", ["the network", "the callback"])
def test_an_interruption_ends_the_translation_and_leaves_no_thread(head, model, within):
    def interrupt(*given):
        raise KeyboardInterrupt

    before, network = threading.active_count(), model.translator("ct")
    hook = network.register_forward_hook(interrupt) if within == "the network" else None
    # What pytest holds keeps the frames of the translation alive.
    with pytest.raises(KeyboardInterrupt) as _held:
        translate_volume(head.mr, model, "ct", 2, advance=interrupt)
    assert threading.active_count() == before
    if hook is not None:
        hook.remove()


def test_a_model_of_slices_as_they_come_is_shown_them_so(model):
    network = replace(model.description.network, frame="slice")
    other = Model(replace(model.description, network=network), model.generators, model.means)
    source = study(910_002, size=60, spacing=4.0).mr
    made, expected = translate_volume(source, other, "ct", 7)[0], whole(source, other, "ct")[0]
    assert np.array_equal(made.values, expected.values)
    assert made.values.std() > 0


def test_several_stacks_share_their_passes_and_are_translated_as_alone(head, model):
    passes = []
    model.translator("ct").register_forward_hook(lambda _, given, made: passes.append(len(given[0])))
    slices = [head.mr.with_values(head.mr.values[..., z : z + 1]) for z in (15, 17, 19, 21, 23)]
    framed = [frame(source, "mr", model) for source in slices]
    together = translate_framed(framed, model, "ct", 4, samples=2)
    assert passes == [4, 1]
    for source, done in zip(slices, together, strict=True):
        alone = sample_volume(source, model, "ct", samples=2)
        np.testing.assert_allclose(done.volume.values, alone.volume.values, atol=1e-3, rtol=0)
        np.testing.assert_allclose(done.uncertainty.values, alone.uncertainty.values, atol=1e-3, rtol=0)


def test_a_pass_holds_as_many_slices_as_fit(monkeypatch):
    cpu = torch.device("cpu")

    def taken(size, free):
        monkeypatch.setattr(passes, "free_memory", lambda device: free)
        return passes.slices_per_pass(NetworkSettings(size=size), cpu)

    assert [taken(size, 2**40) for size in (128, 256, 512, 1024)] == [16, 4, 1, 1]
    assert [taken(256, free) for free in (0, 2**30, 2**31)] == [1, 2, 4]


def test_the_threads_of_the_stages_compute_with_as_many_as_are_asked_for():
    before = torch.get_num_threads()
    try:
        for wanted in (1, 3):
            torch.set_num_threads(wanted)
            found = staged(
                [0],
                lambda _: [torch.get_num_threads()],
                lambda counts: [*counts, torch.get_num_threads()],
                lambda counts: [*counts, torch.get_num_threads()],
            )
            assert list(found) == [[wanted] * 3]
    finally:
        torch.set_num_threads(before)


def test_bfloat16_changes_little_and_is_said(head, small_model, model):
    coarse = load_model(str(small_model), precision=torch.bfloat16)
    exact, record = translate_volume(head.mr, model, "ct")
    near, said = translate_volume(head.mr, coarse, "ct")
    assert (record.precision, said.precision) == ("float32", "bfloat16")
    apart = np.abs(exact.values - near.values)
    assert 0 < apart.max() < 0.02 * 120
    posterior = coarse.translator("ct").encode(torch.zeros(1, 1, 32, 32))
    assert posterior.mean.dtype == posterior.log_variance.dtype == torch.float32


def test_noise_of_slices_and_samples_is_independent():
    drawn = [noise((4, 32, 32), *key).ravel() for key in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))]
    assert np.abs(np.corrcoef(drawn) - np.eye(4)).max() < 0.08
    assert abs(np.std(drawn) - 1) < 0.02


def test_the_frame_alone_gives_a_smoothed_source(head, model):
    seen = framed_alone(head.ct, "ct", model)
    error = np.abs(seen.values - head.ct.values.clip(-20, 100)).mean()
    assert 0 < error < 10
    assert seen.meta.modality == "ct"
