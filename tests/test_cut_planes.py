"""Axial, coronal and sagittal planes through label maps, as slices of thin volumes show them."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medtranslate import phantom
from medtranslate.checkpoint.parent import inherit
from medtranslate.config import NetworkSettings, ScaleSettings, TrainSettings
from medtranslate.data.phantom_slices import frame_pairs
from medtranslate.phantom import LABEL, TISSUES, draw_head, read_label_map, scanner, slices
from medtranslate.phantom.cut_planes import AXES, draw_head_plane
from medtranslate.phantom.label_cuts import draw_cut, paint_cut
from medtranslate.phantom.paint import paint
from medtranslate.training.synthetic_pairs import VOLUMES, still_anchor
from medtranslate.transforms import scale_ct

PARTS = {1: "white matter", 2: "cortical bone", 3: "fat", 4: "muscle"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """An ellipsoid of white matter with bone above, fat in front and muscle on the right."""
    folder = tmp_path_factory.mktemp("map")
    x, y, z = (np.indices((60, 72, 80)) - np.array([30, 36, 40])[:, None, None, None]) * 2.5
    inside = (x / 70) ** 2 + (y / 85) ** 2 + (z / 95) ** 2 < 1
    labels = np.where(inside, 1, 0)
    for label, part in ((4, x > 30), (3, y > 40), (2, z > 45)):
        labels[inside & part] = label
    nibabel.save(
        nibabel.Nifti1Image(labels.astype(np.uint8), np.diag([2.5, 2.5, 2.5, 1])), folder / "m.nii.gz"
    )
    (folder / "m.yaml").write_text(yaml.safe_dump({"tissues": {0: "air", **PARTS}}))
    return folder / "m.nii.gz"


@pytest.fixture(scope="module")
def head(path):
    return read_label_map(path, face=False)


def middles(images):
    """Mean row and column of what each image shows."""
    rows, columns = np.indices(images.shape[1:])
    return {
        name: ((image * rows).sum() / image.sum(), (image * columns).sum() / image.sum())
        for name, image in zip(PARTS.values(), images, strict=True)
        if image.sum() > 100
    }


@pytest.mark.parametrize("plane", [*AXES])
def test_a_plane_shows_the_head_as_a_volume_in_axial_layout_does(head, plane):
    each = np.stack([np.isin(np.arange(len(TISSUES)), LABEL[name]) for name in PARTS.values()]).astype(
        np.float32
    )
    mirrored, seen = set(), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cut = draw_cut(head, rng, 64, lesions=False, name=plane)
        cut.variant[:] = 0  # no muscle is streaked
        found = middles(paint_cut(head, cut, each, rng, planes=1)[0])
        if "white matter" not in found:
            continue
        row, column = found["white matter"]
        if plane != "axial" and "cortical bone" in found:
            assert found["cortical bone"][0] < row - 3  # above
            seen += 1
        if plane == "axial" and "fat" in found:
            assert found["fat"][0] < row - 3  # in front
            seen += 1
        if plane == "sagittal" and "fat" in found:
            assert found["fat"][1] < column - 3
        if plane != "sagittal" and "muscle" in found:
            mirrored.add(bool(found["muscle"][1] < column))
    assert seen > 5
    assert mirrored == (set() if plane == "sagittal" else {True, False})


@pytest.mark.parametrize(("plane", "axis", "sign"), [("axial", 2, 1), ("coronal", 1, -1), ("sagittal", 0, 0)])
def test_the_next_slice_lies_above_or_behind_or_beside(head, plane, axis, sign):
    signs = set()
    for seed in range(12):
        step = draw_cut(head, np.random.default_rng(seed), 32, lesions=False, name=plane).step
        assert np.abs(step).argmax() == axis
        signs.add(int(np.sign(step[axis])))
    assert signs == ({sign} if sign else {-1, 1})  # a mirrored head is seen from the other side


def test_axial_planes_of_series_lie_more_often_in_the_vertex_and_about_the_skull_base(head):
    heights = [
        float(draw_cut(head, np.random.default_rng(seed), 16, lesions=False, of_series=True).voxels[2].mean())
        for seed in range(400)
    ]
    below_mm = (head.highest - np.array(heights)) * head.spacing[2]
    whole_mm = (head.highest - head.lowest) * head.spacing[2]
    assert np.mean(below_mm < 45) > 0.65 * 45 / whole_mm + 0.07  # 0.65: share of the planes in no band
    assert np.mean(below_mm > 115) > 0.65 * (whole_mm - 115) / whole_mm + 0.1
    assert np.mean((below_mm > 45) & (below_mm < 115)) > 0.2


def test_volumes_show_all_planes_in_the_square_about_the_whole_head(head):
    known = {"contrast": "t1", "wanted": "t2", "lesions": False, "maps": [head], "neighbours": 1}
    made = slices(2, 24, 64, **known, volumes=1.0)
    assert made.whole.all()
    assert (made.ct[:, :1] != made.ct).any(dim=(1, 2, 3)).all()  # all have neighbours
    network = NetworkSettings(size=64, channels=(32, 64), neighbours=1)
    ct, *_ = frame_pairs(made, network, ScaleSettings())
    np.testing.assert_array_equal(ct, scale_ct(made.ct, ScaleSettings().ct_curve))
    some = slices(2, 24, 64, **known, volumes=0.5)
    assert 0.2 < some.whole.float().mean() < 0.8
    assert not slices(2, 24, 64, **known).whole.any()


def test_some_volumes_end_above_the_neck_and_none_is_empty(head):
    made = slices(5, 32, 64, contrast="t1", wanted="t2", lesions=False, maps=[head], volumes=1.0)
    lowest = made.head[:, 0].float().amax(dim=2)
    filled = made.head.float().mean(dim=(1, 2, 3))
    assert filled.min() > 0.02
    ends = [int(np.flatnonzero(rows)[-1]) for rows in lowest.numpy()]
    cut_off = [made.head[index, 0, end].sum() > 15 for index, end in enumerate(ends)]
    assert 2 < sum(cut_off) < 24
    for index, end in enumerate(ends[:8]):
        assert made.ct[index, 0, end + 2 :].mean() < -900


def test_a_run_cuts_volumes_if_its_network_learns_three_planes(path, head, tmp_path):
    def cuts(planes):
        network = {"size": 32, "channels": (8, 8), "planes": planes}
        settings = TrainSettings(ct="ct", mr="mr", out=tmp_path, anchor_labels=path.parent, network=network)
        return still_anchor(settings, 24, 1, [head])["anchor_ct"]

    # A slice that is framed by its own head fills the frame but for the margin.
    shown = {planes: (cuts(planes)[:, 0] > -1).float() for planes in (1, 3)}
    sides = {planes: [each.amax(dim=axis).mean(dim=1) for axis in (1, 2)] for planes, each in shown.items()}
    filled = {planes: np.maximum(*map(np.asarray, each)) for planes, each in sides.items()}
    assert filled[1].min() > 0.75
    assert 0.2 < (filled[3] < 0.75).mean() <= VOLUMES + 0.1


def test_three_planes_need_label_maps(tmp_path):
    with pytest.raises(ValidationError, match=r"network\.planes: 3 are learnt from label maps"):
        TrainSettings(ct="ct", mr="mr", out=tmp_path, network={"planes": 3})


def test_a_run_without_label_maps_keeps_its_parents_axial_slices_alone(tmp_path, monkeypatch):
    known = {"network": {"size": 256, "planes": 3}, "scale": {}, "anatomy": "head"}
    monkeypatch.setattr("medtranslate.checkpoint.parent.describe", lambda folder: None)
    monkeypatch.setattr("medtranslate.checkpoint.parent.find_model", lambda name: tmp_path)
    monkeypatch.setattr("medtranslate.checkpoint.parent.plain", lambda description: known)
    assert inherit({"from": "m"})["network"]["planes"] == 1
    assert inherit({"from": "m", "anchor_labels": "maps"})["network"]["planes"] == 3


def painted(plane, seed):
    """Labels of a digital head in a plane, and the step to the next slice."""
    head = draw_head(seed)
    place, across = draw_head_plane(np.random.default_rng(seed), head, 96, plane)
    return paint(head, place, np.empty((0, len(TISSUES)), np.float32)).labels, across


def middle(labels, *names):
    places = np.argwhere(np.isin(labels, [LABEL[name] for name in names]))
    return places.mean(axis=0) if len(places) > 10 else None


@pytest.mark.parametrize("plane", [*AXES])
def test_a_digital_head_lies_as_a_label_map_does(plane):
    seen = 0
    for seed in range(24):
        labels, across = painted(plane, seed)
        assert int(np.abs(across).argmax()) == AXES[plane][2]
        brain = middle(labels, "grey matter", "white matter")
        eyes, jaw = middle(labels, "vitreous", "lens", "sclera"), middle(labels, "tooth")
        if plane == "coronal" and brain is not None and jaw is not None:
            assert jaw[0] > brain[0] + 10  # below
            seen += 1
        if plane == "sagittal" and brain is not None and eyes is not None:
            assert eyes[1] < brain[1] - 10  # in front
            assert eyes[0] > brain[0]
            seen += 1
        if plane == "axial" and brain is not None and eyes is not None:
            assert eyes[0] < brain[0] - 10
            seen += 1
    assert seen > 2


def test_the_sagittal_sinus_of_a_digital_head_stays_in_its_skull():
    for seed in range(40):
        labels, _ = painted("sagittal", seed)
        rows, columns = np.nonzero(labels == LABEL["venous blood"])
        for row, column in zip(rows, columns, strict=True):
            assert (labels[:row, column] > 0).any()  # skull and scalp above
            assert (labels[row, :column] > 0).any()
            assert (labels[row, column:] > 0).any()


def test_digital_heads_of_volumes_have_neighbours_and_show_a_head():
    known = {"contrast": "t1", "wanted": "t2", "neighbours": 1}
    made = slices(4, 24, 64, **known, volumes=1.0)
    assert made.whole.all()
    assert made.head.float().mean(dim=(1, 2, 3)).min() > 0.02
    assert (made.ct[:, :1] != made.ct).any(dim=(1, 2, 3)).all()
    # Of one slice its neighbours differ by noise alone.
    alone = slices(4, 8, 64, contrast="t1", neighbours=1)
    assert not alone.whole.any()
    assert (alone.ct - alone.ct[:, :1]).abs().max() < 60


@given(seed=st.integers(0, 10_000), size=st.integers(24, 256), row_mm=st.floats(0.5, 3.0))
def test_rows_of_a_thick_volume_are_means_of_its_slices_in_their_place(seed, size, row_mm):
    rows = phantom.thick_rows(np.random.default_rng(seed), size, row_mm)
    if rows is None:
        return
    assert rows.shape == (size, size)
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    places, edge = np.arange(size), int(7.0 / row_mm) + 1
    moved = np.abs(rows @ places - places)
    assert moved.max() <= 7.0 / row_mm
    assert moved[edge : size - edge].max(initial=0) < 0.15


def test_half_of_the_slices_from_the_side_are_of_thick_volumes_and_axial_ones_are_not(path, monkeypatch):
    """In those, CT and MR change alike, and from row to row less than from column to column."""
    shown = {"contrast": "t2", "maps": [read_label_map(path)], "neighbours": 1, "volumes": 1.0}
    some = slices(7, 24, 128, **shown)
    monkeypatch.setattr(scanner, "_COARSE", 0.0)
    thin = slices(7, 24, 128, **shown)
    coarse = (some.ct != thin.ct).flatten(1).any(1)
    assert 0.15 < coarse.float().mean() < 0.55  # a third of all are axial
    assert (coarse == (some.mr != thin.mr).flatten(1).any(1)).all()
    steepness = [some.ct[coarse].diff(dim=axis).abs().mean() for axis in (2, 3)]
    before = [thin.ct[coarse].diff(dim=axis).abs().mean() for axis in (2, 3)]
    assert steepness[0] / before[0] < 0.95 * steepness[1] / before[1]
    assert (some.head != thin.head).float().mean() < 0.03
