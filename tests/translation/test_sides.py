"""Volumes are translated from three sides."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medtranslate.checkpoint import load_model, save_model
from medtranslate.config import NetworkSettings, ScaleSettings, TranslateSettings
from medtranslate.errors import ModelRefused
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import Meta, Volume
from medtranslate.model import Generators
from medtranslate.networks import Generated, Posterior
from medtranslate.phantom import study
from medtranslate.transforms import unscale_ct
from medtranslate.translation import sample_volume, translate_volume
from medtranslate.translation.contrast import open_model
from medtranslate.translation.framed import frame
from medtranslate.translation.sides import agree, air_and_bone, sides, slices_of
from medtranslate.translation.volume import translate_framed

SMALL = NetworkSettings(
    size=64, channels=(8, 8), latent_channels=4, neighbours=1, planes=3, discriminator_channels=(8, 8, 8)
)
VALUES = st.floats(-1, 1, width=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("planes")
    means = {"ct": torch.zeros(1, 64, 64), "mr": torch.zeros(1, 64, 64)}
    known = {"name": "threefold", "summary": "Random.", "network": SMALL, "scale": ScaleSettings()}
    save_model(folder, Generators(SMALL), means, **known)
    return folder


@pytest.fixture
def model(folder):
    return load_model(str(folder))


@pytest.fixture(scope="module")
def head():
    """A small head, so that few voxels are thin."""
    whole = study(910_001, size=56, spacing=4.4).mr
    return Volume(whole.values, whole.affine @ np.diag([0.45, 0.45, 0.45, 1.0]), whole.meta)


class HandsOn:
    """A generator that translates each slice into itself."""

    def __init__(self, model):
        self.parameters = model.generators.to_ct.parameters

    def __call__(self, slices):
        nothing = torch.zeros(len(slices), 4, 1, 1)
        return Generated(slices[:, :1], Posterior(nothing, nothing))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_volume_comes_back_from_its_three_sides_in_its_place(head, model, order, monkeypatch):
    """In axial, sagittal and coronal storage; a side that were turned or flipped would not agree."""
    monkeypatch.setattr(model, "translator", lambda to: HandsOn(model))
    stored = Volume(head.values.transpose(order), head.affine[:, [*order, 3]], head.meta)
    threefold, record = translate_volume(stored, model, "ct")
    axial, alone = translate_volume(stored, model.axial(), "ct")
    assert (record.planes, alone.planes) == (3, 1)
    error = np.abs(threefold.values - axial.values)
    span = np.ptp(axial.values)
    assert error.mean() < 0.01 * span  # three resamplings differ by a little
    assert np.quantile(error, 0.99) < 0.2 * span
    np.testing.assert_array_equal(threefold.affine, stored.affine)


def test_a_side_shows_the_head_upright(head, model):
    """Its vertex is above; coronal slices run from front to back, and sagittal ones from right to left."""
    seen = frame(head, "mr", model)
    coronal, sagittal = sides(seen, model)
    depth, rows, columns = seen.shape
    assert coronal.shape == (rows, depth, columns)
    assert sagittal.shape == (columns, depth, rows)
    for z, y, x in ((3, 20, 30), (40, 31, 12)):
        assert coronal.slices[y, depth - 1 - z, x] == seen.slices[z, y, x]
        assert sagittal.slices[x, depth - 1 - z, y] == seen.slices[z, y, x]


def test_each_side_is_framed_around_the_head(model):
    """A head that is higher than wide fills the frame of its side, too."""
    values = np.zeros((60, 60, 60), np.float32)
    values[25:35, 20:40, 4:56] = 500.0
    seen = frame(Volume(values, np.diag([-2.0, -2.0, 2.0, 1.0]), Meta(modality="mr")), "mr", model)
    assert seen.frame.height < 30
    for side in sides(seen, model):
        assert side.frame.height > 52
        assert side.frame.height == side.frame.width


@pytest.mark.parametrize(
    ("zooms", "found"),
    [((1.8, 1.8, 1.8), True), ((1.7, 1.7, 6.5), True), ((1.8, 1.8, 6.8), False), ((6.8, 2, 2), False)],
)
def test_volumes_have_sides_but_for_the_thickest(head, model, zooms, found):
    volume = Volume(head.values, np.diag([*zooms, 1.0]), head.meta)
    seen = frame(volume, "mr", model)
    assert len(sides(seen, model)) == (2 if found else 0)


def test_finer_pixels_do_not_cost_more_slices_from_the_side(head, model, monkeypatch):
    """Of pixels of half a millimetre every second slice is translated, and stands for the next one, too."""
    monkeypatch.setattr(model, "translator", lambda to: HandsOn(model))
    quarters = head.values.repeat(4, axis=0).repeat(4, axis=1)
    fine = Volume(quarters, head.affine @ np.diag([0.25, 0.25, 1.0, 1.0]), head.meta)
    seen = frame(fine, "mr", model)
    for side in sides(seen, model):
        assert set(np.diff(side.shown)) == {2}
    assert slices_of(seen, model) < 0.6 * sum(seen.shape)
    threefold, axial = (translate_volume(fine, each, "ct")[0].values for each in (model, model.axial()))
    error = np.abs(threefold - axial)
    assert error.mean() < 0.01 * np.ptp(axial)
    assert np.quantile(error, 0.99) < 0.2 * np.ptp(axial)


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_slab_has_no_sides(head, model, count):
    """Its slices are thin, and from the side there is a strip of a head."""
    slab = head.with_values(head.values[:, :, 28 : 28 + count])
    assert sides(frame(slab, "mr", model), model) == []
    made, record = translate_volume(slab, model, "ct")
    assert made.shape == slab.shape
    assert record.planes == 1


def test_pictures_and_models_of_axial_slices_have_no_sides(head, model):
    seen = frame(head, "mr", model)
    picture = replace(seen, axial=seen.axial.with_meta(levels=255))
    assert sides(picture, model) == []
    assert sides(seen, model.axial()) == []
    assert len(sides(seen, model)) == 2


def test_a_model_of_axial_slices_is_left_as_it_is(head, model):
    thick = Volume(head.values, np.diag([1.0, 1.0, 7.0, 1.0]), head.meta)
    both = [translate_volume(thick, each, "ct")[0].values for each in (model, model.axial())]
    np.testing.assert_array_equal(*both)


def agreed(three, ends, slice_mm=3.0):
    """Agree on three translations [3, Z, Y, X]."""
    axial, second, third = three.copy()
    turned = second.transpose(1, 0, 2)[:, ::-1], third.transpose(2, 0, 1)[:, ::-1]
    around = [(SimpleNamespace(shown=np.arange(len(side))), side) for side in turned]
    agree(SimpleNamespace(slice_mm=slice_mm), axial, around, ends)
    return axial


@pytest.mark.parametrize(("slice_mm", "share"), [(2.0, 0.5), (3.0, 1.0)])
@given(three=arrays(np.float32, (3, 2, 4, 3), elements=VALUES))
def test_three_translations_agree_on_bone_that_two_show_and_air_that_one_does(slice_mm, share, three):
    """In bone the densest one is kept, and the mean of the two densest ones in thin slices."""
    least, middle, most = np.sort(three, axis=0)
    air, bone = -0.5, 0.25
    expected = np.where(least < air, least, middle)
    expected = np.where(middle >= bone, middle + share * (most - middle), expected)
    np.testing.assert_allclose(agreed(three, (air, bone), slice_mm), expected, rtol=0, atol=1e-6)


@given(three=arrays(np.float32, (3, 2, 4, 3), elements=VALUES))
def test_three_translations_to_mr_agree_on_their_mean(three):
    np.testing.assert_allclose(agreed(three, None), three.mean(axis=0), rtol=0, atol=1e-6)


def spanning(model, scale):
    """Give a model another scale of values."""
    return SimpleNamespace(description=replace(model.description, scale=scale))


def test_air_and_bone_are_those_of_ct_in_hu(model):
    scale = ScaleSettings(ct_window=(-1000.0, 2000.0), ct_knots=(-100.0, 100.0))
    found = air_and_bone("ct", spanning(model, scale))
    hu = unscale_ct(np.array(found, np.float32), scale.ct_curve)
    assert hu == pytest.approx([-700.0, 100.0], abs=0.5)
    assert air_and_bone("mr", model) is None


def test_a_ct_whose_window_has_no_air_keeps_the_middle_one(model):
    """Black stands for all that is darker than the window, fluid among it."""
    air, _ = air_and_bone("ct", spanning(model, ScaleSettings(ct_window=(-20.0, 100.0))))
    three = np.zeros((3, 2, 4, 3), np.float32)
    three[2] = -1
    assert not agreed(three, (air, np.inf)).any()


def test_the_mean_image_is_that_of_axial_slices(head, model):
    model.means["ct"][:, 20:40, 16:30] = 0.8
    both = [mean_image(head, each, "ct").values for each in (model, model.axial())]
    np.testing.assert_array_equal(*both)


def test_gate_and_progress_count_the_volume_and_its_slices(head, model):
    done = []
    made, record = translate_volume(head, model, "ct", advance=done.append)
    seen = frame(head, "mr", model)
    shown = sum(len(each.shown) for each in (seen, *sides(seen, model)))
    assert sum(done) == shown <= slices_of(seen, model)
    assert made.shape == head.shape
    assert record.seams is not None


def test_volumes_that_share_passes_keep_their_own_sides(head, model):
    """Among them one without sides, which stands between the others."""
    slab, other = head.with_values(head.values[:, :, :30]), head.with_values(head.values[::-1])
    volumes = [frame(volume, "mr", model) for volume in (head, slab, other)]
    together = translate_framed(volumes, model, "ct", 8)
    assert [made.record.planes for made in together] == [3, 1, 3]
    for seen, made in zip(volumes, together, strict=True):
        (alone,) = translate_framed([seen], model, "ct", 8)
        np.testing.assert_allclose(made.volume.values, alone.volume.values, atol=0.5)


@pytest.mark.parametrize(("samples", "share"), [(0, 1.0), (2, 0.5)])
def test_uncertainty_is_that_of_the_axial_slices_and_grows_where_the_sides_differ(
    head, tmp_path, samples, share
):
    """A limit by the whole difference; a deviation, two of which are a limit, by half of it."""
    network = replace(SMALL, limits=True)
    means = {"ct": torch.zeros(1, 64, 64), "mr": torch.zeros(1, 64, 64)}
    known = {"name": "limited", "summary": "Random.", "network": network, "scale": ScaleSettings()}
    save_model(tmp_path, Generators(network), means, **known)
    model = load_model(str(tmp_path))
    three, alone = (
        sample_volume(head, each, "ct", samples=samples, limits=True) for each in (model, model.axial())
    )
    apart = np.abs(three.volume.values - alone.volume.values)
    both = (three.uncertainty.values > 0) & (alone.uncertainty.values > 0)
    expected = alone.uncertainty.values + share * apart
    assert np.median(apart[both]) > 0.1
    np.testing.assert_allclose(three.uncertainty.values[both], expected[both], rtol=1e-4, atol=0.005)


def test_planes_are_asked_for(folder, tmp_path):
    settings = TranslateSettings(input=folder, output=tmp_path / "a.nii.gz", to="ct", model=str(folder))
    assert open_model(settings).planes == 3
    assert open_model(replace(settings, planes=3)).planes == 3
    assert open_model(replace(settings, planes=1)).planes == 1
    with pytest.raises(ModelRefused, match=r"phantom: knows axial slices alone, and --planes 3 is given"):
        open_model(replace(settings, model="phantom", planes=3))
