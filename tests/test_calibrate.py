"""Calibration of a model on pairs: what is fitted, what is tested, where it is written, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medtranslate.calibrate import calibrate, measure
from medtranslate.checkpoint import describe, load_model, save_model
from medtranslate.config import CalibrateSettings, Modality, NetworkSettings, ScaleSettings
from medtranslate.errors import (
    GeometryRefused,
    InputRefused,
    MedtranslateError,
    ModelRefused,
    OutputExists,
    UsageError,
)
from medtranslate.evaluation.calibration_pairs import choose_held_out, find_pairs
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.model import Generators
from medtranslate.records import Calibration, CalibrationReport, CalibrationTest
from medtranslate.translation import translate_volume

COUNT = 5
Settle = Callable[..., CalibrateSettings]


def head(seed: int, modality: Modality) -> Volume:
    """A ball of grey matter with a bright core, 24 x 24 x 2 voxels; the core differs between heads."""
    rng = np.random.default_rng(seed)
    z, radius = np.linspace(-0.2, 0.2, 2), np.linspace(-1, 1, 24)
    distance = np.sqrt(radius[:, None, None] ** 2 + radius[None, :, None] ** 2 + z**2)
    core = distance < rng.uniform(0.3, 0.5)
    air, tissue, bright = (-1000.0, 35.0, 80.0) if modality == "ct" else (0.0, 400.0, 900.0)
    values = np.where(distance < 0.8, np.where(core, bright, tissue), air)
    values += np.where(values == air, 0.0, rng.normal(0, 5, values.shape))
    return Volume(values.astype(np.float32), np.diag([8.0, 8.0, 8.0, 1.0]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ct and mr with a file for each head."""
    path = tmp_path_factory.mktemp("pairs")
    sides: tuple[Modality, ...] = ("ct", "mr")
    for side in sides:
        (path / side).mkdir()
        for seed in range(COUNT):
            write_volume(head(seed, side), path / side / f"{seed}.nii.gz")
    return path


@pytest.fixture
def pairs(folder: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(folder, tmp_path / "pairs")


@pytest.fixture
def settle(small_model: Path, pairs: Path, tmp_path: Path) -> Settle:
    """Settings for a copy of a small model, MR to CT, with few samples."""
    model = shutil.copytree(small_model, tmp_path / "model")

    def make(**values: object) -> CalibrateSettings:
        plain = CalibrateSettings(model=str(model), pairs=pairs, to="ct", samples=2, device="cpu")
        return replace(plain, **values)  # type: ignore[arg-type]

    return make


def random_model(folder: Path, **parts: int) -> None:
    """Save an untrained model whose network has these parts."""
    torch.manual_seed(1)
    folder.mkdir()
    network = NetworkSettings(size=32, channels=(8, 8), latent_channels=4, **parts)
    means = {side: torch.zeros(1, 32, 32) for side in ("ct", "mr")}
    described = {"name": folder.name, "summary": "Random.", "network": network, "scale": ScaleSettings()}
    save_model(folder, Generators(network), means, **described)


def run(settings: CalibrateSettings) -> CalibrationReport:
    return calibrate(settings, quiet=True)


def test_error_limits_hold_their_share_on_pairs_that_were_not_fitted(settle: Settle) -> None:
    settings = settle(on="five balls")
    before = describe(Path(settings.model))
    report = run(settings)
    test = report.directions["ct"]
    assert report.pairs == (COUNT - 1, 1)
    assert test.before.within_2_sd < 0.5
    assert test.before.share is None
    assert 0.75 < test.after.within_1_sd < 0.97
    assert test.after.within_1_sd <= test.after.within_2_sd
    assert (test.after.share, test.after.expected) == (0.9, (0.9, 0.999))
    assert report.warnings == []
    known = describe(Path(settings.model))
    assert (known.calibration["ct"].on, known.calibration["ct"].share) == ("five balls", 0.9)
    assert known == replace(before, calibration=known.calibration)
    assert load_model(settings.model).description == known


def test_held_out_pairs_have_no_part_in_the_curve(settle: Settle) -> None:
    settings = settle(overwrite=True)
    pairs = find_pairs(settings.pairs)
    (held,) = choose_held_out(pairs, settings)
    fitted = next(pair.name for pair in pairs if pair.name != held)

    def calibrated() -> tuple[Calibration, CalibrationTest]:
        test = run(settings).directions["ct"]
        return describe(Path(settings.model)).calibration["ct"], test

    curve, test = calibrated()
    for name in (held, fitted):
        path = settings.pairs / "ct" / f"{name}.nii.gz"
        truth = read_volume(path)
        values = np.where(truth.values > 60, 0.0, truth.values)
        write_volume(truth.with_values(values), path, overwrite=True)
        other_curve, other_test = calibrated()
        assert (other_curve == curve) == (name == held)
        assert (other_test.before == test.before) == (name != held)
        write_volume(truth, path, overwrite=True)


def test_a_limit_that_fails_on_the_held_out_pairs_is_warned_of(settle: Settle) -> None:
    settings = settle()
    (held,) = choose_held_out(find_pairs(settings.pairs), settings)
    path = settings.pairs / "ct" / f"{held}.nii.gz"
    truth = read_volume(path)
    write_volume(truth.with_values(np.where(truth.values > -500, 0.0, truth.values)), path, overwrite=True)
    (warning,) = run(settings).warnings
    assert "to ct: the 90% error limit holds" in warning
    assert "pairs may be too few" in warning


def test_a_copy_leaves_the_model_as_it_is(settle: Settle, tmp_path: Path) -> None:
    settings = settle(out=tmp_path / "copy")
    original = {path.name: path.read_bytes() for path in Path(settings.model).iterdir()}
    run(settings)
    assert {path.name: path.read_bytes() for path in Path(settings.model).iterdir()} == original
    assert list(describe(tmp_path / "copy").calibration) == ["ct"]
    assert load_model(str(tmp_path / "copy")).description.sha256 == describe(Path(settings.model)).sha256


def test_a_second_direction_joins_the_first(settle: Settle) -> None:
    run(settle(to="mr"))
    first = describe(Path(settle().model)).calibration
    run(settle(to="ct"))
    both = describe(Path(settle().model)).calibration
    assert set(both) == {"ct", "mr"}
    assert both["mr"] == first["mr"]
    with pytest.raises(OutputExists, match=r"calibrated already \(to ct and mr\)"):
        run(settle(to=None))


def test_limits_of_a_network_are_calibrated_beside_its_samples(settle: Settle, tmp_path: Path) -> None:
    """Without --samples the limits are taken where there are any; what samples have stays."""
    random_model(tmp_path / "limited", limits=True)
    settings = settle(model=str(tmp_path / "limited"))
    assert run(settings).samples == 2
    report = run(replace(settings, samples=None))
    assert report.samples == 0
    found = describe(tmp_path / "limited")
    assert found.calibration.keys() == found.limits.keys() == {"ct"}
    assert found.calibration["ct"] != found.limits["ct"]
    test = report.directions["ct"]
    assert test.after.within_1_sd == pytest.approx(0.9, abs=0.1)
    with pytest.raises(OutputExists, match="calibrated already"):
        run(replace(settings, samples=None))


def test_pairs_are_found_in_folders_trees_and_lists(pairs: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    rows = ["ct,mr,subject"]
    for seed in range(COUNT):
        (tree / str(seed)).mkdir(parents=True)
        for side in ("ct", "mr"):
            shutil.copy(pairs / side / f"{seed}.nii.gz", tree / str(seed) / f"{side}.nii.gz")
        rows.append(f"pairs/ct/{seed}.nii.gz,pairs/mr/{seed}.nii.gz,person {seed % 2}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    named = find_pairs(pairs)
    assert [pair.name for pair in named] == [pair.subject for pair in named] == [*map(str, range(COUNT))]
    assert [pair.files["mr"].name for pair in find_pairs(tree)] == ["mr.nii.gz"] * COUNT
    listed = find_pairs(tmp_path / "list.csv")
    assert [pair.subject for pair in listed] == [f"person {seed % 2}" for seed in range(COUNT)]
    for seed in range(5):
        held = choose_held_out(listed, CalibrateSettings(model="m", pairs=pairs, seed=seed))
        assert len({pair.subject for pair in listed if pair.name in held}) == 1
        assert len(held) in (2, 3)
    assert listed[3].files["ct"].samefile(pairs / "ct" / "3.nii.gz")
    (pairs / "mr").rename(pairs / "MRI")
    assert len(find_pairs(pairs)) == COUNT


def _other_grid(pairs: Path) -> None:
    volume = read_volume(pairs / "mr" / "2.nii.gz")
    moved = volume.affine.copy()
    moved[0, 3] += 3
    write_volume(Volume(volume.values, moved), pairs / "mr" / "2.nii.gz", overwrite=True)


def _too_few(pairs: Path) -> None:
    for side in ("ct", "mr"):
        for seed in (0, 1):
            (pairs / side / f"{seed}.nii.gz").unlink()


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_other_grid, GeometryRefused, r"2\.nii\.gz: its corners lie up to 3\.000 mm from the CT's"),
        (_too_few, InputRefused, "too few pairs to fit some and test others: 3 of 3 subjects"),
        (lambda pairs: (pairs / "mr" / "1.nii.gz").unlink(), InputRefused, r"1 of 5 names have no mr \(1\)"),
        (lambda pairs: shutil.rmtree(pairs / "mr"), InputRefused, "none of them called ct"),
        (lambda pairs: (pairs / "ct" / "1.nii.gz").write_bytes(b"no image"), InputRefused, r"1\.nii\.gz"),
    ],
)
def test_bad_pairs_are_refused_and_the_model_stays_as_it_is(
    settle: Settle, spoil: Callable[[Path], object], error: type[MedtranslateError], words: str
) -> None:
    settings = settle()
    spoil(settings.pairs)
    with pytest.raises(error, match=words) as caught:
        run(settings)
    assert "\n" not in str(caught.value)
    assert not describe(Path(settings.model)).calibration


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"model": "brain-2d"}, UsageError, "ships with medtranslate and stays as it is; give --out"),
        ({"model": "absent"}, ModelRefused, "no model of this name"),
    ],
)
def test_what_could_not_be_written_is_refused_first(
    settle: Settle, values: dict[str, object], error: type[MedtranslateError], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(settle(**values))


def test_a_copy_replaces_no_input(settle: Settle, pairs: Path) -> None:
    for out in (pairs, Path(settle().model)):
        with pytest.raises(UsageError, match="is or holds the input"):
            run(settle(out=out, overwrite=True))
    (pairs.parent / "taken").mkdir()
    (pairs.parent / "taken" / "mine.txt").touch()
    with pytest.raises(OutputExists, match="not replaced"):
        run(settle(out=pairs.parent / "taken", overwrite=True))


def test_an_mr_is_asked_for_in_the_contrast_of_the_true_one(small_model: Path, tmp_path: Path) -> None:
    """The same CT becomes another MR beside an MR of another contrast, if the model can meet contrasts."""
    random_model(tmp_path / "told", told=7, seen=7)
    settings = CalibrateSettings(model="m", pairs=tmp_path, samples=2)
    ct, mr = head(0, "ct"), head(0, "mr")
    other = mr.with_values(np.where(mr.values > 0, 1200 - mr.values, 0))
    for path, told in ((tmp_path / "told", True), (small_model, False)):
        model = load_model(str(path))
        first, second = (measure({"ct": ct, "mr": each}, model, "mr", settings) for each in (mr, other))
        assert first.made.shape == second.made.shape
        assert np.array_equal(first.made, second.made) != told


def test_limits_are_calibrated_on_the_errors_of_axial_slices(tmp_path: Path) -> None:
    """From three sides errors are smaller, and pictures have one side alone."""
    random_model(tmp_path / "model", planes=3, neighbours=1, limits=True)
    model = load_model(str(tmp_path / "model"))
    volumes: dict[Modality, Volume] = {}
    for side in ("ct", "mr"):
        values = np.repeat(head(1, side).values[..., :1], 24, axis=2)
        volumes[side] = Volume(values, np.diag([4.0, 4.0, 4.0, 1.0]))
    settings = CalibrateSettings(model=str(tmp_path / "model"), pairs=tmp_path, to="ct", force=True)
    assert translate_volume(volumes["mr"], model, "ct")[1].planes == 3
    both = [measure(volumes, each, "ct", settings) for each in (model, model.axial())]
    np.testing.assert_array_equal(both[0].errors, both[1].errors)
