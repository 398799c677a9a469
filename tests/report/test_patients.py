"""The section of a cohort's page over patients."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from medtranslate.evaluation.patients import score_patients
from medtranslate.evaluation.subjects import UNKNOWN, Subjects
from medtranslate.records import Agreement, Cohort, Evaluation, read_result, write_result
from medtranslate.report.as_html import case_place, write
from medtranslate.report.patients import say_patients, view_patients

ATTACK = "<script>alert(1)</script>"


def cohort(of: dict[str, str], maes: list[float], rule: str = "By name.", **columns: object) -> Cohort:
    """Pairs a, b, c, ... of a mean reference of 10, 20, ... and a bias of 1, 2, ..."""
    items = [
        Evaluation(
            profile="image",
            unit="HU",
            name=name,
            volume={"mae": mae, "ssim": 0.5},
            baselines={"source copied": {"mae": mae + 10}},
            agreement=Agreement(bias=k + 1.0, limits=(0, 0), wasserstein=0, reference_mean=10.0 * (k + 1)),
        )
        for k, (name, mae) in enumerate(zip((of or {"a": "", "b": "", "c": ""}), maes, strict=True))
    ]
    facts = {
        key: dict(zip((item.name for item in items), cells, strict=True)) for key, cells in columns.items()
    }  # type: ignore[call-overload]
    known = {key: {n: v for n, v in column.items() if v is not None} for key, column in facts.items()}
    return Cohort(
        items=items, mean={"mae": 1.0}, patients=score_patients(items, Subjects(rule, of, known, ["a note"]))
    )


class Page(HTMLParser):
    def __init__(self, result: Cohort, folder: Path) -> None:
        super().__init__()
        self.text, self.hrefs, self.tags = "", list[str](), list[str]()
        write(result, {}, folder)
        self.feed((folder / "report.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hrefs += [value or "" for key, value in attrs if key == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data if self.cdata_elem is None else ""


def test_a_patient_of_many_slices_weighs_as_much_as_one_of_few(tmp_path: Path) -> None:
    result = cohort({"a": "P", "b": "P", "c": "P", "d": "Q"}, [10.0, 10.0, 10.0, 50.0])
    assert result.patients is not None
    found = result.patients.scores["mae"]
    assert (found.patients, found.mean) == (2, 30.0)  # over the pairs it is 20
    assert result.patients.baselines["source copied"]["mae"].mean == 40.0
    text = " ".join(Page(result, tmp_path).text.split())
    assert "Over 2 patients 2 patients, 4 pairs. By name. The pairs of a patient are averaged first" in text
    assert "With fewer than 10 patients, such an interval is too narrow" in text
    assert "30.0 ± 28.3" in text
    assert say_patients(result).startswith(
        "over 2 patients: MAE 30.00 HU, SD 28.28, 95 % bootstrap interval 10.00"
    )
    write_result(result, tmp_path / "result.json")
    assert read_result(Cohort, tmp_path / "result.json") == result


def test_bland_and_altman_see_patients() -> None:
    result = cohort({"a": "P", "b": "P", "c": "Q", "d": "R"}, [1.0, 2.0, 3.0, 4.0])
    view = view_patients(result, {})
    assert view is not None
    assert view.agreement is not None
    places = {point.name: (point.x, point.y) for point in view.agreement.points}
    # Of P: biases 1 and 2, references 10 and 20.
    assert places == {"P": (15.75, 1.5), "Q": (31.5, 3.0), "R": (42.0, 4.0)}
    mean, spread = (
        8.5 / 3,
        1.96 * (((1.5 - 8.5 / 3) ** 2 + (3 - 8.5 / 3) ** 2 + (4 - 8.5 / 3) ** 2) / 2) ** 0.5,
    )
    assert result.patients is not None
    assert result.patients.limits == pytest.approx((mean - spread, mean + spread))
    assert [label.split(" ", 1)[1] for _, label in view.agreement.levels] == [
        "(upper limit)",
        "(bias)",
        "(lower limit)",
    ]
    assert all(0 <= height <= view.agreement.height for height, _ in view.agreement.levels)


def test_one_patient_has_a_mean_and_no_spread(tmp_path: Path) -> None:
    result = cohort({"a": "P", "b": "P"}, [10.0, 30.0])
    view = view_patients(result, {})
    assert view is not None
    assert view.agreement is None
    assert view.rows[0][1][0] == ("20.0", "")
    assert "One patient shows no spread" in Page(result, tmp_path).text
    assert "one patient has neither" in say_patients(result)


def test_without_subjects_the_page_says_what_to_do_and_draws_facts_by_pair(tmp_path: Path) -> None:
    result = cohort({}, [10.0, 20.0, 30.0], UNKNOWN, age=[40.0, None, 60.0])
    view = view_patients(result, {})
    assert view is not None
    assert (view.rows, view.agreement) == ([], None)
    assert [point.name for point in view.scatters[0][1].points] == ["a", "c"]
    assert "--subjects" in Page(result, tmp_path).text
    assert say_patients(result) == ""


def test_scatters_are_over_patients_and_lead_to_the_worst_pair(tmp_path: Path) -> None:
    names = {"a": f"P{ATTACK}", "b": f"P{ATTACK}", "c": "Q"}
    result = cohort(names, [10.0, 30.0, 5.0], age=[40.0, 44.0, 50.0], vendor=["GE", "GE", f"X{ATTACK}"])
    for name in "abc":
        case_place(tmp_path, name).parent.mkdir(exist_ok=True)
        case_place(tmp_path, name).touch()
    view = view_patients(result, {name: f"cases/{name}.html" for name in "abc"})
    assert view is not None
    (title, drawn), (_, strips) = view.scatters[0], view.strips[0]
    assert title == "MAE, HU, by age"
    assert {(point.x, point.y) for point in drawn.points} == {(42.0, 20.0), (50.0, 5.0)}
    assert [row.name for row in strips.rows] == ["GE (1)", f"X{ATTACK} (1)"]
    page = Page(result, tmp_path)
    assert page.tags.count("script") == 1
    assert page.hrefs.count("cases/b.html") > page.hrefs.count("cases/a.html")


def test_a_page_of_five_thousand_stays_small(tmp_path: Path) -> None:
    of = {f"sub-{k:04}_ses-1_a-rather-long-name": f"sub-{k:04}" for k in range(5000)}
    result = cohort(
        of, [float(k * 7919 % 5000) for k in range(5000)], age=[float(k % 90) for k in range(5000)]
    )
    page = Page(result, tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 5e6
    assert page.tags.count("tr") > 5000  # all are in the table
    assert page.tags.count("circle") < 5000
    assert re.search(r"rank correlation -?0\.0", page.text)


def test_no_path_of_a_table_is_on_the_page(tmp_path: Path) -> None:
    settings = {"table": "/home/doe^jane/facts.csv", "prediction": "/home/doe^jane/made", "profile": "image"}
    result = replace(cohort({"a": "P", "b": "Q"}, [1.0, 2.0]), settings=settings)
    assert "doe" not in Page(result, tmp_path).text
