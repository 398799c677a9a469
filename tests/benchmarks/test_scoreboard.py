"""The scoreboard's measures on pairs with a known answer, and its rows on made pictures."""

import csv
from dataclasses import replace
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from benchmarks.quality import label_heads as label_heads_script
from benchmarks.quality import scoreboard
from benchmarks.quality.contact_sheet import planes_of
from benchmarks.quality.head_volumes import Head, climb, in_hu, to_ct, to_mr_and_back, ventricle_dice
from benchmarks.quality.label_heads import label_heads
from benchmarks.quality.pair_measures import (
    BONE,
    Move,
    aligned,
    areas_of,
    blurred,
    dice,
    fitting_move,
    fluid_less_brain,
    gradient_correlation,
    shifted,
    slice_measures,
)
from benchmarks.quality.pair_sets import PAIR_SETS, WINDOWS, PairSet, Whose
from benchmarks.quality.rungs import WIDTHS, means_of_contrasts, showing, translated
from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Contrast, Modality
from medtranslate.evaluation.calibration_pairs import find_pairs, read_pair
from medtranslate.metrics import Values
from medtranslate.model import Generators

AIR, BRAIN, SKULL, VENTRICLE = 0.0, 110.0, 255.0, 60.0


def head(size: int = 128, *, brain: float = BRAIN, bone: float = SKULL, fluid: float = VENTRICLE) -> Values:
    """A slice [X, Y, 1]: a skull of 6 % of the side around brain with two ventricles; some noise."""
    x, y = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(x, y / 1.2)
    values = np.where(radius < 0.4, bone, AIR)
    values[radius < 0.34] = brain
    values[np.hypot(abs(x) - 0.07, y / 2.5) < 0.04] = fluid
    values += np.random.default_rng(0).normal(0, 2, values.shape)
    return values.clip(0, 255).astype(np.float32)[:, :, None]


@pytest.fixture(scope="module")
def model(small_model: Path) -> Model:
    return load_model(small_model, torch.device("cpu"))


def test_bone_of_a_known_overlap() -> None:
    truth, made = np.zeros((32, 32, 1), np.float32), np.zeros((32, 32, 1), np.float32)
    truth[4:14, 4:14], made[9:19, 4:14] = BONE, BONE
    everywhere = np.ones_like(truth, bool)
    found = slice_measures(made, truth, everywhere, areas_of(truth), ct=True)
    assert found["bone"] == pytest.approx(0.5)
    assert found["mae"] == pytest.approx(BONE * 100 / 1024)
    assert slice_measures(made - 1, truth, everywhere, areas_of(truth), ct=True)["bone"] == 0
    assert "bone" not in slice_measures(made, truth, everywhere, areas_of(truth), ct=False)
    assert dice(np.zeros(3, bool), np.zeros(3, bool)) is None


def aligned_bone(made: Values, truth: Values) -> float | None:
    return dice(aligned(made, truth) >= BONE, truth >= BONE)


def test_a_picture_is_aligned_by_a_shift_and_a_scale_and_by_nothing_else() -> None:
    truth = head()
    back = aligned(np.roll(truth, (3, -4), (0, 1)), truth)
    np.testing.assert_array_equal(back[4:-4, 4:-4], truth[4:-4, 4:-4])
    middle = (np.array(truth.shape) - 1) / 2 * (1, 1, 0)
    grown = ndimage.affine_transform(truth, [1 / 1.06, 1 / 1.06, 1], middle * (1 - 1 / 1.06), order=1)
    plain, moved = dice(grown >= BONE, truth >= BONE), aligned_bone(grown, truth)
    assert plain is not None
    assert moved is not None
    assert plain < 0.75
    assert moved > 0.9
    everywhere = np.ones_like(truth, bool)
    found = slice_measures(grown, truth, everywhere, areas_of(truth), ct=True)
    assert found["bone aligned"] == moved
    assert found["mae aligned"] < 0.6 * found["mae"]
    half = truth.copy()
    half[:64] = AIR
    assert aligned_bone(half, truth) == pytest.approx(2 / 3, abs=0.05)
    dark = np.zeros_like(truth)
    assert aligned(dark, truth) is dark


@pytest.mark.parametrize("move", [Move(), Move(1.0, 3, -4), Move(0.94, -2, 5), Move(1.06, 6, 0)])
def test_a_truth_that_is_moved_back_lies_where_its_source_does(move: Move) -> None:
    truth = head()
    there = move.back_on(truth)
    assert fitting_move(there, truth) == move
    # It is interpolated twice, and edges are sharp.
    apart, back = (np.abs(image - truth)[12:-12, 12:-12].mean() for image in (there, move.on(there)))
    assert back <= 0.2 * apart


def test_fluid_has_the_sign_of_the_picture_and_not_of_the_truth() -> None:
    truth = head()
    areas = areas_of(truth)
    assert areas.shows_fluid
    assert fluid_less_brain(truth, areas) == pytest.approx(VENTRICLE - BRAIN, abs=15)
    assert fluid_less_brain(head(fluid=160), areas) > 20
    assert fluid_less_brain(head(fluid=BRAIN), areas) == pytest.approx(0, abs=1)
    mask = np.ones_like(truth, bool)
    right, wrong = (slice_measures(made, truth, mask, areas, ct=True) for made in (truth, head(fluid=160)))
    assert (right["fluid dice"], wrong["fluid dice"]) == (1, 0)
    assert right["true fluid"] == wrong["true fluid"]
    assert right["shared fluid"] == 0
    assert "shared fluid" not in wrong


def test_fluid_that_lies_elsewhere_is_compared_where_both_have_it() -> None:
    truth = head()
    areas, mask = areas_of(truth), np.ones_like(truth, bool)
    elsewhere, paler = (
        slice_measures(made, truth, mask, areas, ct=True)
        for made in (shifted(truth, 6), head(fluid=VENTRICLE + 12))
    )
    assert elsewhere["fluid"] > elsewhere["true fluid"] + 5
    assert elsewhere["shared fluid"] == pytest.approx(0, abs=5)
    assert paler["shared fluid"] == pytest.approx(12, abs=3)


@pytest.mark.parametrize(
    "picture", [head(bone=BRAIN), np.zeros((32, 32, 1), np.float32)], ids=["no skull", "air"]
)
def test_without_a_skull_there_is_no_fluid(picture: Values) -> None:
    areas = areas_of(picture)
    assert not areas.shows_fluid
    assert "fluid" not in slice_measures(picture, picture, np.ones_like(picture, bool), areas, ct=True)


def test_a_wider_blur_has_less_bone_and_fewer_edges() -> None:
    truth = head()
    mask, areas = np.ones_like(truth, bool), areas_of(truth)
    found = [
        slice_measures(made, truth, mask, areas, ct=True)
        for made in (truth, *(blurred(truth, width) for width in WIDTHS))
    ]
    for measure in ("bone", "gradient", "ssim"):
        values = [measures[measure] for measures in found]
        assert values[0] == pytest.approx(1)
        assert values == sorted(values, reverse=True)
    errors = [measures["mae"] for measures in found]
    assert errors == sorted(errors)
    assert found[0]["fluid"] < found[-1]["fluid"] < 0


def test_gradients_turn_their_sign_with_the_contrast() -> None:
    truth = head()
    mask = np.ones_like(truth, bool)
    assert gradient_correlation(truth, truth, mask) == pytest.approx(1)
    assert gradient_correlation(255 - truth, truth, mask) == pytest.approx(-1)
    assert gradient_correlation(0.5 * truth + 20, truth, mask) == pytest.approx(1)
    assert gradient_correlation(np.zeros_like(truth), truth, mask) is None


def test_matching_takes_the_contrast_out_of_the_error() -> None:
    truth = head()
    found = slice_measures(0.5 * truth + 20, truth, np.ones_like(truth, bool), areas_of(truth), ct=False)
    assert found["mae matched"] < 0.2 < found["mae"]


def test_translations_are_compared_in_the_window_of_the_case(data: Path, model: Model) -> None:
    source = PAIR_SETS[0].read(data, "16001.png", "mr")
    wide, narrow = (
        translated(source, showing(model, window), "ct").values.astype(float)
        for window in ((-20.0, 100.0), (0.0, 80.0))
    )
    assert np.ptp(wide) > 50
    assert narrow == pytest.approx(((wide * 120 / 255 - 20) * 255 / 80).clip(0, 255), abs=0.1)
    assert {case for pairs in PAIR_SETS for cases in pairs.cases.values() for case in cases} == set(WINDOWS)


def test_a_model_with_a_choice_is_asked_for_the_contrast(data: Path, model: Model) -> None:
    network = replace(model.description.network, told=7)
    torch.manual_seed(0)
    told = Model(replace(model.description, network=network), Generators(network).eval(), model.means)
    source = PAIR_SETS[0].read(data, "16001.png", "ct")
    made = [translated(source, told, "mr", contrast).values for contrast in ("t1", "t2", "t1")]
    assert np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[1])
    alone = [translated(source, model, "mr", contrast).values for contrast in ("t1", "t2")]
    assert np.array_equal(*alone)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of two atlas cases, and of one further patient."""
    folder = tmp_path_factory.mktemp("pairs")
    cases = {"paired-ct-mr/MRI": ("16", "20"), "paired-three/MRI-T1": ("71",), "paired-three/MRI-T2": ("71",)}
    mr = head(96, brain=150, bone=20, fluid=230)
    for place, names in cases.items():
        for kind, picture in {folder / place: mr, (folder / place).parent / "CT": head(96)}.items():
            kind.mkdir(parents=True, exist_ok=True)
            for name, number in product(names, (1, 2, 3)):
                pixels = np.roll(picture[:, :, 0].T, number, axis=1).astype(np.uint8)
                Image.fromarray(pixels).save(kind / f"{name}{number:03}.png")
    return folder


def test_rows_of_made_pairs(
    data: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_path, sheet = tmp_path / "rows.csv", tmp_path / "sheet.png"
    line = f"scoreboard --model {small_model} --data {data} --cases choosing --every 2 --bent 2"
    monkeypatch.setattr("sys.argv", [*line.split(), "--csv", str(rows_path), "--sheet", str(sheet)])
    monkeypatch.setattr("benchmarks.ablation.appearance.DIRECTIONS", 4)
    monkeypatch.setattr("benchmarks.ablation.appearance.PATCHES", 64)
    scoreboard.main()
    with rows_path.open(newline="") as file:
        rows = {(row["set"], row["to"], row["row"], row["case"]): row for row in csv.DictReader(file)}
    assert {key[:2] for key in rows} == {
        (f"{pairs.name}, choosing", to) for pairs in PAIR_SETS for to in ("ct", "mr")
    }
    of_atlas = [key[2:] for key in rows if key[:2] == ("atlas, choosing", "ct")]
    assert {case for name, case in of_atlas if name == "copied"} == {"all", "16", "20"}
    assert len({name for name, _ in of_atlas}) == 4 + len(WIDTHS) + 2
    own, bent = (rows["atlas, choosing", "ct", f"{small_model}{of}", "16"] for of in ("", ", mean of bent"))
    assert own["mae"] != bent["mae"]
    assert ("atlas, choosing", "mr", f"{small_model}, mean of bent", "16") not in rows
    apart = rows["atlas, choosing", "ct", "shifted", "all"]
    assert float(apart["bone"]) > 0.5 > float(rows["atlas, choosing", "ct", "copied", "all"]["bone"])
    assert float(apart["fluid"]) < 0 < float(rows["atlas, choosing", "ct", "copied", "all"]["fluid"])
    assert ("T1, choosing", "mr", "mean of contrast", "71") not in rows  # there is no other patient
    with Image.open(sheet) as picture:
        assert picture.size == (3 * 3 * 96, 8 * (96 + 14))


def test_the_mean_of_a_contrast_is_that_of_other_cases(data: Path, model: Model) -> None:
    atlas = PAIR_SETS[0]
    names = atlas.names(data, "choosing")
    means = means_of_contrasts(atlas, data, names, model)
    alone = means_of_contrasts(atlas, data, [name for name in names if not name.startswith("16")], model)
    assert set(means) == {"16", "20"}
    assert means["16"].shape == (1, 32, 32)
    assert alone == {}


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The label map of a ball of 96 mm with scalp, skull, fluid, brain and two ventricles."""
    x, y, z = np.indices((96, 96, 96)) - 47.5
    radius = np.sqrt(x**2 + y**2 + z**2)
    labels = np.digitize(-radius, [-46, -42, -36, -34]).astype(np.uint8)
    labels[np.hypot(np.hypot(abs(x) - 6, y / 2), z) < 4] = 3
    path = tmp_path_factory.mktemp("map") / "ball.nii.gz"
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    names = ["air", "soft tissue", "skull", "csf", "white matter"]
    lines = "\n".join(f"  {label}: {name}" for label, name in enumerate(names))
    path.with_name("ball.yaml").write_text(f"tissues:\n{lines}\n")
    return path


@pytest.fixture(scope="module")
def balls(ball: Path) -> list[Head]:
    """Heads of that map in four contrasts."""
    return list(label_heads(ball))


def test_an_uneven_head_has_brighter_marrow_and_other_fat_from_place_to_place(
    ball: Path, balls: list[Head]
) -> None:
    plain, uneven = balls[0], next(label_heads(ball, uneven=True))
    ct, other = (head.of("ct").values for head in (plain, uneven))
    radius = np.sqrt(
        sum((along - along.mean()) ** 2 for along in np.indices(ct.shape) * [[[[1]]], [[[1]]], [[[3]]]])
    )
    scalp, brain = (radius > 43) & (radius < 45), radius < 30
    changed = np.abs(ct - other) > 60  # fat for muscle, or the reverse
    assert changed[scalp].sum() > 200
    assert changed[scalp].mean() < 0.5
    assert not changed[brain].any()
    marrow = (np.abs(ct - 520) < 60) & (np.abs(other - 520) < 60)
    mr, bright = (np.median(head.of("mr").values[marrow]) for head in (plain, uneven))
    assert bright > 1.2 * mr


def test_pairs_of_a_label_map_can_calibrate(
    ball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pairs"
    line = f"label_heads {ball} --write {folder} --heads 2 --slice-mm 16"
    monkeypatch.setattr("sys.argv", line.split())
    label_heads_script.main()
    pairs = find_pairs(folder / "pairs.csv")
    assert [pair.subject for pair in pairs] == ["ball-0"] * 4 + ["ball-1"] * 4
    one, other = read_pair(pairs[0]), read_pair(pairs[-1])
    assert one["mr"].spacing == pytest.approx((1, 1, 16))
    # Proportions and tissues vary from head to head.
    assert one["ct"].shape != other["ct"].shape
    levels = [np.percentile(head["ct"].values, range(50, 100)) for head in (one, other)]
    assert abs(levels[0] - levels[1]).max() > 100
    with (folder / "t1.csv").open(newline="") as file:
        assert [row["mr"] for row in csv.DictReader(file)] == ["ball-0-t1.nii.gz", "ball-1-t1.nii.gz"]


def test_lesions_lie_in_the_brain_alone(ball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for name, extra in (("well", []), ("ill", ["--lesions"])):
        line = f"label_heads {ball} --write {tmp_path / name} --heads 2 --slice-mm 8"
        monkeypatch.setattr("sys.argv", [*line.split(), *extra])
        label_heads_script.main()
        made[name] = [read_pair(pair) for pair in find_pairs(tmp_path / name / "pairs.csv")[::4]]
    well, ill = (made[name][1]["ct"].values for name in ("well", "ill"))
    changed = well != ill
    # A lesion is a part of the brain; white matter has 29 HU, the noise a deviation of 4.
    assert 0.01 < changed.sum() / (np.abs(well - 29) < 16).sum() < 1
    # In thick slices a voxel of the brain's edge has a part of bone or fluid.
    assert (np.abs(well - 29) < 24)[changed].mean() > 0.85
    assert not changed[well < -500].any()
    assert np.abs(well - ill)[changed].mean() > 5


@pytest.mark.parametrize("side", ["ct", "mr"])
def test_one_side_of_the_pairs_may_have_no_noise(
    ball: Path, side: Modality, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", f"_ {ball} --write {tmp_path / 'a'} --heads 2 --noiseless {side}".split())
    label_heads_script.main()
    pair = read_pair(find_pairs(tmp_path / "a" / "pairs.csv")[0])
    for each, volume in pair.items():
        brain = volume.values[44:50, 60:66, 8]
        # Noise is 0.03 of the MR there, and 0.14 of the CT.
        assert (brain.std() < 0.005 * abs(brain.mean())) == (each == side)


def test_ventricles_are_wide_and_deep_fluid() -> None:
    # A skull around brain; the air beside it is as far from bone as the ventricles.
    truth = np.full((164, 164, 2), -1000, np.float32)
    truth[32:132, 32:132] = 1000
    truth[36:128, 36:128] = 30
    share, made = np.zeros_like(truth), truth.copy()
    share[72:82, 72:92] = 1
    made[72:82, 77:97] = 7
    spacing = (1.0, 1.0, 5.0)
    assert ventricle_dice(made, truth, share, spacing) == pytest.approx(0.75, abs=0.02)
    before = ventricle_dice(made, truth, share, spacing)
    # Sulci, and fluid beside bone, belong to no ventricle.
    share[92:95, 65:95], made[40:52, 62:102] = 1, 7
    assert ventricle_dice(made, truth, share, spacing) == before


def test_heads_of_a_label_map_have_its_tissues(balls: list[Head]) -> None:
    found = {head.contrast: head for head in balls}
    assert list(found) == ["t1", "t2", "flair", "pd"]
    ct = found["t1"].of("ct")
    assert ct.shape == (96, 96, 32)
    middle = ct.values[:, :, 16]
    assert middle[0, 0] == pytest.approx(-1000, abs=30)
    assert middle.max() > 1000
    white, fluid = middle[44:51, 60:70].mean(), middle[40:43, 46:49].mean()
    assert white - fluid == pytest.approx(29 - 7, abs=6)
    for contrast, darker in (("t1", True), ("t2", False), ("flair", True)):
        mr = found[contrast].of("mr").values[:, :, 16]
        assert (mr[40:43, 46:49].mean() < mr[44:51, 60:70].mean()) == darker


def test_a_ct_in_hu_is_scored_by_tissue() -> None:
    truth = np.full((32, 32, 8), -1000, np.float32)
    truth[4:28, 4:28], truth[8:24, 8:24] = 1000, 30
    made = truth.copy()
    made[8:24, 8:24] += 10
    made[4:28, 4:6] = 30
    found = in_hu(made, truth, (5, 5, 5), (-1000, 2000))
    assert found["soft tissue"] == pytest.approx(10)
    assert found["bone HU"] == pytest.approx(970 * 2 * 24 / (24**2 - 16**2))
    assert found["bone 200"] == pytest.approx(2 * (320 - 48) / (320 + 320 - 48))
    assert found["bone 91"] == found["bone 300"] == found["bone 200"]
    windowed = in_hu(made.clip(-20, 100), truth, (5, 5, 5), (-20, 100))
    assert windowed["bone 91"] == found["bone 91"]
    assert "bone 300" not in windowed
    assert [windowed[name] for name in ("head", "bone HU", "air", "bone 200")] == [None] * 4


def test_a_whole_head_is_measured_with_its_planes(balls: list[Head], model: Model) -> None:
    head = balls[0]
    measured, grey = to_ct(head, model)
    assert grey.shape == head.of("mr").shape
    assert measured["drawn outside"] >= measured["bone outside"] >= 0
    # An untrained network makes one grey, so that slices hardly differ.
    assert measured["seams"] < 1
    back, mr = to_mr_and_back(Head("ct", ct=head.ct), model)
    assert mr.shape == grey.shape
    assert back["mae back"] > 10
    assert planes_of(grey, head.of("mr").spacing).shape == (96, 3 * 96)
    truth, rungs = climb(head, "ct", {"small": model}, every=8)
    assert len(truth) == 4
    apart, made = (rungs[name].means() for name in ("shifted", "small"))
    assert apart["bone"] > 0.5 > made["bone"]
    assert apart["mae"] < made["mae"]


def test_another_picture_is_of_the_patient_or_of_the_site_and_never_the_same(tmp_path: Path) -> None:
    (tmp_path / "set" / "CT").mkdir(parents=True)
    names = ["71001.png", "71002.png", "71003.png", "72001.png", "73001.png", "74001.png"]
    for name in names:
        (tmp_path / "set" / "CT" / name).touch()
    contrasts: dict[str, Contrast] = {"71": "t1", "72": "t2", "73": "t1", "74": "t1"}
    pairs = PairSet("set", "set", "MRI", {"choosing": ("71", "72", "73")}, contrasts)

    def found(names: list[str], whose: Whose) -> list[str | None]:
        return [pairs.another(tmp_path, name, whose) for name in names]

    assert found(names[:3], "patient") == ["71002.png", "71001.png", "71002.png"]
    assert found(names[2:], "site") == ["73001.png", None, "71002.png", "71002.png"]
