from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Compose

from medtranslate.config import AugmentSettings, ScaleSettings
from medtranslate.errors import InputRefused
from medtranslate.transforms import (
    AIR,
    AugmentedCopyd,
    AxialLayoutd,
    FrameHeadd,
    Normalised,
    augment,
    find_frame,
    from_axial,
    from_slices,
    in_other_units,
    into_frame,
    isolate,
    noisy_ct,
    normalise,
    out_of_frame,
    scale_ct,
    shaded_ct,
    shown_otherwise,
    soft_ct,
    to_axial,
    to_slices,
    units_per_step,
    unscale_ct,
)

SCALE = ScaleSettings()


def head(shape: tuple[int, int, int] = (60, 70, 10), *, modality: str = "ct") -> MetaTensor:
    """An ellipse of tissue in air with a thin arc (headrest) behind it; LPS layout, 3 x 2 x 5 mm."""
    x, y, _ = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = ((x - 30) / 15) ** 2 + ((y - 32) / 22) ** 2 < 1
    values = np.where(inside, 40.0, -1000.0) * np.ones(shape)
    values[10:50, 66:67] = 80.0
    if modality == "mr":
        values = np.maximum(values, 0)
    affine = torch.diag(torch.tensor([-3.0, -2.0, 5.0, 1.0], dtype=torch.float64))
    return MetaTensor(
        torch.from_numpy(values.astype(np.float32))[None], affine=affine, meta={"modality": modality}
    )


@given(st.floats(-2000, 3000), st.tuples(st.floats(-1000, 0), st.floats(1, 3000)))
def test_the_ct_scale_is_exact_inside_the_window_and_saturates_outside(value, window):
    scaled = scale_ct(torch.tensor([value], dtype=torch.float64), window)
    assert -1 <= scaled.item() <= 1
    expected = min(max(value, window[0]), window[1])
    assert unscale_ct(scaled, window).item() == pytest.approx(expected, abs=1e-6)


CURVED = ScaleSettings(
    ct_window=(-1000, 2000),
    ct_knots=(-150, -20, 4, 28, 52, 76, 100, 300, 1000),
    ct_picture=(-20, 100),
)


@given(st.lists(st.integers(-1500, 3000), min_size=3, max_size=12, unique=True), st.floats(-3000, 4000))
def test_a_curve_of_hu_rises_saturates_and_has_an_exact_inverse(knots, value):
    curve = tuple(sorted(float(knot) for knot in knots))
    scaled = scale_ct(np.array([value, value + 1.0]), curve)
    assert -1 <= scaled[0] <= scaled[1] <= 1
    expected = min(max(value, curve[0]), curve[-1])
    assert unscale_ct(scaled, curve)[0] == pytest.approx(expected, abs=1e-6)
    steps = scale_ct(np.array(curve), curve)
    np.testing.assert_allclose(np.diff(steps), 2 / (len(curve) - 1), atol=1e-6)


def test_a_curve_gives_the_brain_window_half_of_the_range():
    ends = scale_ct(np.array([-20.0, 100.0]), CURVED.ct_curve)
    assert ends[1] - ends[0] == pytest.approx(1.0)
    slopes = units_per_step(np.array([-0.9, 0.0, 0.9], np.float32), CURVED.ct_curve)
    np.testing.assert_allclose(slopes, [850 / 0.2, 24 / 0.2, 1000 / 0.2], rtol=1e-5)


def test_knots_that_do_not_rise_inside_the_window_are_refused():
    for knots in ((-30.0,), (50.0, 50.0), (120.0,)):
        with pytest.raises(ValueError, match="rise"):
            ScaleSettings(ct_knots=knots)


def test_black_of_a_windowed_picture_is_air_where_the_scale_reaches_it():
    grey = np.arange(256, dtype=np.float32)
    unit = normalise(grey, "ct", CURVED, levels=255)
    assert unit[0] == -1
    assert (np.diff(unit) > 0).all()
    hu = unscale_ct(unit, CURVED.ct_curve)
    window = -20 + grey * 120 / 255
    np.testing.assert_allclose(hu[60:], window[60:], atol=1e-3)  # the dark tenth leads down to air
    assert hu[255] == pytest.approx(100)


def test_a_picture_of_known_hu_is_scaled_as_a_volume_is():
    hu = np.array([-1000.0, -60.0, 40.0, 700.0], np.float32)
    as_picture = normalise(hu + 1024, "ct", CURVED, levels=65535, hu=(1.0, -1024.0))
    np.testing.assert_allclose(as_picture, normalise(hu, "ct", CURVED), atol=1e-5)


def test_arrays_and_tensors_are_scaled_alike():
    volume = np.array([-21.0, -20.0, 0.0, 100.0, 101.0], np.float32)
    scaled = normalise(volume, "ct", SCALE)
    assert scaled.tolist() == pytest.approx([-1, -1, -2 / 3, 1, 1])
    assert torch.equal(normalise(torch.from_numpy(volume), "ct", SCALE), torch.from_numpy(scaled))


def test_mr_goes_by_a_percentile_of_the_foreground_not_by_its_unit():
    torch.manual_seed(0)
    values = torch.rand(1, 30, 30, 4) * 300
    values[:, :20] = 0
    first, second = normalise(values, "mr", SCALE), normalise(values * 7, "mr", SCALE)
    torch.testing.assert_close(first, second)
    assert first[:, :20].max() == -1
    assert (first == 1).float().mean() == pytest.approx(0.005 / 3, rel=1.0)


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_a_constant_image_is_refused(modality):
    with pytest.raises(InputRefused, match="every voxel is 7"):
        normalise(np.full((8, 8, 2), 7.0, np.float32), modality, SCALE)


def test_an_mr_without_positive_signal_is_refused():
    with pytest.raises(InputRefused, match="foreground"):
        normalise(-torch.rand(1, 8, 8, 2), "mr", SCALE)


def test_a_ct_picture_is_its_window_already():
    picture = np.array([0.0, 255.0], np.float32)
    assert normalise(picture, "ct", SCALE, levels=255).tolist() == [-1, 1]


@settings(max_examples=30)
@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
def test_the_axial_layout_comes_back_exactly_from_any_orientation(order, signs):
    affine = torch.zeros(4, 4, dtype=torch.float64)
    affine[3, 3] = 1
    for axis, (row, sign) in enumerate(zip(order, signs, strict=True)):
        affine[row, axis] = sign * (axis + 1.5)
    source = MetaTensor(torch.arange(24.0).reshape(1, 2, 3, 4), affine=affine)
    axial = to_axial(source)
    assert torch.diag(axial.affine)[:3].sign().tolist() == [-1, -1, 1]
    # The same voxel lies at the same place.
    where = (axial.as_tensor() == 23).nonzero()[0, 1:].double()
    at = axial.affine[:3, :3] @ where + axial.affine[:3, 3]
    torch.testing.assert_close(
        at, source.affine[:3, :3] @ torch.tensor([1.0, 2, 3]).double() + source.affine[:3, 3]
    )
    back = from_axial(axial)
    assert torch.equal(back.as_tensor(), source.as_tensor())
    assert torch.equal(back.affine, source.affine)


def test_rows_run_from_anterior_to_posterior_and_columns_from_right_to_left():
    volume = MetaTensor(torch.zeros(1, 3, 4, 2), affine=torch.eye(4, dtype=torch.float64))
    volume[0, 2, 3, 1] = 1  # RAS: rightmost, most anterior, top
    (place,) = to_slices(to_axial(volume).as_tensor()).nonzero().tolist()
    assert place == [1, 0, 0, 0]


def test_slices_and_volumes_turn_into_each_other():
    volume = torch.rand(1, 3, 4, 5)
    assert to_slices(volume).shape == (5, 1, 4, 3)
    assert torch.equal(from_slices(to_slices(volume)), volume)


def test_the_frame_is_square_in_millimetres_around_the_head_and_leaves_the_headrest_out():
    unit = normalise(head().as_tensor(), "ct", SCALE)
    slices = to_slices(unit)
    frame, found = find_frame(slices, "ct", 0.1, (2.0, 3.0))
    assert frame.height * 2.0 == pytest.approx(frame.width * 3.0, abs=3)
    assert frame.top + frame.height / 2 == pytest.approx(32, abs=2)
    assert frame.left + frame.width / 2 == pytest.approx(30, abs=2)
    framed = into_frame(isolate(slices, found), frame, 64)
    assert framed.shape == (10, 1, 64, 64)
    # 44 rows of 2 mm, with the scalp's allowance and the margin, fill this share of the frame.
    filled = (framed[5, 0, :, 32] > -0.5).sum().item() / 64
    assert filled == pytest.approx(0.8 / 1.1, abs=0.06)
    assert slices[5, 0, 66, 30] > AIR
    assert isolate(slices, found)[5, 0, 66, 30] == AIR


def test_a_slice_as_it_comes_is_shown_whole():
    slices = to_slices(normalise(head().as_tensor(), "ct", SCALE))
    frame, found = find_frame(slices, "ct", 0.1, (2.0, 3.0), around="slice")
    rows, columns = slices.shape[2:]
    side = max(rows * 2.0, columns * 3.0)
    assert (frame.height * 2.0, frame.width * 3.0) == (side, side)
    assert frame.inside(rows, columns) == (slice(0, rows), slice(0, columns))
    assert torch.equal(isolate(slices, found), slices)  # the headrest among them


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_the_same_head_is_framed_alike_at_any_resolution(modality):
    unit = normalise(head(modality=modality).as_tensor(), modality, SCALE)
    slices = to_slices(unit)[:1]
    fine = slices.repeat_interleave(4, 2).repeat_interleave(4, 3)
    views = []
    for image, pixel in ((slices, (2.0, 3.0)), (fine, (0.5, 0.75))):
        frame, found = find_frame(image, modality, 0.1, pixel)
        views.append(into_frame(isolate(image, found), frame, 48))
    assert (views[0] - views[1]).abs().mean() < 0.05


def test_out_of_frame_undoes_into_frame():
    ramp = torch.linspace(-1, 1, 70)[:, None] * torch.linspace(0.2, 1, 60)[None]
    unit = to_slices(normalise(head().as_tensor(), "ct", SCALE))[:1]
    frame, _ = find_frame(unit, "ct", 0.0, (2.0, 3.0))
    back = out_of_frame(into_frame(ramp[None, None], frame, 128), frame, (70, 60))
    rows = slice(max(0, frame.top) + 2, frame.top + frame.height - 2)
    columns = slice(max(0, frame.left) + 2, frame.left + frame.width - 2)
    assert (back[0, 0] - ramp)[rows, columns].abs().max() < 0.01
    assert (back[0, 0, :, : frame.left] == AIR).all()


def test_an_empty_slice_has_no_head():
    with pytest.raises(InputRefused, match="no head found"):
        find_frame(torch.full((1, 1, 40, 40), AIR), "ct", 0.1)


def test_the_dictionary_transforms_come_back_to_the_source():
    volume = head()
    steps = Compose(
        [AxialLayoutd("image"), Normalised("image", "ct", SCALE), FrameHeadd("image", "ct", 96, 0.1, SCALE)]
    )
    framed = steps({"image": volume})
    assert framed["image"].shape == (1, 96, 96, 10)
    back = steps.inverse(framed)["image"]
    assert back.shape == volume.shape
    inside = volume.as_tensor() == 40.0
    assert (back.as_tensor()[inside] - 40.0).abs().mean() < 2.0
    assert torch.equal(back.affine, volume.affine)


def test_a_batch_is_doubled_and_its_first_half_stays():
    torch.manual_seed(0)
    batch = {"ct": torch.rand(3, 1, 32, 32), "mr": torch.rand(3, 1, 32, 32)}
    copies = AugmentedCopyd({"ct": "ct", "mr": "mr"}, AugmentSettings())
    copies.set_random_state(seed=1)
    doubled = copies(batch)
    copies.set_random_state(seed=1)
    for key, images in batch.items():
        assert torch.equal(doubled[key][:3], images)
        assert (doubled[key][3:] - images).abs().mean() > 0.05
        assert torch.equal(copies(batch)[key], doubled[key]) or key == "mr"


def test_augmentation_of_nothing_changes_nothing_but_the_side():
    still = AugmentSettings(degrees=0, scale=0, shift=0, distant=0, mr_gamma=0)
    images = torch.rand(8, 1, 32, 32) * 2 - 1
    moved = augment(images, "mr", still, torch.Generator().manual_seed(0))
    kept = torch.isclose(moved, images, atol=1e-5).flatten(1).all(dim=1)
    mirrored = torch.isclose(moved, images.flip(-1), atol=1e-5).flatten(1).all(dim=1)
    assert (kept ^ mirrored).all()
    assert kept.any()
    assert mirrored.any()


def test_a_share_of_the_copies_is_shown_far_away():
    far = AugmentSettings(degrees=0, scale=0, shift=0, distant=0.25, mr_gamma=0)
    images = torch.ones(400, 1, 32, 32)
    filled = (augment(images, "ct", far, torch.Generator().manual_seed(0)) > 0).float().mean((1, 2, 3))
    small = filled < 0.9
    assert 0.18 < small.float().mean() < 0.32
    assert filled[small].min() < 0.08  # a fifth of the side
    assert filled[small].max() > 0.35  # two thirds of it


def test_mr_shown_otherwise_keeps_air_and_the_order_of_tissues():
    images = torch.full((64, 1, 32, 32), AIR)
    images[..., 8:24, 8:16], images[..., 8:24, 16:24] = -0.4, 0.4
    tissues = torch.tensor([[-0.4, 0.4]]).repeat(64, 1)
    shown, told = shown_otherwise(images, tissues, 1.0, torch.Generator().manual_seed(0))
    assert shown.abs().max() <= 1
    assert (shown[..., :2, :] == AIR).all()
    dark, bright = shown[..., 14:18, 10:14].mean((1, 2, 3)), shown[..., 14:18, 18:22].mean((1, 2, 3))
    assert (bright > dark).all()
    assert dark.std() > 0.1
    # Shading varies between places, so a tissue is near what is told of it, and not equal to it.
    for place, tissue in ((dark, told[:, 0]), (bright, told[:, 1])):
        assert torch.corrcoef(torch.stack([place, tissue]))[0, 1] > 0.9
        assert (place - tissue).abs().mean() < 0.1
    unchanged, told = shown_otherwise(images[:8], tissues[:8], 0.0, torch.Generator().manual_seed(0))
    # It is as bright as its window allows.
    torch.testing.assert_close((unchanged + 1) / 2, (images[:8] + 1) / 2 / 0.7)
    torch.testing.assert_close((told + 1) / 2, (tissues[:8] + 1) / 2 / 0.7)


def test_mr_in_other_units_has_its_tissues_as_bright_as_told():
    tissues = torch.rand(32, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    images = tissues[:, None, :, None].repeat(1, 1, 1, 5)
    made, told = in_other_units(images, tissues, 1.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(made[:, 0, :, 2], told)
    assert (told - tissues).abs().mean() > 0.1
    assert (told.argsort(1) == tissues.argsort(1))[told.max(1).values < 1].all()
    assert torch.equal(
        in_other_units(torch.full_like(images, AIR), tissues, 1.0, torch.Generator())[0].unique(),
        torch.tensor([AIR]),
    )


def test_noise_of_ct_is_as_large_in_hu_as_it_says():
    curve = (-1000.0, -150.0, 0.0, 100.0, 2000.0)
    flat = scale_ct(torch.full((400, 1, 32, 32), 50.0), curve)
    noisy = noisy_ct(flat, 8.0, curve, torch.Generator().manual_seed(0))
    spread = unscale_ct(noisy, curve).std(dim=(1, 2, 3))
    assert spread.min() == pytest.approx(0.8, rel=0.1)
    assert spread.max() == pytest.approx(8.0, rel=0.1)
    assert torch.log10(spread).mean() == pytest.approx(np.log10(8) - 0.5, abs=0.05)


def test_half_of_ct_is_blurred_over_hu_by_a_width_that_neighbours_share():
    curve = (-1000.0, -150.0, 52.0, 100.0, 2000.0)
    hu = torch.full((64, 2, 64, 64), 35.0)
    hu[:, :, 30:34] = 1000.0
    sharp = scale_ct(hu.clone(), curve)
    soft = unscale_ct(soft_ct(sharp, 8.0, curve, torch.Generator().manual_seed(0)), curve)
    assert torch.equal(soft[:, 0], soft[:, 1])
    torch.testing.assert_close(soft.mean(dim=(1, 2, 3)), hu.mean(dim=(1, 2, 3)), rtol=1e-3, atol=0.1)
    torch.testing.assert_close(soft[:, :, :20], hu[:, :, :20], rtol=0, atol=0.1)
    peaks = (soft[:, 0, :, 32].amax(dim=1) - 35) / 965
    blurred = peaks < 0.999
    assert 20 < blurred.sum() < 44
    # What is 4 pixels wide peaks at erf(2 / (sigma sqrt 2)); sigma is 0.8 to 2 of 64 pixels.
    assert peaks.min() == pytest.approx(0.68, abs=0.03)
    assert peaks[blurred].max() == pytest.approx(0.98, abs=0.02)
    torch.testing.assert_close(sharp, scale_ct(hu, curve))


def test_ct_is_shaded_by_a_level_and_a_smooth_field_in_hu():
    curve = (-1000.0, -150.0, 52.0, 100.0, 2000.0)
    flat = scale_ct(torch.full((64, 2, 32, 32), 35.0), curve)
    error = unscale_ct(shaded_ct(flat, 10.0, curve, torch.Generator().manual_seed(0)), curve) - 35.0
    assert torch.equal(error[:, 0], error[:, 1])  # neighbours have the same
    assert 14 < error.abs().max() < 25
    assert error.mean(dim=(1, 2, 3)).std() > 4
    assert 0.1 < error.diff(dim=2).abs().max() < 2.5
    assert torch.equal(flat, scale_ct(torch.full((64, 2, 32, 32), 35.0), curve))
