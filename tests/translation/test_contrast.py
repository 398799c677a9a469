"""A model of whole heads: CT along a curve from air to bone, and MR in the contrast that is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom import dcmread

from medtranslate.batch import run_batch
from medtranslate.checkpoint import Model, load_model, save_model
from medtranslate.config import BatchSettings, NetworkSettings, ScaleSettings, TranslateSettings
from medtranslate.errors import ModelRefused, UsageError
from medtranslate.io import read_volume, write_volume
from medtranslate.model import Generators
from medtranslate.phantom import TOLD, named_brightness, nearest_contrast, nominal_brightness, study
from medtranslate.records import Calibration, Curve
from medtranslate.transforms import unscale_ct, windowed_curve
from medtranslate.translation import Translator, sample_volume, translate
from medtranslate.translation.contrast import name_contrast, told_like
from medtranslate.translation.tissue_brightness import as_bright_as, measure_ratios, with_fluid
from medtranslate.translation.translator import sheet_of

SCALE = ScaleSettings(
    ct_window=(-1000, 2000), ct_knots=(-150, -20, 4, 28, 52, 76, 100, 300, 1000), ct_picture=(-20, 100)
)
NETWORK = NetworkSettings(size=32, channels=(8, 8), latent_channels=4, told=7, seen=7)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Path:
    """A model of random weights that is told the contrast."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("told")
    means = {"ct": torch.zeros(1, 32, 32), "mr": torch.zeros(1, 32, 32)}
    save_model(
        folder, Generators(NETWORK), means, name="told", summary="Random.", network=NETWORK, scale=SCALE
    )
    return folder


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("head")
    made = study(910_000, size=40, spacing=6.0)
    write_volume(made.ct, folder / "ct.nii.gz")
    write_volume(made.mr, folder / "mr.nii.gz")
    write_volume(made.ct, folder / "series", format="dicom")
    return folder


def run(source: Path, output: Path, model: Path, to: str, **more) -> Path:
    settings = {"input": source, "output": output, "to": to, "model": str(model), **more}
    translate(TranslateSettings(**settings), quiet=True)
    return output


def test_an_mr_has_the_contrast_that_is_asked_for_and_says_so(told, head, tmp_path):
    asked = (None, "t2", "flair")
    made = [run(head / "series", tmp_path / str(name), told, "mr", contrast=name) for name in asked]
    default, t2, flair = (read_volume(path).values for path in made)
    assert np.array_equal(default, t2)
    assert not np.array_equal(t2, flair)
    headers = [dcmread(next(path.glob("*.dcm"))) for path in made]
    assert [header.SeriesDescription for header in headers] == [
        f"SYNTHETIC MR {name}, RESEARCH ONLY, told" for name in ("T2", "T2", "FLAIR")
    ]
    series = [header.SeriesInstanceUID for header in headers]
    assert series[0] == series[1] != series[2]
    record = json.loads((tmp_path / "flair" / "translation.json").read_text())
    assert record["model"]["contrast"] == "flair"


def test_a_model_of_one_contrast_refuses_the_option(small_model, head, tmp_path):
    with pytest.raises(ModelRefused, match="one contrast alone"):
        run(head / "ct.nii.gz", tmp_path / "mr.nii.gz", small_model, "mr", contrast="t1")
    assert not list(tmp_path.iterdir())


def test_a_ct_is_in_hu_along_the_curve_and_so_is_its_uncertainty(told, head, tmp_path):
    out = run(
        head / "mr.nii.gz", tmp_path / "ct.nii.gz", told, "ct", samples=3, uncertainty=tmp_path / "sd.nii.gz"
    )
    ct, spread = read_volume(out).values, read_volume(tmp_path / "sd.nii.gz").values
    assert ct.min() == -1000
    assert ct.max() <= 2000
    record = json.loads((tmp_path / "ct.translation.json").read_text())
    assert record["model"]["output_range"] == [-1000, 2000]
    assert record["model"].get("contrast") is None
    # A network's spread is a few hundredths of its range: a few HU where the curve is steep.
    inside = spread > 0
    steep, flat = (inside & part for part in ((ct > 0) & (ct < 70), ct < -200))
    assert spread[inside].mean() > 0
    if steep.any() and flat.any():
        assert np.median(spread[flat]) > np.median(spread[steep])


def test_a_windowed_picture_is_read_and_written_in_its_own_window(told, head, tmp_path):
    hu = read_volume(head / "ct.nii.gz").values[:, ::-1, 24].T
    grey = ((hu.clip(-20, 100) + 20) * 255 / 120).astype(np.uint8)
    Image.fromarray(np.kron(grey, np.ones((3, 3), np.uint8))).save(tmp_path / "ct.png")
    Image.fromarray(np.kron(grey, np.ones((3, 3), np.uint8))).save(tmp_path / "mr.png")
    mr = np.asarray(Image.open(run(tmp_path / "ct.png", tmp_path / "made_mr.png", told, "mr")))
    ct = np.asarray(Image.open(run(tmp_path / "mr.png", tmp_path / "made_ct.png", told, "ct")))
    assert mr.dtype == ct.dtype == np.uint8
    assert ct[0, 0] == mr[0, 0] == 0
    head = np.kron(grey, np.ones((3, 3))) > 30
    assert (mr[head] > 0).mean() > 0.9
    # Brain and fat: what lies below the window is black.
    grey_of = unscale_ct(np.array([0.0, -0.7], np.float32), windowed_curve(SCALE, 255.0)).clip(0, 255)
    np.testing.assert_allclose(grey_of, [(52 + 20) * 255 / 120, 0], atol=1e-3)


def test_the_preview_shows_soft_tissue(told, head):
    made = Translator(load_model(str(told)), "ct").translate(read_volume(head / "mr.nii.gz"))
    assert "from -160 to 240 HU" in repr(sheet_of(made))


def test_it_is_loaded_with_its_curve_and_told_in_python(told):
    model = load_model(str(told), contrast="pd")
    assert model.description.scale == SCALE
    assert model.info("mr").contrast == "pd"
    assert model.info("ct").contrast is None


def test_a_record_names_the_contrast_that_the_model_sees(told, head):
    made = Translator(load_model(str(told)), "ct").translate(read_volume(head / "mr.nii.gz"))
    seen = made.record.contrast
    assert tuple(seen.brightness) == TOLD
    assert all(-1 <= value <= 1 for value in seen.brightness.values())
    back = Translator(load_model(str(told)), "mr").translate(read_volume(head / "ct.nii.gz"))
    assert back.record.contrast is None


def test_errors_are_calibrated_in_hu_along_a_curved_scale(told, head):
    """A curve of slope one leaves every deviation as it is, in brain as in bone."""
    model = load_model(str(told))
    raw = sample_volume(read_volume(head / "mr.nii.gz"), model, "ct", samples=3).uncertainty
    same = Calibration(curves=(Curve(value=0.0, spread=(0.0, 2.0), error=(0.0, 2.0)),), on="itself")
    description = replace(model.description, calibration={"ct": same})
    known = Model(description, model.generators, model.means)
    done = sample_volume(read_volume(head / "mr.nii.gz"), known, "ct", samples=3).uncertainty
    inside = done.values > 0
    assert len(np.unique((raw.values[inside] * 1e3).round())) > 10
    np.testing.assert_allclose(done.values[inside], raw.values[inside], rtol=1e-3)


@pytest.mark.parametrize("contrast", ["t1", "t2", "flair", "pd", "t1c"])
def test_the_nearest_contrast_of_a_sequence_is_its_own(contrast):
    noise = np.random.default_rng(0).normal(0, 0.02, len(TOLD)).astype(np.float32)
    told = nominal_brightness(contrast) + noise
    assert nearest_contrast(told) == contrast
    # A picture of it is darker or brighter as a whole.
    assert nearest_contrast((told + 1) * 0.6 - 1) == contrast


def test_brightness_is_corrected_by_the_voxels_of_the_tissues():
    """A T1 whose scalp is near the coil: fat white, brain dark, and its ratios as they were seen."""
    seen = 2 * np.array([0.9, 0.3, 0.4, 0.05, 0.4, 0.6, 0.3], np.float32) - 1
    mr, ct = np.full((2, 1, 64, 64), -1.0, np.float32), np.full((2, 1, 64, 64), -1000.0, np.float32)
    for rows, share, hu in ((slice(4, 14), 0.8, -95.0), (slice(20, 50), 0.25, 32.0)):
        mr[..., rows, 8:56], ct[..., rows, 8:56] = 2 * share - 1, hu
    found = dict(zip(TOLD, (as_bright_as(seen, mr, ct) + 1) / 2, strict=True))
    assert found["fat"] == pytest.approx(0.8, abs=0.01)
    assert (found["grey matter"] + found["white matter"]) / 2 == pytest.approx(0.25, abs=0.01)
    assert found["white matter"] / found["grey matter"] == pytest.approx(1.5, abs=0.01)
    assert found["diploe"] / found["fat"] == pytest.approx(0.4 / 0.9, abs=0.01)
    assert found["csf"] == pytest.approx(0.025, abs=0.001)


def disc(rim: float, core: float, fluid: float, fat: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """A round head, MR in [-1, 1] and CT in HU: scalp, skull, cortex, white matter and a ventricle."""
    across = np.linspace(-32, 32, 64)
    radius = np.hypot(across[:, None], across[None])
    zones = ((30, fat, -95.0), (27, 0.05, 1200.0), (24, rim, 36.0), (19, core, 28.0), (7, fluid, 5.0))
    mr, ct = np.zeros((64, 64)), np.full((64, 64), -1000.0)
    for outer, bright, hu in zones:
        mr[radius < outer], ct[radius < outer] = bright, hu
    return (2 * mr - 1).astype(np.float32)[None, None], ct.astype(np.float32)[None, None]


@pytest.mark.parametrize(("hu", "share"), [(5.0, 0.9), (28.0, 0.3)])
def test_fluid_is_measured_deep_in_the_brain_alone(hu, share):
    """The network took a T2 for PD; fluid beside the skull is mixed with bone and is left out."""
    mr, ct = disc(rim=0.4, core=0.32, fluid=0.9)
    sulci = (ct == 36.0) & (mr > -0.3)
    sulci[..., 16:48, 16:48] = False
    mr[sulci], ct[sulci] = -0.5, 5.0
    ct[ct == 5.0] = np.where(sulci[ct == 5.0], 5.0, hu)
    seen = 2 * np.array([0.9, 0.2, 0.4, 0.3, 0.4, 0.32, 0.5], np.float32) - 1
    found = (with_fluid(seen, mr, ct) + 1) / 2
    assert found[TOLD.index("csf")] == pytest.approx(share, abs=0.01)
    others = np.delete(np.arange(len(TOLD)), TOLD.index("csf"))
    np.testing.assert_array_equal(with_fluid(seen, mr, ct)[others], seen[others])


@pytest.mark.parametrize(
    ("seen", "head", "names"),
    [
        ("t1c", {"rim": 0.50, "core": 0.48, "fluid": 0.03}, ("flair", None)),
        ("t1", {"rim": 0.28, "core": 0.29, "fluid": 0.02, "fat": 0.7}, ("flair", None)),
        ("pd", {"rim": 0.65, "core": 0.62, "fluid": 0.10, "fat": 0.1}, ("flair", None)),
        ("t1c", {"rim": 0.35, "core": 0.42, "fluid": 0.15}, ("t1c", None)),
        ("t1", {"rim": 0.33, "core": 0.37, "fluid": 0.10}, ("t1", "flair")),
        ("pd", {"rim": 0.36, "core": 0.32, "fluid": 0.80, "fat": 0.4}, ("t2", None)),
        ("pd", {"rim": 0.80, "core": 0.78, "fluid": 0.60, "fat": 0.8}, ("pd", None)),
    ],
)
def test_a_contrast_is_named_by_the_voxels_of_the_tissues(seen, head, names):
    """The network alone saw each as `seen`: scalp near the coils makes a FLAIR look like T1."""
    mr, ct = disc(**head)
    assert nearest_contrast(nominal_brightness(seen)) == seen
    brightness = as_bright_as(nominal_brightness(seen), mr, ct)
    found = name_contrast(brightness, measure_ratios(mr, ct))
    assert (found.nearest, found.second) == names
    assert (found.likelihood is None) == (found.nearest in ("t2", "pd"))
    # Another window makes the whole picture darker.
    darker = (mr + 1) * 0.7 - 1
    again = name_contrast(as_bright_as(nominal_brightness(seen), darker, ct), measure_ratios(darker, ct))
    assert (again.nearest, again.second, again.likelihood) == (*names, found.likelihood)


def test_a_t2_with_bright_fat_is_none_of_the_others():
    """The T2 of a healthy head, whose tissues were nearest to those of FLAIR."""
    mr, ct = disc(rim=0.30, core=0.25, fluid=0.62, fat=0.76)
    seen = 2 * np.array([0.76, 0.08, 0.41, 0.62, 0.28, 0.20, 0.38], np.float32) - 1
    assert nearest_contrast(seen) not in ("t2", "pd")
    assert name_contrast(seen, measure_ratios(mr, ct)).words == "T2"


def test_a_pd_that_looks_like_flair_has_no_dark_fluid():
    brightness = nominal_brightness("flair")
    mr, ct = disc(rim=0.55, core=0.53, fluid=0.48)
    assert name_contrast(brightness, measure_ratios(mr, ct)).words == "PD"
    mr, ct = disc(rim=0.55, core=0.53, fluid=0.10)
    assert name_contrast(brightness, measure_ratios(mr, ct)).words == "FLAIR"


def test_t1_and_flair_stay_undecided_where_the_ct_shows_no_fluid():
    mr, ct = disc(rim=0.35, core=0.42, fluid=0.15)
    ct[(ct > 0) & (ct < 10)] = 28.0
    assert measure_ratios(mr, ct) is None
    found = name_contrast(as_bright_as(nominal_brightness("t1"), mr, ct), None)
    assert (found.nearest, found.second, found.words) == ("t1", "flair", "T1 or FLAIR")
    assert name_contrast(nominal_brightness("t2"), None).words == "T2"


def test_an_mr_like_another_has_what_was_seen_in_that_one(told, head, tmp_path):
    out = run(head / "ct.nii.gz", tmp_path / "mr.nii.gz", told, "mr", like=head / "mr.nii.gz")
    model = json.loads((tmp_path / "mr.translation.json").read_text())["model"]
    assert "contrast" not in model
    seen = told_like(load_model(str(told)), read_volume(head / "mr.nii.gz"))
    assert model["brightness"] == named_brightness(seen.brightness)
    plain = read_volume(run(head / "ct.nii.gz", tmp_path / "t2.nii.gz", told, "mr")).values
    assert not np.array_equal(read_volume(out).values, plain)


def test_a_batch_meets_a_contrast_and_begins_anew_with_another(told, head, tmp_path):
    like, out = tmp_path / "like.nii.gz", tmp_path / "out"
    (tmp_path / "in").mkdir()
    copyfile(head / "ct.nii.gz", tmp_path / "in" / "ct.nii.gz")
    copyfile(head / "mr.nii.gz", like)
    settings = BatchSettings(source=tmp_path / "in", out=out, to="mr", model=str(told), like=like, workers=1)
    single = run(head / "ct.nii.gz", tmp_path / "mr.nii.gz", told, "mr", like=like)
    states = [run_batch(settings, quiet=True).items[0].state for _ in range(2)]
    assert states == ["done", "skipped"]
    (made,) = out.rglob("*.nii.gz")
    np.testing.assert_allclose(read_volume(made).values, read_volume(single).values, atol=1)
    mr = read_volume(head / "mr.nii.gz")
    write_volume(replace(mr, values=mr.values.max() - mr.values), like, overwrite=True)
    assert run_batch(settings, quiet=True).items[0].state == "done"


@pytest.mark.parametrize("asked", [{"contrast": "t1"}, {"like": True}, {"contrast": "t1", "like": True}])
def test_two_contrasts_or_one_of_a_ct_are_refused(told, head, tmp_path, asked):
    asked |= {"like": head / "mr.nii.gz"} if "like" in asked else {}
    to = "mr" if len(asked) == 2 else "ct"
    with pytest.raises(UsageError, match="leave"):
        run(head / "mr.nii.gz", tmp_path / "made.nii.gz", told, to, **asked)
    assert not list(tmp_path.iterdir())


def test_a_model_of_one_contrast_cannot_meet_another(small_model, head, tmp_path):
    with pytest.raises(ModelRefused, match="--like"):
        run(head / "ct.nii.gz", tmp_path / "mr.nii.gz", small_model, "mr", like=head / "mr.nii.gz")
    assert not list(tmp_path.iterdir())
