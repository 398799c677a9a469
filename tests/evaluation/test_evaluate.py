from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    ornt_transform,
)
from numpy.typing import NDArray
from PIL import Image

from medtranslate.config import EvaluateSettings
from medtranslate.errors import GeometryRefused, InputRefused, OutputExists, SettingsError, UsageError
from medtranslate.evaluation import ScoringRules, SourceImage, baselines, evaluate, score_pair
from medtranslate.io import Meta, Volume, read_volume, write_volume
from medtranslate.records import Cohort, Evaluation, ModelInfo, Source, Translation, read_result, write_result

ROLES = ("prediction", "reference", "source", "mask")
AFFINE = np.array([[-2.0, 0, 0, 30], [0, -1.5, 0, 40], [0, 0, 3, -50], [0, 0, 0, 1]])  # LPS


def volume(values: NDArray[np.floating], affine: NDArray[np.float64] = AFFINE, **meta: object) -> Volume:
    return Volume(values.astype(np.float32), affine, Meta(**meta))  # type: ignore[arg-type]


def head(bone: float = 900.0, air: float = -1000.0) -> NDArray[np.float32]:
    """A lopsided CT head, [40, 44, 8] in LPS: skull around textured tissue in air."""
    x, y = np.meshgrid(np.linspace(-1.3, 1.3, 40), np.linspace(-1.3, 1.3, 44), indexing="ij")
    radius = np.sqrt(x**2 + y**2)[..., None] * np.linspace(1.0, 1.2, 8)
    tissue = np.random.default_rng(0).normal(40, 8, radius.shape) + 20 * (x > 0.3)[..., None]
    return np.where(radius < 0.85, tissue, np.where(radius < 1, bone, air)).astype(np.float32)


def noisy(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return values + np.random.default_rng(3).normal(0, sigma, values.shape).astype(np.float32)


def window_model() -> Translation:
    return Translation(
        source=Source(
            digest="a" * 64,
            format="nifti",
            modality="mr",
            shape=(40, 44, 8),
            spacing_mm=(2.0, 1.5, 3.0),
            affine=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
        ),
        model=ModelInfo(
            name="window-model", sha256="b" * 64, to="ct", output_range=(-20.0, 100.0), unit="HU"
        ),
        output="fake.nii.gz",
    )


def test_a_perfect_prediction_is_perfect() -> None:
    result = score_pair(volume(head(), modality="ct"), volume(head(), modality="ct"), name="x")
    assert (result.volume["mae"], result.volume["psnr"], result.volume["ssim"]) == (0.0, math.inf, 1.0)
    assert (result.unit, result.name, result.profile) == ("HU", "x", "image")


@pytest.mark.parametrize("axcodes", ["RAS", "PIR", "SLA"])
def test_the_orientation_of_an_array_does_not_matter(axcodes: str) -> None:
    truth, fake = volume(head()), volume(noisy(head(), 20))
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(axcodes))
    values = apply_orientation(fake.values, turn)
    turned = Volume(values, fake.affine @ inv_ornt_aff(turn, fake.shape))
    assert turned.shape != fake.shape or not np.array_equal(values, fake.values)
    assert score_pair(turned, truth) == score_pair(fake, truth)


def test_a_flipped_prediction_scores_worse() -> None:
    truth = volume(head())
    right, flipped = (score_pair(volume(v), truth) for v in (noisy(head(), 3), noisy(head(), 3)[::-1].copy()))
    assert right.volume["mae"] < flipped.volume["mae"]


def test_slices_are_axial_and_carry_their_height() -> None:
    fake = head()
    fake[..., 6] += 50
    result = score_pair(volume(fake), volume(head()))
    assert [plane.index for plane in result.slices] == list(range(8))
    assert [plane.position_mm for plane in result.slices] == pytest.approx([-50 + 3 * k for k in range(8)])
    assert [plane.scores["mae"] for plane in result.slices] == pytest.approx([0] * 6 + [50, 0], abs=1e-4)


def moved(rows: list[list[float]]) -> NDArray[np.float64]:
    affine = AFFINE.copy()
    affine[:3] += np.array(rows)
    return affine


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (moved([[0, 0, 0, 0.02], [0, 0, 0, 0], [0, 0, 0, 0]]), "0.020 mm"),
        (moved([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0.01, 0]]), "0.075 mm"),
        (moved([[0, 0.02, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]), "axes differ by 1.3e-02"),
    ],
)
def test_another_grid_is_refused_with_numbers(affine: NDArray[np.float64], words: str) -> None:
    with pytest.raises(GeometryRefused, match=r"prediction .*resample") as refusal:
        score_pair(volume(head(), affine), volume(head()))
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_hair_of_rounding_is_accepted() -> None:
    rounded = moved([[0, 0, 0, 0.005], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert score_pair(volume(head(), rounded), volume(head())).volume["mae"] == 0


def test_another_shape_is_refused_with_numbers() -> None:
    with pytest.raises(GeometryRefused, match=r"source .*40 x 44 x 7 voxels .* 40 x 44 x 8"):
        score_pair(volume(head()), volume(head()), source=volume(head()[..., 1:]))


@pytest.mark.parametrize("role", ["prediction", "reference", "source", "mask"])
def test_nan_is_refused_wherever_it_is(role: str) -> None:
    volumes = {name: volume(head(), path=Path(f"/x/{name}.nii")) for name in ROLES}
    volumes[role].values[0, 0, 0] = np.nan
    with pytest.raises(InputRefused, match=rf"{role} \({role}.nii\): 1 of 14080 voxels"):
        score_pair(
            volumes["prediction"], volumes["reference"], source=volumes["source"], mask=volumes["mask"]
        )


def test_ct_against_mr_is_refused() -> None:
    with pytest.raises(InputRefused, match="are ct and mr"):
        score_pair(volume(head(), modality="ct"), volume(head(), modality="mr"))
    with pytest.raises(InputRefused, match="are ct and mr"):
        score_pair(volume(head()), volume(head(), modality="mr"), translation=window_model())


def test_a_picture_against_a_volume_is_refused() -> None:
    with pytest.raises(InputRefused, match="up to 255 and a volume"):
        score_pair(volume(head(), levels=255), volume(head()))


class TestRange:
    def test_of_pictures_is_their_depth(self) -> None:
        picture = volume(head().clip(0, 255)[..., :1], levels=255)
        result = score_pair(picture, picture)
        assert (result.data_range, result.unit) == ((0.0, 255.0), "grey levels")
        assert result.slices[0].position_mm is None

    def test_without_more_is_the_references_percentiles_in_the_mask(self) -> None:
        inside = np.zeros(head().shape, np.float32)
        inside[10:30, 10:30] = 1
        result = score_pair(volume(noisy(head(), 9)), volume(head()), mask=volume(inside))
        assert result.data_range == pytest.approx(np.percentile(head()[inside > 0], (0.5, 99.5)), rel=1e-6)
        assert result.data_range_rule == "0.5 to 99.5 percentile of the reference inside the mask"

    def test_of_a_windowed_model_clips_the_reference_and_says_so(self) -> None:
        fake, truth = noisy(head(), 5).clip(-20, 100), head()
        result = score_pair(volume(fake), volume(truth, modality="ct"), translation=window_model())
        clipped = score_pair(
            volume(fake), volume(truth.clip(-20, 100)), ScoringRules(data_range=(-20.0, 100.0))
        )
        assert result.volume == clipped.volume
        assert result.data_range == (-20.0, 100.0)
        assert "window-model" in (result.data_range_rule or "")
        skull = np.isclose(truth, 900).sum() / (truth > -1000).sum()
        assert [w for w in result.warnings if f"{skull:.1%} of the reference's voxels" in w]
        assert [w for w in result.warnings if "not representable" in w]
        assert not [w for w in clipped.warnings if "not representable" in w]

    def test_that_is_given_comes_first(self) -> None:
        result = score_pair(
            volume(head()), volume(head()), ScoringRules(data_range=(0.0, 80.0)), translation=window_model()
        )
        assert result.data_range == (0.0, 80.0)

    def test_of_a_constant_reference_is_refused(self) -> None:
        with pytest.raises(InputRefused, match="7 all over the mask"):
            score_pair(volume(head()), volume(np.full(head().shape, 7.0)), mask=volume(np.ones(head().shape)))


def test_nothing_in_the_mask_is_no_score_but_a_warning() -> None:
    black = volume(np.zeros((16, 16, 1)), levels=255)
    result = score_pair(black, black, source=black)
    assert (result.volume.get("mae"), result.slices, result.baselines) == (None, [], {})
    assert "nothing was scored" in result.warnings[0]


def test_a_mask_that_holds_background_is_called_out() -> None:
    grey = volume(np.random.default_rng(0).uniform(100, 200, (16, 16, 1)), levels=255)
    assert "100% of the image" in score_pair(grey, grey).warnings[0]
    assert score_pair(grey, grey, mask=grey).warnings == []


def test_slices_too_small_for_ssim_are_called_out() -> None:
    small = volume(head()[:10])
    result = score_pair(small, small)
    assert result.volume.get("ssim") is None
    assert "10 x 44 are smaller than the window of 11" in result.warnings[-1]


def test_a_prediction_that_shows_nothing_is_called_out() -> None:
    truth = volume(head())
    flat = score_pair(volume(np.full(head().shape, 40.0)), truth)
    assert [w for w in flat.warnings if "holds one value only, 40, all over the mask" in w]
    sharp = np.where(head() > -1000, 40.0, -1000.0)
    assert [w for w in score_pair(volume(sharp), truth).warnings if "one value" in w] != []
    assert [w for w in score_pair(volume(noisy(head(), 1)), truth).warnings if "one value" in w] == []
    spot = np.zeros(head().shape)
    spot[20, 20, 4] = 1
    one = score_pair(volume(sharp), truth, ScoringRules(data_range=(0.0, 80.0)), mask=volume(spot))
    assert [w for w in one.warnings if "one value" in w] == []


def test_warnings_of_reading_reach_the_result() -> None:
    odd = volume(head(), warnings=["transparency ignored"])
    assert "reference: transparency ignored" in score_pair(volume(head()), odd).warnings


class TestBaselines:
    reference = np.array([0.0, 10, 20, 30, 40, 50], np.float32).reshape(3, 2, 1)
    mask = np.ones((3, 2, 1), bool)

    def test_source_copied_is_linear_and_saturates(self) -> None:
        source = np.array([-100, 200, 400, 600, 800, 1300], np.float32).reshape(3, 2, 1)
        found = baselines(self.reference, self.mask, (0, 50), source=SourceImage(source, (0, 1000)))
        assert found["source copied"]["mae"] == pytest.approx(0)

    def test_histogram_match_undoes_any_rising_curve_but_no_inversion(self) -> None:
        rising = np.exp(self.reference / 10)
        found = baselines(self.reference, self.mask, (0, 50), source=SourceImage(rising, (1, 150)))
        assert found["histogram match"]["mae"] == pytest.approx(0, abs=1e-5)
        assert found["source copied"]["mae"] > 5
        inverted = baselines(self.reference, self.mask, (0, 50), source=SourceImage(-rising, (-150, -1)))
        assert inverted["histogram match"]["mae"] > 20

    def test_mean_image_needs_no_source(self) -> None:
        found = baselines(self.reference, self.mask, (0, 50), mean_image=self.reference + 2)
        assert {name: s["mae"] for name, s in found.items()} == {"mean image": 2.0}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., EvaluateSettings]:
    """Settings over a prediction, its reference and a source that lie in files."""
    truth = head()
    write_volume(volume(noisy(truth, 5).clip(-20, 100)), tmp_path / "fake.nii.gz")
    write_volume(volume(truth), tmp_path / "truth.nii.gz")
    write_volume(volume((truth + 1000) ** 0.5), tmp_path / "mr.nii.gz")

    def build(**changes: object) -> EvaluateSettings:
        paths = {
            "prediction": "fake.nii.gz",
            "reference": "truth.nii.gz",
            "source": "mr.nii.gz",
            "out": "scores",
        }
        return EvaluateSettings(**{key: tmp_path / name for key, name in paths.items()} | changes)  # type: ignore[arg-type]

    return build


def test_evaluate_writes_what_it_returns(settings: Callable[..., EvaluateSettings], tmp_path: Path) -> None:
    write_result(window_model(), tmp_path / "fake.translation.json")
    result = evaluate(settings(), quiet=True)
    assert isinstance(result, Evaluation)
    out = tmp_path / "scores"
    assert {file.name for file in out.iterdir()} == {
        "result.json",
        "slices.csv",
        "cases.csv",
        "methods.md",
        "report.html",
        "report.pdf",
        "settings.yaml",
    }
    assert read_result(Evaluation, out / "result.json") == result
    assert result.name == "fake"
    assert result.translation == window_model()
    assert list(result.baselines) == ["source copied", "histogram match"]
    assert result.data_range == (-20.0, 100.0)


def strangers(result: Evaluation | Cohort) -> list[str]:
    return [text for text in result.warnings if "is not the volume that was translated" in text]


def test_a_source_that_was_not_translated_is_called_out(
    settings: Callable[..., EvaluateSettings], tmp_path: Path
) -> None:
    source = read_volume(tmp_path / "mr.nii.gz")
    record = window_model()
    write_result(record, tmp_path / "fake.translation.json")
    (told,) = strangers(evaluate(settings(), quiet=True))
    digest = source.meta.digest
    assert told.startswith(
        f"source (mr.nii.gz): is not the volume that was translated (SHA-256 {digest[:12]}"
    )
    assert f"recorded {'a' * 12}" in told
    page = (tmp_path / "scores" / "report.html").read_text()
    assert "is not the volume that was translated" in page
    assert f"Source of the scores digest</dt><dd>SHA-256 {digest}" in page

    for known in ({"digest": digest}, {"digest": None}, {"format": "dicom"}):
        own = replace(record, source=replace(record.source, **known))
        write_result(own, tmp_path / "fake.translation.json")
        assert strangers(evaluate(settings(overwrite=True), quiet=True)) == []


def test_evaluate_holds_perfect_scores(settings: Callable[..., EvaluateSettings], tmp_path: Path) -> None:
    result = evaluate(settings(prediction=tmp_path / "truth.nii.gz"), quiet=True)
    assert isinstance(result, Evaluation)
    assert result.volume["psnr"] == math.inf
    assert read_result(Evaluation, tmp_path / "scores" / "result.json") == result


def test_evaluate_leaves_nothing_behind_when_it_refuses(
    settings: Callable[..., EvaluateSettings], tmp_path: Path
) -> None:
    write_volume(volume(head()[..., 1:]), tmp_path / "other.nii.gz")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(GeometryRefused):
        evaluate(settings(reference=tmp_path / "other.nii.gz"), quiet=True)
    with pytest.raises(SettingsError):
        evaluate(settings(range=(5.0, 5.0)), quiet=True)
    assert sorted(tmp_path.iterdir()) == before


def test_evaluate_replaces_only_when_told(settings: Callable[..., EvaluateSettings], tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    with pytest.raises(OutputExists):
        evaluate(settings(), quiet=True)
    evaluate(settings(overwrite=True), quiet=True)
    assert (tmp_path / "scores" / "report.html").exists()


@pytest.mark.parametrize("role", ["prediction", "reference", "source", "mask"])
def test_evaluate_never_replaces_what_it_reads(
    settings: Callable[..., EvaluateSettings], tmp_path: Path, role: str
) -> None:
    out = tmp_path / "scores"
    out.mkdir()
    (out / "settings.yaml").write_text("seed: 0")
    kept = shutil.copy(settings().reference, out)
    with pytest.raises(UsageError, match="holds the input"):
        evaluate(settings(overwrite=True, **{role: Path(kept)}), quiet=True)
    assert Path(kept).is_file()


def pictures(folder: Path, names: list[str], sigma: float = 0.0) -> Path:
    folder.mkdir()
    for k, name in enumerate(names):
        grey = noisy(head(bone=250, air=0)[..., k], sigma * (k + 1)).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey.T).save(folder / name)
    return folder


def test_folders_of_pictures_are_a_cohort(tmp_path: Path) -> None:
    names = ["a.png", "b.png", "c.png", "d.png"]
    fake = pictures(tmp_path / "fake", names, sigma=6)
    record = window_model()
    record = replace(record, source=replace(record.source, format="png"))
    write_result(record, fake / "translation.json")
    real = pictures(tmp_path / "real", names)
    cohort = evaluate(
        EvaluateSettings(prediction=fake, reference=real, source=real, out=tmp_path / "o"), quiet=True
    )
    assert isinstance(cohort, Cohort)
    assert [item.name for item in cohort.items] == ["a", "b", "c", "d"]
    maes = [item.volume["mae"] for item in cohort.items]
    assert maes == sorted(maes)
    assert cohort.mean["mae"] == pytest.approx(np.mean(maes))
    assert cohort.baselines["source copied"]["mae"] == 0
    assert cohort.items[0].translation == record
    assert strangers(cohort) == []
    assert read_result(Cohort, tmp_path / "o" / "result.json") == cohort
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert all(
        words in page for words in ("Best: a", "Median: c", "Worst: d", "Poor: not better than doing nothing")
    )


def test_a_black_pair_does_not_spoil_a_cohort(tmp_path: Path) -> None:
    fake, real = (pictures(tmp_path / name, ["a.png", "b.png"], 1) for name in ("fake", "real"))
    for folder in (fake, real):
        Image.fromarray(np.zeros((44, 40), np.uint8)).save(folder / "black.png")
    cohort = evaluate(EvaluateSettings(prediction=fake, reference=real, out=tmp_path / "o"), quiet=True)
    assert isinstance(cohort, Cohort)
    assert cohort.mean["mae"] == 0
    assert [item.volume.get("mae") for item in cohort.items] == [0, 0, None]
    assert any(
        text.startswith("no voxel") and text.endswith("(1 of 3 images: black)") for text in cohort.warnings
    )


def test_only_black_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((44, 40), np.uint8)).save(tmp_path / "black.png")
    black = tmp_path / "black.png"
    with pytest.raises(InputRefused, match="nothing can be scored"):
        evaluate(EvaluateSettings(prediction=black, reference=black, out=tmp_path / "o"), quiet=True)


def test_names_without_partner_are_listed(tmp_path: Path) -> None:
    fake = pictures(tmp_path / "fake", ["a.png", "b.png"])
    real = pictures(tmp_path / "real", ["b.png", "c.png"])
    with pytest.raises(InputRefused, match=r"fake: 1 of 3 names have no prediction \(c\)"):
        evaluate(EvaluateSettings(prediction=fake, reference=real, out=tmp_path / "o"), quiet=True)
    with pytest.raises(InputRefused, match=r"b.png: 2 of 2 names have no reference \(a, b\)"):
        evaluate(EvaluateSettings(prediction=fake, reference=real / "b.png", out=tmp_path / "o"), quiet=True)


def test_real_templates_score_and_report(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "nifti"
    result = evaluate(
        EvaluateSettings(
            prediction=folder / "t1-template.nii.gz",
            reference=folder / "ct-template-hu.nii.gz",
            source=folder / "t1-template.nii.gz",
            range=(-20.0, 100.0),
            out=tmp_path / "o",
        ),
        quiet=True,
    )
    assert isinstance(result, Evaluation)
    assert len(result.slices) == 91
    # A T1 with values in the thousands, clipped to the window, is white all over.
    assert result.volume["mae"] > result.baselines["source copied"]["mae"]
    assert (tmp_path / "o" / "report.html").stat().st_size < 2**22
