from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medtranslate.config import EvaluateSettings, ProfileName, ScaleSettings
from medtranslate.errors import InputRefused, SettingsError
from medtranslate.evaluation import ScoringRules, evaluate, score_pair
from medtranslate.io import Volume, write_volume
from medtranslate.records import Cohort, Evaluation, Translation, read_result
from medtranslate.transforms import denormalise, normalise

Build = Callable[..., Volume]
Made = Callable[..., Translation]
Array = NDArray[np.float32]

LPS = np.array([[-4.0, 0, 0, 90], [0, -4, 0, 90], [0, 0, 4, -60], [0, 0, 0, 1]])
SYNTHRAD: list[ProfileName] = ["synthrad2023", "synthrad2025"]


@pytest.mark.parametrize("profile", SYNTHRAD)
class TestWholeCtRange:
    def test_a_windowed_model_is_not_representable(
        self, profile: ProfileName, volume: Build, head: Array, made_by: Made
    ) -> None:
        with pytest.raises(InputRefused, match=r"phantom can say -20 to 100 HU only.*not representable"):
            score_pair(
                volume(head.clip(-20, 100)),
                volume(head),
                ScoringRules(profile=profile),
                translation=made_by(),
            )

    def test_a_model_of_the_whole_range_is_scored(
        self, profile: ProfileName, volume: Build, head: Array, noisy: Array, made_by: Made
    ) -> None:
        whole = made_by(output_range=(-1024.0, 3071.0))
        result = score_pair(volume(noisy), volume(head), ScoringRules(profile=profile), translation=whole)
        assert result.volume == score_pair(volume(noisy), volume(head), ScoringRules(profile=profile)).volume

    @pytest.mark.parametrize("odd", [{"modality": "mr"}, {"levels": 255}])
    def test_is_for_ct_in_hu(
        self, profile: ProfileName, odd: dict[str, object], volume: Build, head: Array
    ) -> None:
        with pytest.raises(
            InputRefused, match=rf"the profile {profile} is for CT in HU; use the profile image"
        ):
            score_pair(volume(head, **odd), volume(head, **odd), ScoringRules(profile=profile))

    def test_takes_no_range(self, profile: ProfileName, volume: Build, head: Array) -> None:
        with pytest.raises(SettingsError, match=r"--range: .*leave --range out"):
            score_pair(
                volume(head), volume(head), ScoringRules(profile=profile, data_range=(-1000.0, 1000.0))
            )

    def test_says_which_mask_and_range_it_took(
        self, profile: ProfileName, volume: Build, head: Array, noisy: Array
    ) -> None:
        own = score_pair(volume(noisy), volume(head), ScoringRules(profile=profile))
        given = score_pair(
            volume(noisy), volume(head), ScoringRules(profile=profile), mask=volume(head > -500)
        )
        assert own.mask is not None
        assert given.mask is not None
        assert "dilated in plane by 10 voxels" in own.mask.rule
        assert given.mask.rule == "given: voxels above 0"
        assert own.mask.share > given.mask.share
        assert "fixed by the profile" in (own.data_range_rule or "")
        assert own.unit == "HU"

    def test_the_mask_does_not_depend_on_the_source(
        self, profile: ProfileName, volume: Build, head: Array, noisy: Array
    ) -> None:
        mr = volume(np.sqrt(head + 1000))
        with_source = score_pair(volume(noisy), volume(head), ScoringRules(profile=profile), source=mr)
        assert (
            with_source.volume
            == score_pair(volume(noisy), volume(head), ScoringRules(profile=profile)).volume
        )
        # Copied onto the head's own range, not onto all that 12 bits can hold.
        assert with_source.baselines["source copied"]["mae"] < 1000

    def test_nothing_in_the_mask_is_no_score(self, profile: ProfileName, volume: Build, head: Array) -> None:
        air = volume(np.full_like(head, -1000.0))
        result = score_pair(volume(head), air, ScoringRules(profile=profile), source=volume(head))
        assert (result.volume.get("mae"), result.tissues["bone"].mae, result.agreement) == (None, None, None)
        assert "nothing was scored" in result.warnings[0]


class TestTissues:
    def test_of_ct(self, volume: Build, head: Array) -> None:
        fake = head + np.where(head > 200, -90.0, np.where(head < -200, 12.0, 3.0)).astype(np.float32)
        result = score_pair(
            volume(fake, modality="ct"), volume(head, modality="ct"), ScoringRules(profile="synthrad2025")
        )
        errors = {name: tissue.mae for name, tissue in result.tissues.items()}
        assert {name: errors[name] for name in ("air", "soft tissue", "bone")} == pytest.approx(
            {"air": 12.0, "soft tissue": 3.0, "bone": 90.0}, abs=1e-4
        )
        assert result.tissues["bone"].dice == 1.0
        shares = {name: tissue.share for name, tissue in result.tissues.items()}
        assert sum(shares.values()) - shares["body"] == pytest.approx(1.0)

    def test_of_a_windowed_ct_are_those_of_the_window(
        self, volume: Build, head: Array, made_by: Made
    ) -> None:
        result = score_pair(volume(head.clip(-20, 100)), volume(head), translation=made_by())
        assert list(result.tissues) == ["body", "fluid", "brain", "bone"]
        assert [tissue.mae for tissue in result.tissues.values()] == [0.0] * 4
        assert (result.tissues["bone"].range_hu, result.tissues["bone"].dice) == ((88.0, None), 1.0)
        assert result.tissues["bone"].saturated
        assert "represents -20 to 100 HU" in result.unmeasured["water-equivalent path length, radiograph"]
        assert result.paths == {}
        assert result.agreement is not None

    def test_are_for_hu(self, volume: Build, head: Array) -> None:
        assert score_pair(volume(head, modality="mr"), volume(head, modality="mr")).tissues == {}
        assert score_pair(volume(head), volume(head)).tissues == {}
        grey = volume(head.clip(0, 255), levels=255, modality="ct")
        assert score_pair(grey, grey).tissues == {}


class TestMrScale:
    def test_any_scale_of_the_reference_scores_alike(self, volume: Build, head: Array, made_by: Made) -> None:
        mr = np.sqrt(head + 1000)
        scale = ScaleSettings()
        fake = denormalise(normalise(mr, "mr", scale), "mr", scale)
        record = made_by(to="mr", output_range=scale.mr_range, mr_percentile=scale.mr_percentile)
        results = [score_pair(volume(fake), volume(mr * k), translation=record) for k in (0.02, 1.0, 40.0)]
        for result in results:
            assert result.volume["mae"] == pytest.approx(0.0, abs=1e-3)
            assert "99.5 percentile of its foreground) became 0 to 1000" in result.reference[0]

    def test_what_the_reference_does_not_reach_plays_no_part(
        self, volume: Build, head: Array, made_by: Made
    ) -> None:
        mr, part = np.sqrt(head + 1000), np.sqrt(head[..., 8:] + 1000)
        record = made_by(to="mr", output_range=(0.0, 1000.0), mr_percentile=99.5)
        there = LPS.copy()
        there[2, 3] += 8 * LPS[2, 2]
        alone = score_pair(volume(part, there), volume(part, there), translation=record)
        reached = score_pair(
            volume(mr), volume(part, there), ScoringRules(resample_reference=True), translation=record
        )
        assert reached.reference[1:] == alone.reference

    def test_a_rule_that_is_not_recorded_is_called_out(
        self, volume: Build, head: Array, made_by: Made
    ) -> None:
        record = made_by(to="mr", output_range=(0.0, 1000.0))
        result = score_pair(volume(head + 1000), volume(head + 1000), translation=record)
        assert result.reference == [
            "as stored: how the model scales MR is not recorded; name it with --model"
        ]

    def test_ct_and_pictures_stay_as_they_are(self, volume: Build, head: Array, made_by: Made) -> None:
        assert score_pair(volume(head), volume(head), translation=made_by()).reference == []
        record = made_by(to="mr", output_range=(0.0, 1000.0), mr_percentile=99.5)
        grey = volume(head.clip(0, 255), levels=255)
        assert score_pair(grey, grey, translation=record).reference == []


def test_unmasked_scores_stand_beside_the_others_and_flatter(
    volume: Build, head: Array, noisy: Array
) -> None:
    fake = np.where(head > -500, noisy, -1000.0)
    plain = score_pair(volume(fake), volume(head))
    both = score_pair(volume(fake), volume(head), ScoringRules(unmasked=True))
    assert both.volume == plain.volume
    assert plain.unmasked is None
    assert both.unmasked is not None
    assert both.unmasked["mae"] < 0.7 * both.volume["mae"]


def test_a_cohort_means_its_unmasked_and_multi_scale_scores(
    volume: Build, head: Array, noisy: Array, tmp_path: Path
) -> None:
    for folder, values in (("fake", noisy), ("truth", head)):
        (tmp_path / folder).mkdir()
        for k, name in enumerate("ab"):
            write_volume(volume(values * (1 + k)), tmp_path / folder / f"{name}.nii.gz")
    settings = EvaluateSettings(
        prediction=tmp_path / "fake", reference=tmp_path / "truth", out=tmp_path / "o",
        profile="synthrad2025", unmasked=True,
    )  # fmt: skip
    cohort = evaluate(settings, quiet=True)
    assert isinstance(cohort, Cohort)
    assert cohort.unmasked is not None
    assert cohort.mean["ms_ssim"] == pytest.approx(np.mean([item.volume["ms_ssim"] for item in cohort.items]))
    assert cohort.mean.get("ssim") is None
    assert read_result(Cohort, tmp_path / "o" / "result.json") == cohort


def test_a_refusal_leaves_nothing_behind(volume: Build, head: Array, made_by: Made, tmp_path: Path) -> None:
    write_volume(volume(head[..., :4]), tmp_path / "flat.nii.gz")
    flat = tmp_path / "flat.nii.gz"
    with pytest.raises(InputRefused, match="use the profile image"):
        evaluate(
            EvaluateSettings(prediction=flat, reference=flat, out=tmp_path / "o", profile="synthrad2023"),
            quiet=True,
        )
    assert list(tmp_path.iterdir()) == [flat]


def test_a_result_of_the_new_scores_is_read_back(
    volume: Build, head: Array, noisy: Array, tmp_path: Path
) -> None:
    write_volume(volume(noisy), tmp_path / "fake.nii.gz")
    write_volume(volume(head), tmp_path / "truth.nii.gz")
    settings = EvaluateSettings(
        prediction=tmp_path / "fake.nii.gz", reference=tmp_path / "truth.nii.gz", out=tmp_path / "o",
        modality="ct", unmasked=True,
    )  # fmt: skip
    result = evaluate(settings, quiet=True)
    assert isinstance(result, Evaluation)
    assert result.unit == "HU"
    assert list(result.tissues) == ["body", "air", "soft tissue", "bone"]
    assert read_result(Evaluation, tmp_path / "o" / "result.json") == result


WINDOW = (-20.0, 100.0)


class TestWhatTheProfileImageScores:
    """A prediction that shows what nobody has pays for it, and air by itself earns nothing."""

    def test_a_slab_in_the_air_costs_whether_it_touches_the_head_or_not(
        self, volume: Build, head: Array, noisy: Array, made_by: Made
    ) -> None:
        fake = np.where(head > -500, noisy, -1000.0).clip(*WINDOW)
        scores = []
        for place in (slice(0, 0), slice(0, 2), slice(40, 46)):
            spoilt = fake.copy()
            spoilt[place, 15:30, 10:20] = 100.0
            result = score_pair(volume(spoilt), volume(head), source=volume(head), translation=made_by())
            scores.append((result.volume, result.mask.share if result.mask else 0.0))
        (clean, share), *slabs = scores
        for found, wider in slabs:
            assert wider > share
            assert found["mae"] > clean["mae"] + 0.5
            assert found["ssim"] < clean["ssim"]

    def test_haze_around_the_head_does_not_thin_the_error(
        self, volume: Build, head: Array, noisy: Array, made_by: Made
    ) -> None:
        fake = np.where(head > -500, noisy, -1000.0).clip(*WINDOW)
        haze = np.where(head > -500, fake, -15.0)  # 4 % of the window
        clean, hazy = (score_pair(volume(v), volume(head), translation=made_by()) for v in (fake, haze))
        assert hazy.mask == clean.mask
        assert hazy.volume["mae"] == pytest.approx(clean.volume["mae"])

    def test_a_mask_that_is_given_stays(self, volume: Build, head: Array, made_by: Made) -> None:
        spoilt, inside = head.clip(*WINDOW), volume(head > -500)
        spoilt[:2] = 100.0
        result = score_pair(volume(spoilt), volume(head), mask=inside, translation=made_by())
        assert result.mask is not None
        assert result.mask.share == pytest.approx(float((head > -500).mean()))
        assert result.volume["mae"] == 0

    @pytest.mark.parametrize("profile", ["image", *SYNTHRAD])
    def test_slices_of_air_score_nothing(
        self, profile: ProfileName, volume: Build, head: Array, noisy: Array
    ) -> None:
        fake = np.where(head > -500, noisy, -1000.0)
        ends = (-1024.0, 3071.0) if profile == "image" else None
        padded = [np.pad(v, ((0, 0), (0, 0), (4, 3)), constant_values=-1000.0) for v in (fake, head)]
        everything = volume(np.ones_like(padded[0]))
        result = score_pair(
            *(volume(v) for v in padded),
            rules=ScoringRules(data_range=ends, profile=profile),
            mask=everything,
        )
        filled = np.flatnonzero((padded[1] > -500).any(axis=(0, 1)))
        assert [plane.index for plane in result.slices] == filled.tolist()
        assert min(plane.scores["mae"] for plane in result.slices) > 0
        if profile == "image":
            alone = score_pair(
                volume(fake[..., filled - 4]),
                volume(head[..., filled - 4]),
                ScoringRules(data_range=ends),
                mask=volume(np.ones_like(fake[..., filled - 4])),
            )
            assert result.volume == alone.volume
            assert result.mask is not None
            assert f"without {37 - len(filled)} slices of pure background" in result.mask.rule

    def test_a_constant_reference_is_refused_for_what_it_is(self, volume: Build, head: Array) -> None:
        inside = volume(head > -500)
        with pytest.raises(InputRefused, match="is 7 all over the mask, so its range is empty"):
            score_pair(volume(head), volume(np.full_like(head, 7.0)), mask=inside)

    def test_a_slice_of_air_with_a_slab_is_scored(self, volume: Build, head: Array) -> None:
        reference = np.pad(head, ((0, 0), (0, 0), (4, 0)), constant_values=-1000.0)
        fake = reference.copy()
        fake[10:20, 10:20, 1] = 900.0
        result = score_pair(volume(fake), volume(reference), ScoringRules(data_range=(-1024.0, 3071.0)))
        assert result.slices[0].index == 1
        assert result.slices[0].scores["mae"] == pytest.approx(1900.0)
