"""Measures of lesions on slices whose answer is known, and the benchmark on one digital head."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import lesions
from benchmarks.quality.lesion_measures import (
    Found,
    Site,
    doubt_in,
    found_in,
    invented_blobs,
    is_clear,
    ranks,
    site_of,
    spots_in,
    summary,
)
from benchmarks.quality.lesion_slices import KINDS, Slice, digital_slices, draw_cover, with_lesion
from benchmarks.quality.lesions import BRAIN, scene_of
from medtranslate.metrics import Values, Voxels
from medtranslate.phantom import LABEL, TISSUES
from medtranslate.phantom.tissues import column

PIXEL = (1.0, 1.0)
BRAIN_HU = 30.0


def disc(radius: float, x: float = 32, y: float = 32) -> Voxels:
    found: Voxels = np.hypot(*(np.indices((64, 64)) - np.array([x, y])[:, None, None])) < radius
    return found


def ct(*parts: tuple[Voxels, float]) -> Values:
    """A disc of brain in air, and what lies in it."""
    values = np.where(disc(28), BRAIN_HU, -1000.0).astype(np.float32)
    for where, hu in parts:
        values[where] = hu
    return values


@pytest.fixture
def site() -> Site:
    found = site_of(disc(6), disc(28), PIXEL)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("hu", "made", "right_sign", "kept"),
    [(60, 50, True, True), (60, 40, True, False), (60, 10, False, False), (12, 15, True, True)],
)
def test_a_lesion_is_kept_with_its_sign(
    site: Site, hu: float, made: float, right_sign: bool, kept: bool
) -> None:
    truth, translation = ct((disc(6), hu)), ct((disc(6), made))
    found = found_in(translation, truth, truth, site, PIXEL)
    assert (found.true, found.made) == (hu - BRAIN_HU, made - BRAIN_HU)
    assert (found.right_sign, found.kept) == (right_sign, kept)
    assert found.bone == 0


def test_a_lesion_is_looked_for_in_the_brain_window(site: Site) -> None:
    truth = ct((disc(6), 400.0))
    assert site.contrast(truth) == 100 - BRAIN_HU
    assert not is_clear(site, ct((disc(6), BRAIN_HU + 5)))
    assert is_clear(site, ct((disc(6), BRAIN_HU - 7)))


def test_surroundings_are_brain_beside_the_lesion(site: Site) -> None:
    far, near = ct((disc(3, 32, 50), 90.0)), ct((disc(3, 32, 42), 90.0))
    assert site.contrast(far) == 0 > site.contrast(near)
    assert site_of(disc(2), disc(28), PIXEL) is None
    assert site_of(disc(6), disc(6), PIXEL) is None


def test_fluid_that_is_made_as_bone_is_counted_without_its_edge(site: Site) -> None:
    truth, x = ct((disc(6), 7.0)), np.indices((64, 64))[0]
    half = ct((disc(6), 7.0), (disc(6) & (x > 32), 500.0))
    rim = ct((disc(6), 500.0), (disc(5), 7.0))
    assert found_in(half, truth, truth, site, PIXEL).bone == pytest.approx(0.5, abs=0.08)
    assert found_in(rim, truth, truth, site, PIXEL).bone == 0


def test_a_lesion_is_seen_if_the_mr_shows_it(site: Site) -> None:
    truth = ct((disc(6), 60.0))
    for brightness, seen in ((520.0, False), (600.0, True), (300.0, True)):
        mr = np.where(disc(6), brightness, 500.0)
        assert found_in(truth, truth, mr, site, PIXEL).seen == seen


def test_doubt_is_in_medians_of_the_brain(site: Site) -> None:
    uncertainty = np.where(disc(6), 6.0, np.where(disc(28), 2.0, 90.0))
    assert doubt_in(uncertainty, site, disc(28)) == pytest.approx(3)


def test_what_the_truth_has_not_is_invented() -> None:
    truth, brain = ct(), disc(28)
    blob = disc(6, 25, 32)
    [area] = invented_blobs(ct((blob, 60.0)), truth, brain, PIXEL)
    assert area == pytest.approx(blob.sum(), rel=0.35)
    assert len(invented_blobs(ct((blob, 60.0), (disc(6, 42, 32), 0.0)), truth, brain, PIXEL)) == 2
    assert not invented_blobs(ct((blob, BRAIN_HU + 8)), truth, brain, PIXEL)
    assert not invented_blobs(ct((disc(2), 60.0)), truth, brain, PIXEL)
    # A brain that is brighter everywhere, and a truth that has the same blob.
    assert not invented_blobs(ct((brain, BRAIN_HU + 25)), truth, brain, PIXEL)
    assert not invented_blobs(ct((blob, 60.0)), ct((blob, 60.0)), brain, PIXEL)
    # A lesion that is lost, and one that becomes its opposite.
    assert not invented_blobs(truth, ct((blob, 60.0)), brain, PIXEL)
    assert invented_blobs(ct((blob, 10.0)), ct((blob, 60.0)), brain, PIXEL)


def test_a_wider_ventricle_is_not_an_invented_lesion() -> None:
    ventricle, brain = disc(8), disc(28) & ~disc(8)
    truth, wider = ct((ventricle, 7.0)), ct((disc(10), 7.0))
    assert not invented_blobs(wider, truth, brain, PIXEL)
    assert invented_blobs(ct((ventricle, 7.0), (disc(6, 18, 32), 7.0)), truth, brain, PIXEL)


def test_doubts_are_those_of_lost_lesions() -> None:
    kept, lost = Found(20, 15, 0.3, 0.0), Found(20, -2, 0.1, 0.0)
    found = summary([kept, replace(lost, doubt=4.0), replace(lost, doubt=1.0)])
    assert found["kept"] == pytest.approx(100 / 3)
    assert (found["kept of seen"], found["doubt"], found["doubled"]) == (100, 2.5, 50)
    assert "raw doubt" not in found
    assert summary([]) == {"clear": 0}


def test_a_lesion_takes_the_place_of_brain_alone() -> None:
    """A pixel that is a quarter fluid keeps the fluid."""
    tissues, one = column("hu")[None], np.ones((4, 4), np.float32)
    white, fluid = (float(tissues[0, LABEL[name]]) for name in ("white matter", "csf"))
    images, brain = (0.75 * white + 0.25 * fluid) * one, 0.75 * white * one
    plain = Slice(images[None], brain[None], 0.75 * one, 0.25 * one, tissues, np.eye(4), 0)
    changed = with_lesion(plain, "haemorrhage", one)
    blood = float(tissues[0, LABEL["haemorrhage"]])
    np.testing.assert_allclose(changed.images[0], 0.75 * blood + 0.25 * fluid, rtol=1e-5)
    half = with_lesion(plain, "haemorrhage", 0.5 * one)
    np.testing.assert_allclose(half.images[0], (changed.images[0] + images) / 2, rtol=1e-5)


@pytest.fixture(scope="module")
def plain() -> Slice:
    [found] = digital_slices(1, seed=5)
    return found


def test_lesions_of_each_kind_lie_in_the_brain(plain: Slice) -> None:
    assert {kind.tissue for kind in KINDS.values()} <= {tissue.name for tissue in TISSUES}
    for name, kind in KINDS.items():
        cover = draw_cover(kind, plain, np.random.default_rng(0))
        lesion = cover * plain.brain_share > 0.5
        assert lesion.any(), name
        changed = with_lesion(plain, kind.tissue, cover).images != plain.images
        assert not changed[:, (cover == 0) | (plain.brain_share == 0)].any(), name
        hu = plain.tissues[0, LABEL[kind.tissue]]
        solid = lesion & (plain.brain_share > 0.9999) & (cover == 1)
        np.testing.assert_allclose(
            with_lesion(plain, kind.tissue, cover).images[0][solid], hu, atol=0.1, err_msg=name
        )
    depth = plain.depth()
    near = draw_cover(KINDS["fluid at skull"], plain, np.random.default_rng(0)) > 0.5
    assert depth[near & (depth > 0)].min() < 9


def test_the_noise_is_the_same_beside_a_lesion(plain: Slice) -> None:
    scene = scene_of(plain, "haemorrhage")
    assert scene is not None
    with_it, without = (one.mr("t2").values[:, :, 0] for one in (scene.slice, plain))
    assert np.array_equal(with_it[:40], without[:40])
    assert not np.array_equal(with_it, without)
    assert scene.site.contrast(scene.slice.truth) > 10
    assert (plain.brain_share[scene.site.around] > BRAIN).all()


def test_rows_of_a_digital_head(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lesions, "PLAIN", 0)
    monkeypatch.setattr(lesions, "MADE", ("t1",))
    monkeypatch.setattr(lesions, "KINDS", {kind: KINDS[kind] for kind in ("haemorrhage", "cyst")})
    rows_path, sheet = tmp_path / "rows.csv", tmp_path / "sheet.png"
    line = f"lesions --model {small_model} --digital --count 1 --samples 2 --csv {rows_path} --sheet {sheet}"
    monkeypatch.setattr("sys.argv", line.split())
    lesions.main()
    with rows_path.open(newline="") as file:
        rows = {(row["kind"], row["contrast"]): row for row in csv.DictReader(file)}
    assert list(rows) == [("haemorrhage", "t1"), ("cyst", "t1"), ("all kinds", "t1"), ("no lesion", "t1")]
    blood, cyst = rows["haemorrhage", "t1"], rows["cyst", "t1"]
    assert float(blood["true HU"]) > 20 > 0 > float(cyst["true HU"])
    # An untrained network makes one grey: nothing is kept, and nothing is in more doubt.
    assert (blood["kept"], cyst["kept"]) == ("0", "0")
    assert float(blood["doubt"]) < 2
    assert rows["no lesion", "t1"]["slices"] == "1"
    assert (tmp_path / "sheet-digital.png").is_file()
    assert "| haemorrhage, t1 | 1 |" in capsys.readouterr().out


def test_spots_of_a_lesion_lie_elsewhere_in_the_brain() -> None:
    lesion = disc(4, x=20)
    found = site_of(lesion, disc(28), PIXEL)
    assert found is not None
    uncertainty = np.where(lesion, 6.0, 2.0).astype(np.float32)
    spots = spots_in(uncertainty, found, disc(28))
    assert len(spots) > 3
    assert set(spots) == {1.0}
    assert ranks([3.0, 1.0], spots) == 0.75
    assert spots_in(uncertainty, found, lesion) == ()
