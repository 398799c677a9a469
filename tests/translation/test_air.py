"""What lies outside the source's head, on digital heads whose labels are known."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from medtranslate.checkpoint import Model, load_model
from medtranslate.io import Volume
from medtranslate.io.layout import to_axial, to_slices
from medtranslate.phantom import Study, study
from medtranslate.transforms import normalise
from medtranslate.translation import sample_volume
from medtranslate.translation.air import clear, examine, find_outline
from medtranslate.translation.framed import frame


@pytest.fixture(scope="module")
def head() -> Study:
    return study(910_005, size=96, spacing=256 / 96)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("phantom", torch.device("cpu"))


@pytest.mark.parametrize("to", ["ct", "mr"])
def test_a_translation_and_its_spread_show_nothing_outside_the_head(
    head: Study, model: Model, to: Literal["ct", "mr"]
):
    source, from_ = (head.mr, "mr") if to == "ct" else (head.ct, "ct")
    done = sample_volume(source, model, to, samples=2)
    found = find_outline(frame(source, from_, model))  # type: ignore[arg-type]
    outside = ~found.allowed.transpose(2, 1, 0)
    made, spread = to_axial(done.volume).values, to_axial(done.uncertainty).values  # type: ignore[arg-type]
    lower = done.record.model.output_range[0]
    assert (made[outside] == lower).all()
    assert (spread[outside] == 0).all()
    assert (made[~outside] > lower).any()
    signs = done.record.plausibility
    assert signs is not None
    assert signs.bone_outside_ml == (0 if to == "ct" else None)


@pytest.mark.parametrize("contrast", ["t1", "t2", "flair"])
@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_the_outline_holds_the_true_head(
    model: Model, contrast: Literal["t1", "t2", "flair"], modality: Literal["ct", "mr"]
):
    head = study(910_006, size=96, spacing=256 / 96, contrast=contrast)
    found = find_outline(frame(getattr(head, modality), modality, model))
    labels = to_slices(to_axial(head.labels).values) > 0
    lost = (labels & ~found.allowed).sum() / labels.sum()
    assert lost < 0.01
    # A box of 2 mm around every voxel, and the hollows of nose, ears and neck, are all that is added.
    assert found.head.sum() < 1.1 * labels.sum()


@pytest.mark.parametrize("brighter", [1.0, 5.0, 20.0])
def test_the_outline_holds_a_brain_that_is_dark_beside_scalp_near_the_coils(head: Study, brighter: float):
    model = load_model("head-ct", torch.device("cpu"))
    x, y, _ = np.indices(head.mr.shape) - 47.5
    near = np.clip((np.hypot(x / 30, y / 40) - 0.7) / 0.3, 0, 1) * (head.labels.values > 0)
    shaded = Volume(head.mr.values * (1 + (brighter - 1) * near), head.mr.affine, head.mr.meta)
    found = find_outline(frame(shaded, "mr", model))
    labels = to_slices(to_axial(head.labels).values) > 0
    assert (labels & ~found.allowed).sum() / labels.sum() < 0.01
    assert found.head.sum() < 1.1 * labels.sum()


def test_what_is_drawn_outside_is_measured_and_gone(head: Study, model: Model):
    seen = frame(head.mr, "mr", model)
    found = find_outline(seen)
    slab = np.full(seen.shape, -1.0, np.float32)
    slab[-20:-10, :20, :30] = 1.0
    voxels = int((slab > 0).sum())
    gone = clear(slab, found)
    assert gone == pytest.approx(voxels * (256 / 96) ** 3 / 1000)
    assert (slab == -1).all()


def test_the_true_ct_is_not_doubted_and_bright_ventricles_are(head: Study, model: Model):
    seen = frame(head.mr, "mr", model)
    found = find_outline(seen)
    truth = to_slices(normalise(to_axial(head.ct).values, "ct", model.description.scale))
    scale = model.description.scale
    assert examine(seen, truth, found, "ct", scale, 0.0).doubts == []
    share = (truth + 1) / 2
    turned = np.where(np.abs(share - 0.435) < 0.3, 0.87 - share, share) * 2 - 1
    doubts = examine(seen, turned, found, "ct", scale, 0.0).doubts
    assert any("darker than brain" in doubt for doubt in doubts)


def test_a_slab_that_is_left_in_the_air_is_measured(head: Study, model: Model):
    seen = frame(head.mr, "mr", model)
    found = find_outline(seen)
    truth = to_slices(normalise(to_axial(head.ct).values, "ct", model.description.scale)).copy()
    truth[60:64, :8, :40] = 1.0
    signs = examine(seen, truth, found, "ct", model.description.scale, 0.0)
    assert signs.bone_outside_ml == pytest.approx(4 * 8 * 40 * (256 / 96) ** 3 / 1000, rel=0.05)


def test_fine_pixels_are_looked_at_on_a_coarser_grid(model: Model):
    head = study(910_007, size=64, spacing=4.0)
    fine = Volume(head.mr.values, head.mr.affine @ np.diag([0.1, 0.1, 1, 1]), head.mr.meta)
    found = find_outline(frame(fine, "mr", model))
    assert found.step == (2, 2)
    assert found.head.shape == (64, 32, 32)
    done = sample_volume(fine, model, "ct")
    assert done.volume.shape == fine.shape
    assert found.ml == pytest.approx(0.8 * 0.8 * 4 / 1000)
    assert np.isfinite(done.volume.values).all()
