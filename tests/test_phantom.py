"""The digital head: what it promises about geometry, tissues, signal and its stream of slices."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Literal

import numpy as np
import pydicom
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate import phantom
from medtranslate.config import PhantomContrast, PhantomSettings, StreamContrast
from medtranslate.errors import OutputExists
from medtranslate.io import read_volume
from medtranslate.phantom import PROTOCOLS, TISSUES, Head, Protocol, Study, signal
from medtranslate.phantom.cut_planes import draw_axial_plane
from medtranslate.phantom.tissues import LABEL, column, mr_values

SIZE, SPACING = 96, 2.5
SKULL = [LABEL[name] for name in ("cortical bone", "diploe")]


@pytest.fixture(scope="module")
def made() -> Study:
    """A head that carries a lesion."""
    return phantom.study(_seed_with("haemorrhage", side=-1.0), size=SIZE, spacing=SPACING, contrast="t1")


def _seed_with(kind: str, side: float) -> int:
    """First held-out seed with one lesion, of this kind, on this side (-1 is left), well inside."""
    for seed in range(phantom.HELD_OUT, phantom.HELD_OUT + 2000):
        lesions = phantom.draw_head(seed).lesions
        fits = len(lesions) == 1 and lesions[0].kind == kind and lesions[0].centre[0] * side > 24.0
        if fits and min(lesions[0].radii) > 8.0 and lesions[0].centre[2] > 15.0:
            return seed
    raise AssertionError(f"no head with one {kind}")


def _labels(study: Study) -> NDArray[np.uint8]:
    return study.labels.values.astype(np.uint8)


def _millimetres(study: Study, point: tuple[float, float, float]) -> tuple[int, int, int]:
    """Index of the voxel that holds a point."""
    index = np.linalg.inv(study.ct.affine) @ [*point, 1.0]
    i, j, k = np.rint(index[:3]).astype(int)
    return int(i), int(j), int(k)


def _mid_axial(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The plane with the most white matter."""
    plane: NDArray[np.uint8] = labels[:, :, np.argmax((labels == LABEL["white matter"]).sum(axis=(0, 1)))]
    return plane


def test_tissue_labels_are_their_index_and_names_are_unique() -> None:
    assert [tissue.label for tissue in TISSUES] == list(range(len(TISSUES)))
    assert len(LABEL) == len(TISSUES)


def _signal(name: str, protocol: Protocol) -> float:
    at = LABEL[name]
    values = signal(protocol, column("pd")[[at]], column("t1")[[at]], column("t2")[[at]])
    return float(values[0])


def test_spin_echo_signal_is_the_formula() -> None:
    # Grey matter: PD 0.86, T1 833, T2 83; TR 500, TE 15:
    # 0.86 * (1 - e^-0.60024) * e^-0.18072 = 0.86 * 0.451320 * 0.834667 = 0.323965
    assert _signal("grey matter", Protocol(tr=500.0, te=15.0)) == pytest.approx(0.32397, rel=2e-4)


def test_inversion_recovery_signal_is_the_formula() -> None:
    # White matter: PD 0.77, T1 500, T2 70; TR 2000, TE 3.5, TI 1000:
    # 0.77 * |1 - 2 e^-2 + e^-4| * e^-0.05 = 0.77 * 0.747645 * 0.951229 = 0.547610
    protocol = Protocol(tr=2000.0, te=3.5, ti=1000.0)
    assert _signal("white matter", protocol) == pytest.approx(0.54761, rel=2e-4)


def test_inversion_time_that_nulls_a_tissue_nulls_it() -> None:
    # 1 - 2 e^(-TI/T1) + e^(-TR/T1) = 0 at TI = T1 ln(2 / (1 + e^(-TR/T1)))
    t1 = next(tissue.t1 for tissue in TISSUES if tissue.name == "csf")
    nulling = t1 * math.log(2.0 / (1.0 + math.exp(-9000.0 / t1)))
    assert _signal("csf", Protocol(tr=9000.0, te=110.0, ti=nulling)) == pytest.approx(0.0, abs=1e-6)
    assert nulling == pytest.approx(PROTOCOLS["flair"].ti or 0.0, rel=0.4)


def test_contrasts_order_tissues_as_radiologists_know_them() -> None:
    grey, white, csf = "grey matter", "white matter", "csf"
    t1, t2, flair = (PROTOCOLS[name] for name in ("t1", "t2", "flair"))
    assert _signal(csf, t1) < _signal(grey, t1) < _signal(white, t1)
    assert _signal(white, t2) < _signal(grey, t2) < _signal(csf, t2)
    assert _signal(csf, flair) < 0.5 * _signal(white, flair)
    assert _signal("oedema", flair) > 1.3 * _signal("white matter", flair)


def test_study_is_one_grid_of_three_volumes(made: Study) -> None:
    assert made.ct.shape == made.mr.shape == made.labels.shape == (SIZE, SIZE, SIZE)
    for volume in (made.mr, made.labels):
        np.testing.assert_array_equal(volume.affine, made.ct.affine)
    np.testing.assert_allclose(np.diag(made.ct.affine), [SPACING, SPACING, SPACING, 1.0])
    assert (made.ct.meta.modality, made.mr.meta.modality) == ("ct", "mr")
    assert np.isfinite(made.ct.values).all()
    assert np.isfinite(made.mr.values).all()
    assert made.mr.values.min() >= 0.0


def test_the_same_seed_gives_the_same_study_and_another_another() -> None:
    first, again, other = (phantom.study(seed, size=32, spacing=7.0) for seed in (11, 11, 12))
    for name in ("ct", "mr", "labels"):
        values = [getattr(study, name).values for study in (first, again, other)]
        assert np.array_equal(values[0], values[1])
        assert not np.array_equal(values[0], values[2])


def test_volume_holds_the_labels_of_the_study(made: Study) -> None:
    head = phantom.draw_head(_seed_with("haemorrhage", side=-1.0))
    assert isinstance(head, Head)
    np.testing.assert_array_equal(phantom.volume(head, SIZE, SPACING), _labels(made))


@pytest.mark.parametrize("name", ["air", "fat", "white matter", "haemorrhage"])
def test_ct_value_of_a_tissue_is_near_its_mean(made: Study, name: str) -> None:
    tissue = TISSUES[LABEL[name]]
    inner = ndimage.binary_erosion(_labels(made) == tissue.label)
    assert inner.sum() > 20
    assert np.median(made.ct.values[inner]) == pytest.approx(tissue.hu, abs=2 * tissue.hu_sd + 6.0)


def test_bone_is_bright_in_ct_and_dark_in_mr(made: Study) -> None:
    labels = _labels(made)
    bone, white = labels == LABEL["cortical bone"], labels == LABEL["white matter"]
    assert np.median(made.ct.values[bone]) > 500.0
    assert np.median(made.mr.values[bone]) < 0.5 * np.median(made.mr.values[white])


def test_skull_closes_around_the_brain(made: Study) -> None:
    plane = _mid_axial(_labels(made))
    outside, count = ndimage.label(~np.isin(plane, SKULL))
    brain = np.unique(outside[np.isin(plane, [LABEL["white matter"], LABEL["grey matter"]])])
    assert count >= 2
    assert outside[0, 0] not in brain


def test_ventricles_lie_in_the_middle_of_the_brain(made: Study) -> None:
    labels = _labels(made)
    brain = np.isin(labels, [LABEL["white matter"], LABEL["grey matter"]])
    centre, reach = np.argwhere(brain).mean(axis=0), 25.0 / SPACING
    core = tuple(slice(int(c - reach), int(c + reach) + 1) for c in centre)
    fluid = labels[core] == LABEL["csf"]
    assert 0.02 < fluid.mean() < 0.5
    sides = np.argwhere(fluid)[:, 0] < fluid.shape[0] / 2
    assert 0.25 < sides.mean() < 0.75


def test_front_is_front_and_up_is_up(made: Study) -> None:
    labels = _labels(made)
    centre = {
        name: np.argwhere(labels == LABEL[name]).mean(axis=0) for name in ("vitreous", "cerebellar cortex")
    }
    brain = np.argwhere(labels == LABEL["grey matter"]).mean(axis=0)
    assert centre["vitreous"][1] > brain[1] > centre["cerebellar cortex"][1]
    assert brain[2] > centre["vitreous"][2]
    assert brain[2] > centre["cerebellar cortex"][2]


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_lesion_lies_where_it_is_declared(side: float) -> None:
    study = phantom.study(_seed_with("haemorrhage", side), size=SIZE, spacing=SPACING)
    (lesion,) = study.lesions
    assert lesion.kind == "haemorrhage"
    assert lesion.centre[0] * side > 8.0, "left is negative x in RAS+"
    assert study.labels.values[_millimetres(study, lesion.centre)] == LABEL["haemorrhage"]
    found = np.argwhere(_labels(study) == LABEL["haemorrhage"]).mean(axis=0)
    place = study.ct.affine[:3, :3] @ found + study.ct.affine[:3, 3]
    assert np.linalg.norm(place - lesion.centre) < 0.5 * lesion.radius


def test_slices_have_shape_type_and_range() -> None:
    made = phantom.slices(5, 6, 64, contrast="both")
    assert made.ct.shape == made.mr.shape == made.head.shape == (6, 1, 64, 64)
    assert (made.ct.dtype, made.mr.dtype, made.head.dtype) == (torch.float32, torch.float32, torch.bool)
    assert made.wanted is None
    assert made.mr.min() >= 0.0
    assert made.mr.max() < 1500.0
    assert made.ct[~made.head].mean() < -950.0
    assert made.ct[made.head].mean() > 0.0


def test_slices_equal_themselves_and_differ_between_seeds_and_items() -> None:
    first, again, other = (phantom.slices(seed, 3, 48) for seed in (3, 3, 4))
    assert torch.equal(first.ct, again.ct)
    assert torch.equal(first.mr, again.mr)
    assert not torch.equal(first.ct, other.ct)
    assert not torch.equal(first.ct[0], first.ct[1])
    assert torch.equal(first.ct[:2], phantom.slices(3, 2, 48).ct)


def test_fat_is_bright_in_some_t2_as_echo_trains_show_it() -> None:
    values = np.stack([mr_values(np.random.default_rng(seed), "physics") for seed in range(400)])
    fat, csf, white = (values[:, LABEL[name]] for name in ("fat", "csf", "white matter"))
    t2 = fat[csf > 2 * white] / csf[csf > 2 * white]
    assert len(t2) > 80
    assert t2.min() < 0.35
    assert t2.max() > 0.6


def test_muscle_of_t1_is_as_dark_as_in_pictures_of_patients_in_some() -> None:
    values = np.stack([mr_values(np.random.default_rng(seed), "physics") for seed in range(400)])
    muscle, fat, csf, grey, white = (
        values[:, LABEL[name]] for name in ("muscle", "fat", "csf", "grey matter", "white matter")
    )
    t1 = (fat > white) & (white > 1.05 * grey) & (csf < grey)
    share = (2 * muscle / (grey + white))[t1]
    assert t1.sum() > 80
    assert share.min() < 0.4
    assert 0.45 < np.median(share) < 0.55  # 0.46 in pictures, 0.6 to 0.7 by the equations alone
    assert share.max() > 0.6


def test_marrow_of_thick_slices_is_as_bright_as_fat_in_some_heads_and_not_in_volumes() -> None:
    values = np.stack([mr_values(np.random.default_rng(seed), "physics") for seed in range(400)])
    marrow, fat, csf, grey, white = (
        values[:, LABEL[name]] for name in ("diploe", "fat", "csf", "grey matter", "white matter")
    )
    t1 = (fat > white) & (white > 1.05 * grey) & (csf < grey)
    share = (marrow / fat)[t1]
    assert t1.sum() > 80
    assert share.min() < 0.5
    assert np.mean(share > 0.75) > 0.1


def test_skin_is_brighter_than_the_middle_of_the_head_near_coils_and_nothing_else_changes() -> None:
    inside = np.hypot(*(np.indices((128, 128)) - 63.5)) < 50
    gains = np.stack([phantom.surface_gain(np.random.default_rng(seed), inside) for seed in range(60)])
    skin, middle = gains[:, 64, 15], gains[:, 64, 64]
    assert (gains >= 1).all()
    assert middle.max() < 1.05
    assert 0.5 < np.mean(skin == 1) < 0.9
    assert 1.5 < skin.max() < 2.5
    assert (np.diff(gains[:, 64, 14:64], axis=1) <= 1e-5).all()
    brighter = [phantom.surface_gain(np.random.default_rng(seed), inside, picture=True) for seed in range(60)]
    assert max(gain[64, 15] for gain in brighter) > 1.3 * skin.max()


def test_a_dense_bleeding_is_dark_in_t2_and_bright_in_some_t1() -> None:
    values = np.stack([mr_values(np.random.default_rng(seed), "physics") for seed in range(400)])
    blood, fat, csf, grey, white = (
        values[:, LABEL[name]] for name in ("haemorrhage", "fat", "csf", "grey matter", "white matter")
    )
    t2 = csf > 2 * white
    assert np.mean(blood[t2] < 0.85 * white[t2]) > 0.9
    t1 = (fat > white) & (white > 1.05 * grey) & (csf < grey)
    assert t1.sum() > 80
    assert 0.3 < np.mean(blood[t1] > 1.05 * white[t1]) < 0.7


def test_contrast_changes_mr_alone() -> None:
    contrasts: tuple[StreamContrast, ...] = ("t1", "t2", "flair", "physics", "random", "both")
    made = {contrast: phantom.slices(9, 4, 48, contrast=contrast) for contrast in contrasts}
    for contrast in contrasts[1:]:
        assert torch.equal(made["t1"].ct, made[contrast].ct)
        assert not torch.equal(made["t1"].mr, made[contrast].mr)


def test_a_second_contrast_is_of_the_same_slices() -> None:
    both = phantom.slices(9, 4, 48, contrast="t1", wanted="t2")
    assert both.wanted is not None
    assert torch.equal(both.ct, phantom.slices(9, 4, 48, contrast="t1").ct)
    assert torch.equal(both.mr, phantom.slices(9, 4, 48, contrast="t1").mr)
    grey = both.head & (both.ct > 20.0) & (both.ct < 45.0)
    fluid = both.head & (both.ct > 0.0) & (both.ct < 12.0)
    assert both.wanted[fluid].median() > both.wanted[grey].median()
    assert both.mr[fluid].median() < both.mr[grey].median()


def test_random_contrast_takes_either_polarity() -> None:
    made = phantom.slices(21, 24, 48, contrast="random")
    brain = made.head & (made.ct > 20.0) & (made.ct < 45.0)
    fat = made.head & (made.ct < -60.0) & (made.ct > -130.0)
    brighter = [bool(made.mr[i][brain[i]].median() > made.mr[i][fat[i]].median()) for i in range(24)]
    assert 3 < sum(brighter) < 21


def test_heads_without_their_base_keep_brain_and_vault() -> None:
    whole, without = (phantom.slices(5, 12, 64, contrast="t1", skull_base=base) for base in (True, False))
    changed = (whole.ct - without.ct).abs().flatten(1).mean(dim=1)
    assert (changed == 0).sum() >= 4  # slices above the base are the same
    assert changed.max() > 30
    missing = (whole.ct > 300) & (without.ct < 100)
    assert missing.sum() > 50
    again = phantom.slices(5, 12, 64, contrast="t1")
    assert torch.equal(whole.ct, again.ct)


def test_air_in_the_head_is_in_front_which_is_up() -> None:
    made = phantom.slices(2, 40, 64, contrast="t2")
    rows = torch.arange(64.0)[None, :, None].expand(40, 1, 64, 64)
    air = made.head & (made.ct < -700.0)
    pneumatised = [i for i in range(40) if air[i].sum() > 40]
    assert len(pneumatised) >= 3
    for i in pneumatised:
        assert rows[i][air[i]].mean() < rows[i][made.head[i]].mean()


def test_columns_of_a_slice_run_from_right_to_left() -> None:
    plane = draw_axial_plane(np.random.default_rng(0), phantom.draw_head(0), 64)
    assert plane.columns[0] < 0.0, "x grows to the right in RAS+"
    assert plane.rows[1] < 0.0, "y grows to the front in RAS+"
    across = plane.origin + plane.columns * 63
    assert across[0] < -30.0
    assert plane.origin[0] > 30.0


@pytest.mark.parametrize("format", ["nifti", "dicom"])
def test_written_study_reads_back(tmp_path: Path, format: Literal["dicom", "nifti"]) -> None:
    settings = PhantomSettings(out=tmp_path / "study", seed=4, size=32, spacing=7.0, format=format)
    phantom.write_study(settings)
    truth = phantom.study(4, size=32, spacing=7.0, contrast="t1")
    suffix = ".nii.gz" if format == "nifti" else ""
    for name, expected, tolerance in (
        ("ct", truth.ct, 1.0),
        ("mr", truth.mr, 1.0),
        ("labels", truth.labels, 0.01),
    ):
        path = tmp_path / "study" / (f"{name}{suffix}" if name != "labels" else "labels.nii.gz")
        read = read_volume(path)
        assert read.shape == (32, 32, 32)
        x, y, z = 9, 14, 20
        point = expected.affine @ [x, y, z, 1.0]
        i, j, k = np.linalg.solve(read.affine, point)[:3].round().astype(int)
        assert read.values[i, j, k] == pytest.approx(expected.values[x, y, z], abs=tolerance)
    described = json.loads((tmp_path / "study" / "phantom.json").read_text())
    assert described["seed"] == 4
    assert described["labels"]["white matter"] == LABEL["white matter"]
    assert len(described["lesions"]) == len(truth.lesions)
    with pytest.raises(OutputExists):
        phantom.write_study(settings)


@pytest.mark.parametrize("contrast", ["t1", "t2", "flair", "random"])
def test_every_contrast_of_the_settings_makes_a_study(contrast: PhantomContrast) -> None:
    made = phantom.study(1, size=32, spacing=7.0, contrast=contrast)
    assert float(made.mr.values.max()) > 100.0


def test_ct_and_mr_of_a_study_overlay(tmp_path: Path) -> None:
    phantom.write_study(PhantomSettings(out=tmp_path / "study", size=32, spacing=7.0, format="dicom"))
    ct, mr = (pydicom.dcmread(next((tmp_path / "study" / name).iterdir())) for name in ("ct", "mr"))
    assert ct.StudyInstanceUID == mr.StudyInstanceUID
    assert ct.FrameOfReferenceUID == mr.FrameOfReferenceUID
    assert ct.SeriesInstanceUID != mr.SeriesInstanceUID
    assert (ct.StudyDate, ct.StudyTime) == (mr.StudyDate, mr.StudyTime)
