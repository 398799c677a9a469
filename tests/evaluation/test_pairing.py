from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medtranslate.config import EvaluateSettings, ReportSettings
from medtranslate.errors import InputRefused, Unreadable, UsageError
from medtranslate.evaluation import evaluate, render
from medtranslate.evaluation.pairing import find_members, pair_up
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.phantom import HELD_OUT, study
from medtranslate.records import Cohort

SUBJECTS = ("1BA001", "1BA005")
Score = Callable[..., Cohort]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data` as SynthRAD hands it out, `ours` as `batch` would translate it, `theirs` as an entrant would."""
    folder = tmp_path_factory.mktemp("cases")
    for number, subject in enumerate(SUBJECTS):
        head = study(HELD_OUT + number, size=32, spacing=8)
        inside = head.labels.with_values((head.labels.values > 0).astype(np.float32))
        noise = np.random.default_rng(number).normal(0, 20, head.ct.shape)
        made = head.ct.with_values(head.ct.values + noise)
        for name, volume in {
            f"data/{subject}/ct.nii.gz": head.ct,
            f"data/{subject}/mr.nii.gz": head.mr,
            f"data/{subject}/mask.nii.gz": inside,
            f"ours/{subject}/mr_synthetic-ct.nii.gz": made,
            f"theirs/{subject}.mha": made,
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_volume(volume, folder / name)
    return folder


@pytest.fixture
def score(cases: Path, tmp_path: Path) -> Score:
    def run(prediction: object, reference: object = None, **more: object) -> Cohort:
        given = {"workers": 1, "overwrite": True, **more}
        paths = {"prediction": cases / str(prediction), "out": tmp_path / "out"}
        if reference is not None:
            paths["reference"] = cases / str(reference)
        found = evaluate(EvaluateSettings(**paths, **given), quiet=True)  # type: ignore[arg-type]
        assert isinstance(found, Cohort)
        return found

    return run


def errors(found: Cohort) -> dict[str, float]:
    return {item.name: item.volume["mae"] for item in found.items}


@pytest.fixture(scope="module")
def wanted(cases: Path) -> dict[str, float]:
    """MAE inside the challenge's mask, by hand."""
    found = {}
    for subject in SUBJECTS:
        made, true, mask = (
            read_volume(cases / name).values
            for name in (f"theirs/{subject}.mha", f"data/{subject}/ct.nii.gz", f"data/{subject}/mask.nii.gz")
        )
        found[subject] = float(np.abs(made - true)[mask > 0].mean())
    return found


def test_trees_are_paired_by_subject(score: Score, cases: Path, wanted: dict[str, float]) -> None:
    found = score("ours", "data", mask=cases / "data", source=cases / "data")
    assert errors(found) == pytest.approx(wanted, rel=1e-5)
    assert found.items[0].mask.share < 0.5
    assert "source copied" in found.baselines


def test_patterns_pair_what_their_wildcards_stand_for(
    score: Score, cases: Path, wanted: dict[str, float]
) -> None:
    for prediction in ("theirs/*.mha", "ours/*/*-ct.nii.gz", "theirs"):
        found = score(prediction, "data/*/ct.nii.gz", mask=cases / "data" / "*" / "mask.nii.gz")
        assert errors(found) == pytest.approx(wanted, rel=1e-5)


def test_a_list_pairs_what_has_no_names_in_common(
    score: Score, cases: Path, tmp_path: Path, wanted: dict[str, float]
) -> None:
    shutil.copy(cases / "theirs" / f"{SUBJECTS[0]}.mha", tmp_path / "7.mha")
    data = cases / "data"
    rows = [
        ("subject", "age", "prediction", "reference", "mask", "source"),
        ("first", "63", "7.mha", *(data / SUBJECTS[0] / f"{name}.nii.gz" for name in ("ct", "mask", "mr"))),
        ("", "64", cases / "theirs" / f"{SUBJECTS[1]}.mha", data / SUBJECTS[1] / "ct.nii.gz", "", ""),
    ]
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    found = score(tmp_path / "pairs.csv")
    assert list(errors(found)) == ["first", SUBJECTS[1]]
    assert errors(found)["first"] == pytest.approx(wanted[SUBJECTS[0]], rel=1e-5)
    assert found.items[0].mask.rule != found.items[1].mask.rule
    assert any("not read: the columns 'age'" in warning for warning in found.warnings)


def test_a_list_with_a_missing_file_scores_nothing(score: Score, cases: Path, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    names = [(f"gone/{number}.mha", f"gone/{number}.nii") for number in range(9)]
    names.append(("theirs/1BA001.mha", "data/1BA001/ct.nii.gz"))
    lines = [",".join(str(cases / name) for name in pair) for pair in names]
    table.write_text("prediction,reference\n" + "\n".join(lines))
    with pytest.raises(Unreadable, match=r"18 of 20 files do not exist \(.*gone/0.mha, .*, \.\.\.\)"):
        score(table)
    assert list(tmp_path.iterdir()) == [table]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prediction,mask\na,b\n", "columns are 'prediction', 'mask'; write prediction, reference and"),
        ("prediction,reference\na.nii,\n", "line 2 does not have one cell"),
        (
            "prediction,reference\nx/1.nii,t.nii\ny/1.nii,t.nii\n",
            "would both be the pair 1; give",
        ),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, said: str) -> None:
    for name in ("x/1.nii", "y/1.nii", "t.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputRefused, match=said):
        find_members({"prediction": tmp_path / "pairs.csv"})


def test_pairs_of_one_subject_are_told_apart_by_their_predictions(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii", "t.nii"):
        (tmp_path / name).touch()
    table = tmp_path / "pairs.csv"
    table.write_text("prediction,reference,subject\na.nii,t.nii,1\nb.nii,t.nii,1\n")
    pairs = pair_up({"prediction": table}, find_members({"prediction": table}))
    assert list(pairs) == ["1 a", "1 b"]


def test_a_reference_is_given_or_listed(score: Score, cases: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give PREDICTION and REFERENCE, or one CSV"):
        score("theirs")
    (tmp_path / "pairs.csv").write_text("prediction,reference\n")
    with pytest.raises(UsageError, match="give PREDICTION and REFERENCE, or one CSV"):
        score(tmp_path / "pairs.csv", "data")


def test_what_is_meant_among_several_has_to_be_said(score: Score, cases: Path, tmp_path: Path) -> None:
    for subject in SUBJECTS:
        (tmp_path / "odd" / subject).mkdir(parents=True)
        shutil.copy(cases / "theirs" / f"{subject}.mha", tmp_path / "odd" / subject / "output.mha")
    with pytest.raises(Unreadable, match=r"data: 2 subfolders hold images \(1BA001: ct\..*--modality"):
        score(tmp_path / "odd", "data")
    assert len(score(tmp_path / "odd", "data", modality="ct").items) == 2


def test_subjects_that_a_role_lacks_are_named(score: Score, cases: Path, tmp_path: Path) -> None:
    shutil.copytree(cases / "ours" / SUBJECTS[0], tmp_path / "part" / SUBJECTS[0])
    with pytest.raises(InputRefused, match=r"1 of 2 names have no prediction \(1BA005\);"):
        score(tmp_path / "part", "data")


def test_nan_is_scored_as_the_value_that_is_given(score: Score, cases: Path, tmp_path: Path) -> None:
    made = read_volume(cases / "theirs" / "1BA001.mha")
    holed = made.values.copy()
    holed[:, :, :3] = np.nan
    (tmp_path / "holed").mkdir()
    nib.Nifti1Image(holed, made.affine).to_filename(tmp_path / "holed" / "1BA001.nii.gz")
    settings = EvaluateSettings(
        prediction=tmp_path / "holed" / "1BA001.nii.gz",
        reference=cases / "data" / "1BA001" / "ct.nii.gz",
        modality="ct",
        out=tmp_path / "out",
    )
    with pytest.raises(InputRefused, match="--nan-to"):
        evaluate(settings, quiet=True)
    result = evaluate(replace(settings, nan_to="air"), quiet=True)
    assert any("were NaN and became -1024" in warning for warning in result.warnings)


def test_one_series_of_the_reference_is_taken(put_slices: Callable[..., object], tmp_path: Path) -> None:
    heights = [3 * index for index in range(6)]
    put_slices(tmp_path / "study" / "a", heights, "ct", SeriesInstanceUID="1.2.11")
    put_slices(tmp_path / "study" / "b", heights, "ct", SeriesInstanceUID="1.2.12")
    true: Volume = read_volume(tmp_path / "study", series="1.2.12")
    write_volume(true, tmp_path / "made.nii.gz")
    given = {"prediction": tmp_path / "made.nii.gz", "reference": tmp_path / "study", "out": tmp_path / "out"}
    with pytest.raises(InputRefused, match="2 series"):
        evaluate(EvaluateSettings(**given), quiet=True)  # type: ignore[arg-type]
    result = evaluate(EvaluateSettings(**given, series="1.2.12", range=(0, 1000)), quiet=True)  # type: ignore[arg-type]
    assert not isinstance(result, Cohort)
    assert result.volume["mae"] == 0


def test_a_cohort_of_subjects_is_shown_again(score: Score, cases: Path, tmp_path: Path) -> None:
    score("ours", "data", mask=cases / "data")
    again = render(ReportSettings(result=tmp_path / "out", out=tmp_path / "again"))
    assert again.notes == []
    assert "<img" in (tmp_path / "again" / "report.html").read_text()
