from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from medtranslate import phantom
from medtranslate.config import AnchorWeights, AugmentSettings, ScaleSettings
from medtranslate.data import brightness_each, open_sources
from medtranslate.io import Meta, Volume, write_volume
from medtranslate.phantom import TOLD
from medtranslate.training import synthetic_pairs
from medtranslate.training.moved import NAMES, moved_anchor
from medtranslate.training.rendered import as_picture, rendered_anchor, rendered_kinds
from medtranslate.training.synthetic_pairs import (
    FreshAnchors,
    KeptAnchors,
    anchor_count,
    anchor_slices,
    open_anchors,
)
from medtranslate.transforms import scale_ct

synthetic_pairs_still = synthetic_pairs.still_anchor


@pytest.fixture
def kept(settings):
    return replace(settings, anchor_kept=3, anchor_rendered=1 / 3)


def opened(settings):
    return open_anchors(settings, open_sources(settings, quiet=True).sources)


def drawn(anchors, count=12, seed=0):
    return anchors.draw(count, torch.Generator().manual_seed(seed))


def test_what_is_kept_is_shown_again(kept):
    first = drawn(opened(kept))
    assert {name: tuple(images.shape) for name, images in first.items()} == {
        **dict.fromkeys(NAMES, (12, 1, 32, 32)),
        "anchor_seen": (12, len(TOLD)),
        "anchor_told": (12, len(TOLD)),
        "anchor_known": (12, 2),
    }
    different = {image.numpy().tobytes() for image in first["anchor_mr"]}
    assert len(different) == 3


def test_neighbours_are_kept_and_moved_with_their_slice(kept):
    """Those of a digital head are copies, and stay so but for the noise of CT."""
    stacked = replace(kept, network=replace(kept.network, neighbours=1), augment=AugmentSettings(mr_look=1.0))
    images = drawn(opened(stacked))
    for name, shown in zip(NAMES, (3, 3, 1, 1), strict=True):
        assert images[name].shape == (12, shown, 32, 32)
    moved = moved_anchor(stacked, {name: value.float() for name, value in images.items()}, 3)
    assert moved["anchor_ct"].shape == (12, 1, 32, 32)
    for name in ("anchor_mr", "anchor_shown"):
        middle, below, above = moved[name].unbind(1)
        assert torch.equal(middle, below)
        assert torch.equal(middle, above)
    noisy = replace(stacked, augment=AugmentSettings(ct_noise=10.0))
    middle, below, _ = moved_anchor(noisy, {n: v.float() for n, v in images.items()}, 3)[
        "anchor_shown"
    ].unbind(1)
    assert not torch.equal(middle, below)


@pytest.mark.parametrize("small_disk", ["64k"], indirect=True)
def test_a_disk_that_cannot_hold_them_is_said_before_the_first_step(kept, small_disk, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with pytest.raises(OSError, match="No space"):
        opened(replace(kept, anchor_kept=1000))


def test_what_is_kept_does_not_depend_on_who_draws_it_first(kept):
    one, other = opened(kept), opened(kept)
    drawn(one, seed=1)
    for name in NAMES:
        assert torch.equal(drawn(one)[name], drawn(other)[name])


def test_processes_share_what_is_kept(kept):
    anchors = opened(kept)
    child = os.fork()
    if not child:
        drawn(anchors)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert anchors.filled.all()


def test_kept_slices_are_of_both_kinds_by_their_share(kept):
    anchors = opened(replace(kept, ct="phantom:7-7"))
    drawn(anchors)
    theirs = open_sources(replace(kept, ct="phantom:7-7"), quiet=True).sources["ct"].fixed(1)[0]
    same = [np.array_equal(ct, theirs.half().numpy()) for ct in anchors.images[:, :1]]
    assert same == [False, False, True]


@pytest.mark.parametrize("labelled", [0.3, 0.8])
def test_kept_slices_are_cut_from_label_maps_by_their_share(kept, labelled, monkeypatch):
    """One slice at a time is kept, so a share that is rounded for each would be none or all."""
    cut = []

    def still_anchor(settings, count, seed, maps=()):
        cut.append(bool(maps))
        return synthetic_pairs_still(settings, count, seed)

    monkeypatch.setattr(synthetic_pairs, "still_anchor", still_anchor)
    sized = replace(kept, anchor_kept=12, anchor_rendered=1 / 6, anchor_labelled=labelled)
    fresh = FreshAnchors(sized, rendered_kinds(opened(sized).fresh.kinds[0].source, sized), maps=(None,))
    anchors = KeptAnchors(fresh, sized)
    while not anchors.filled.all():
        drawn(anchors, seed=len(cut))
    assert (sum(cut), len(cut)) == (round(10 * labelled), 10)


def test_rendered_slices_need_no_unpaired_image(settings):
    alone = replace(settings, unpaired=False, anchor_rendered=1.0)
    sources = open_sources(alone, quiet=True).sources
    assert set(sources) == {"ct", "val_ct"}
    assert anchor_count(alone) == alone.batch
    assert drawn(open_anchors(alone, sources), 2)["anchor_ct"].shape == (2, 1, 32, 32)


def test_a_tissue_is_as_bright_in_one_slice_as_in_the_other(settings):
    """Or the brightness of a translated MR could not be foretold from CT."""
    t2 = replace(
        settings,
        phantom_contrast="t2",
        anchor_rendered=0.0,
        network=replace(settings.network, size=96),
    )
    images = drawn(FreshAnchors(t2, []), 24)
    ct, wanted = images["anchor_ct"], images["anchor_wanted"]
    brain = (ct > -0.3) & (ct < 0.0)  # 22 to 40 HU
    medians = torch.stack([w[b].median() for w, b in zip(wanted, brain, strict=True) if b.sum() > 500])
    assert len(medians) > 8
    assert medians.std() < 0.12


def test_a_picture_and_a_volume_teach_what_each_of_them_tells(settings, tmp_path):
    """A picture in the brain window tells nothing beyond it; a volume in HU tells all."""
    hu = phantom.slices(3, 4, 64, contrast="t1").ct[:, 0].numpy()
    volume = Volume(np.ascontiguousarray(hu.T), np.diag([3.0, 3.0, 3.0, 1.0]), Meta(modality="ct"))
    write_volume(volume, tmp_path / "ct" / "head.nii.gz")
    grey = ((hu[1].clip(-20, 100) + 20) * 255 / 120).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "ct" / "head.png")
    (tmp_path / "ct.csv").write_text("path\nct/head.nii.gz\nct/head.png\n")
    scale = ScaleSettings(
        ct_window=(-1000, 2000), ct_knots=(-150, -20, 4, 28, 52, 76, 100, 300), ct_picture=(-20, 100)
    )
    both = replace(settings, ct=str(tmp_path / "ct.csv"), unpaired=False, anchor_rendered=1.0, scale=scale)
    kinds = rendered_kinds(open_sources(both, quiet=True).sources["ct"], both)
    assert [kind.in_hu for kind in kinds] == [True, False]
    in_hu, windowed = (rendered_anchor(both, kind, 4, torch.Generator().manual_seed(1)) for kind in kinds)
    assert in_hu["anchor_known"].tolist() == [[-1, 1]] * 4
    ends = scale_ct(torch.tensor([-20.0, 100.0]), scale.ct_curve)
    torch.testing.assert_close(windowed["anchor_known"], ends.repeat(4, 1))
    assert in_hu["anchor_ct"].max() > windowed["anchor_ct"].max() > ends[1] - 0.02
    shown = as_picture(in_hu["anchor_ct"], both, torch.Generator())
    assert shown.max() <= ends[1] + 1e-5
    inside = (in_hu["anchor_ct"] > ends[0] + 0.25) & (in_hu["anchor_ct"] < ends[1])
    torch.testing.assert_close(shown[inside], in_hu["anchor_ct"][inside], atol=1e-3, rtol=0)
    bent = replace(both, augment=replace(both.augment, ct_window=0.2))
    otherwise = as_picture(in_hu["anchor_ct"], bent, torch.Generator().manual_seed(0))
    assert otherwise.max() <= ends[1] + 1e-5
    assert (otherwise[inside] - shown[inside]).abs().mean() > 0.02


def test_ct_is_shown_in_another_window_and_asked_for_in_its_own(settings):
    bent = replace(settings, augment=AugmentSettings(ct_window=0.3))
    plain, shown = (anchor_slices(one, 6, 4) for one in (settings, bent))
    for name in NAMES[:3]:
        assert torch.equal(plain[name], shown[name])
    assert torch.equal(plain["anchor_shown"], plain["anchor_ct"])
    ct, other = shown["anchor_ct"], shown["anchor_shown"]
    assert (ct - other).abs().mean() > 0.02
    assert torch.equal(ct[ct >= 1], other[ct >= 1])
    assert torch.equal(ct[ct <= -1], other[ct <= -1])


def test_soft_ct_is_shown_and_its_truth_stays_sharp(settings):
    soft = replace(settings, augment=replace(settings.augment, ct_blur=8.0))
    plain, shown = (anchor_slices(one, 8, 4) for one in (settings, soft))
    for name in NAMES[:3]:
        assert torch.equal(plain[name], shown[name])
    changed = (shown["anchor_shown"] - shown["anchor_ct"]).abs().mean(dim=(1, 2, 3))
    assert 1 <= int((changed > 1e-3).sum()) <= 7


def test_tissues_are_as_bright_as_is_said_of_them(settings):
    """In the MR that is translated and in the one that is asked for, however they are shown."""
    network = replace(settings.network, seen=7, told=7)
    told = replace(settings, network=network, augment=AugmentSettings(mr_look=0.8, shift=0.01))
    brightness = torch.rand(24, 7, generator=torch.Generator().manual_seed(0)) * 1.5 - 0.9
    slices = torch.full((24, 1, 64, 64), -1.0)
    slices[..., 12:52, 12:52] = brightness[:, :1, None, None]
    still = dict.fromkeys(NAMES, slices) | dict.fromkeys(("anchor_seen", "anchor_told"), brightness)
    images = moved_anchor(told, still | {"anchor_known": torch.tensor([[-1.0, 1.0]]).repeat(24, 1)}, 3)
    middle = {name: images[name][..., 30:34, 30:34].mean((1, 2, 3)) for name in NAMES[:3]}
    torch.testing.assert_close(middle["anchor_wanted"], images["anchor_told"][:, 0])
    assert (middle["anchor_mr"] - images["anchor_seen"][:, 0]).abs().mean() < 0.15
    for name, fact in (("anchor_mr", "anchor_seen"), ("anchor_wanted", "anchor_told")):
        assert (images[fact] - brightness).abs().mean() > 0.05, name


def test_brightness_is_that_of_the_scaled_slice(settings):
    images = torch.tensor([200.0, 1000.0]).reshape(2, 1, 1, 1).repeat(1, 1, 8, 8)
    images[:, :, :4] = 0
    half = torch.full((2, 7), -0.8)  # 100 of 1000
    found = brightness_each(half, images, settings.scale)
    torch.testing.assert_close(found[:, 0], torch.tensor([0.0, -0.8]))


def test_kept_mr_is_bent_each_time(kept):
    still = {name: images.float() for name, images in drawn(opened(kept), 4).items()}
    one, other = (moved_anchor(kept, still, seed) for seed in (1, 2))
    means = [float(images["anchor_mr"][images["anchor_mr"] > -0.9].mean()) for images in (one, other)]
    assert abs(means[0] - means[1]) > 0.01


def test_lesions_are_marked_where_heads_without_them_differ(settings):
    sized = replace(settings, network=replace(settings.network, size=96))
    ill, well = (
        synthetic_pairs.still_anchor(replace(sized, anchor_lesions=lesions), 12, 3)
        for lesions in (True, False)
    )
    marked = ill["anchor_lesion"] > well["anchor_lesion"] + 0.2
    assert 2 < marked.any(dim=(1, 2, 3)).sum() < 12
    assert marked.float().mean() < 0.1
    assert (ill["anchor_ct"] != well["anchor_ct"])[marked].all()
    far = functional.max_pool2d(marked.float(), 7, 1, 3) == 0
    torch.testing.assert_close(ill["anchor_ct"][far], well["anchor_ct"][far], atol=0.05, rtol=0)


def test_air_counts_where_the_head_surrounds_it(settings):
    scale = ScaleSettings(ct_window=(-1000.0, 2000.0))
    still_there = AugmentSettings(degrees=0, scale=0, shift=0)
    weighted = replace(settings, scale=scale, anchor_weights=AnchorWeights(air=3.0), augment=still_there)
    ct = torch.full((2, 1, 64, 64), -1.0)
    ct[..., 12:, 12:52] = scale_ct(torch.tensor(35.0), scale.ct_curve)
    for rows in (slice(20, 30), slice(54, 64), slice(12, 16)):  # a sinus, a throat that is cut, a dimple
        ct[..., rows, 26:36] = -1.0
    still = {
        **dict.fromkeys(NAMES, ct),
        "anchor_lesion": torch.full_like(ct, -1.0),
        **dict.fromkeys(("anchor_seen", "anchor_told"), torch.zeros(2, len(TOLD))),
        "anchor_known": torch.tensor([[-1.0, 1.0]]).repeat(2, 1),
    }
    for each in moved_anchor(weighted, still, 0)["anchor_weight"][:, 0]:
        assert (each == 3.0).nonzero()[:, 0].unique().tolist() == [*range(20, 30), *range(54, 64)]
        assert (each != 1.0).sum() == 200


def test_errors_count_by_tissue_which_moves_with_its_slice(settings):
    weights = AnchorWeights(bone=2.0, fluid=3.0, lesion=10.0)
    weighted = replace(settings, anchor_weights=weights, augment=AugmentSettings(degrees=0, scale=0, shift=0))
    scale = settings.scale
    ct = torch.full((4, 1, 32, 32), scale_ct(torch.tensor(35.0), scale.ct_curve))
    ct[..., :8, :] = scale_ct(torch.tensor(99.0), scale.ct_curve)
    ct[..., 8:16, :] = scale_ct(torch.tensor(7.0), scale.ct_curve)
    lesion = torch.full_like(ct, -1.0)
    lesion[..., 12:20, :4], lesion[..., 20:24, :4] = 1.0, 0.0
    still = {
        **dict.fromkeys(NAMES, ct),
        "anchor_lesion": lesion,
        **dict.fromkeys(("anchor_seen", "anchor_told"), torch.zeros(4, len(TOLD))),
        "anchor_known": torch.tensor([[-1.0, 1.0]]).repeat(4, 1),
    }
    assert "anchor_weight" not in moved_anchor(settings, still, 0)
    weight = moved_anchor(weighted, still, 0)["anchor_weight"]
    for each in weight[:, 0]:
        sick = each if each[16, 0] > 1 else each.flip(1)  # mirrored
        assert (sick[:8] == 2.0).all()
        assert (sick[8:16, 4:] == 3.0).all()
        assert (sick[16:, 4:] == 1.0).all()
        assert (sick[12:20, :4] == 10.0).all()
        assert (sick[20:24, :4] == 5.5).all()
