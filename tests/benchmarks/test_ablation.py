"""The ablation goes on where it was, keeps its budget, and scores every method alike."""

from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ablation import run as ablation
from benchmarks.ablation.datasets import DATASETS, slice_scores, summed
from benchmarks.ablation.methods import train as methods
from benchmarks.ablation.methods import unit
from benchmarks.ablation.methods.train import (
    FIRST,
    METHODS,
    OURS,
    Wrapped,
    merged,
    settings_of,
    train,
    translated,
)
from benchmarks.ablation.rows import ANATOMY, COLUMNS, Row, append, hours, read
from benchmarks.ablation.run import Run, done, plan, run_all
from benchmarks.ablation.summary import draw_curves, summary
from medtranslate.config import NetworkSettings, TrainSettings, plain

BASE = {"ct": "phantom:0-9", "mr": "phantom:10-19", "out": "unused", "network": {"size": 32}}
MEANS = {"ct": torch.zeros(1, 32, 32), "mr": torch.ones(1, 32, 32)}


@pytest.fixture
def options(tmp_path: Path) -> Namespace:
    return Namespace(
        out=tmp_path, dataset="phantom", data=None, images=16, size=32, hours=9.0, threads=1, device="cpu"
    )


def rows_of(run: Run, options: Namespace, wall: float = 3600.0, mae: float = 20.0) -> list[Row]:
    said = {"method": run.method, "seed": run.seed, "images_seen": options.images, "size": options.size}
    said |= {"wall_s": wall, "device": "cpu", "commit": "1e400", "mae": mae, "psnr": 20.0, "ssim": 0.5}
    return [
        {**said, "dataset": dataset, "direction": f"to {to}", "threads": 1}
        for dataset in DATASETS[options.dataset].rows
        for to in ("ct", "mr")
    ]


def stub(calls: list[Run]) -> object:
    def carry_out(run: Run, options: Namespace) -> tuple[list[Row], list[Row]]:
        calls.append(run)
        return rows_of(run, options), []

    return carry_out


def left(runs: list[Run], options: Namespace) -> list[Run]:
    written = read(options.out / "ablation.csv")
    return [run for run in runs if not done(run, written, options)]


def test_a_run_whose_rows_are_there_is_passed_over(options: Namespace) -> None:
    runs, calls = plan(["unit", "default"], [0, 1]), []
    run_all(left(runs[:3], options), options, stub(calls))
    assert left(runs, options) == runs[3:]
    run_all(left(runs, options), options, stub(calls))
    assert calls == runs
    assert len(read(options.out / "ablation.csv")) == 8
    # Other lengths, sizes and datasets are other runs.
    for change in ({"images": 160}, {"size": 64}, {"dataset": "real"}):
        assert left(runs, Namespace(**vars(options) | change)) == runs


def test_a_run_that_was_killed_is_done_again(options: Namespace) -> None:
    run, table = Run("unit", 0), options.out / "ablation.csv"
    append(table, COLUMNS, rows_of(Run("cut", 0), options))
    append(table, COLUMNS, rows_of(run, options, mae=99)[:1])  # one direction of two
    with table.open("a") as file:
        file.write("unit,0,phantom,to mr,16,36")  # and half a line
    assert left([Run("cut", 0), run], options) == [run]
    run_all([run], options, stub([]))
    assert left([run], options) == []
    found = read(table)
    assert len(found) == 4
    assert {row["mae"] for row in found} == {20.0}
    assert set(found[0]) == set(COLUMNS)
    assert found[0]["commit"] == "1e400"


def test_no_run_is_begun_when_the_hours_are_spent(
    options: Namespace, capsys: pytest.CaptureFixture[str]
) -> None:
    options.hours, calls = 2.0, []
    run_all(plan(["unit", "cut", "plain"], [0]), options, stub(calls))
    assert [run.method for run in calls] == ["unit", "cut"]
    assert "2.0 of 2 hours are spent" in capsys.readouterr().out
    assert hours(read(options.out / "ablation.csv")) == 2.0


def test_one_seed_of_all_methods_comes_first_and_parts_have_no_other() -> None:
    runs = plan(["mean image", "unit", "no-kl", "default"], [0, 1, 2])
    assert [run.method for run in runs[:4]] == ["mean image", "unit", "no-kl", "default"]
    assert [(run.method, run.seed) for run in runs[4:]] == [
        ("unit", 1),
        ("default", 1),
        ("unit", 2),
        ("default", 2),
    ]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_settings(method: str) -> None:
    settings = settings_of(method, BASE)
    changed = plain(settings) != plain(settings_of("default", BASE))
    assert changed == (method in OURS and method != "default")
    assert settings.network.size == 32


def test_nested_settings_are_merged() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}}) == {"a": {"b": 4, "c": 2}, "d": 3}


def test_summary_shows_means_and_spread_and_keeps_reporting_cases_back(options: Namespace) -> None:
    table: list[Row] = []
    for dataset in DATASETS:
        options.dataset = dataset
        for rank, method in enumerate(FIRST):
            for seed in (0, 1):
                table += rows_of(Run(method, seed), options, mae=10 * rank + seed)
    text = summary(table)
    assert "| 0.50 ± 0.71 |" in text  # of 0 and 1
    assert "real reporting" not in text
    assert "real reporting" in summary(table, reporting=True)
    assert "to ct: phantom and real choosing rank 6 methods alike by 1.00" in text
    # A longer run of the same method is a line of its own.
    options.images = 99
    longer = summary(table + rows_of(Run("unit", 0), options))
    assert longer.count("| unit |") == text.count("| unit |") + 2
    assert "checkerboard" not in text  # nothing is said of what was not measured


def test_summary_has_what_was_measured_beside_the_scores(options: Namespace) -> None:
    rows = rows_of(Run("unit", 0), options) + rows_of(Run("unit", 1), options)
    said = {
        "method": "unit",
        "seed": 0,
        "dataset": "phantom",
        "direction": "to ct",
        "images_seen": 16,
        "size": 32,
    }
    measures = {"lesions": 40, "lesions_kept": 10, "slices": 8, "slices_invented": 2, "checkerboard": 1.5}
    first, *_ = summary(rows, [said | measures]).split("### phantom, to mr")
    heads, _, line = (part for part in first.splitlines() if part.startswith("|"))
    cells = dict(zip(heads.split("|"), line.split("|"), strict=True))
    assert float(cells[" lesions kept "]) == float(cells[" invented "]) == 0.25
    assert float(cells[" checkerboard "]) == 1.5
    assert (float(cells[" hours "]), cells[" seeds "]) == (1.0, " 2 ")


def test_curves_are_drawn_of_logs_and_of_runs_of_several_lengths(options: Namespace, tmp_path: Path) -> None:
    for seed, dataset in ((0, "phantom"), (1, "phantom"), (0, "real")):
        run = tmp_path / "runs" / f"no-kl-{seed}-{dataset}-32-64"
        run.mkdir(parents=True)
        (run / "validation.csv").write_text(
            "images,phantom_ct,phantom_mr,warnings\n8,0.2,0.3,\n16,0.1,0.2,x\n"
        )
    append(tmp_path / "ablation.csv", COLUMNS, rows_of(Run("unit", 0), options))
    figure = draw_curves(tmp_path, tmp_path / "curves.svg", ["source copied", "unit", "no-kl"])
    above, _, below, _ = ([line.get_xydata().tolist() for line in plot.get_lines()] for plot in figure.axes)
    assert above == [[[8, 51], [16, 25.5]]] * 2  # of 255 grey values, two seeds
    assert below == [[[16, 20]]]
    assert (tmp_path / "curves.svg").stat().st_size > 5000


def test_baselines_are_scored_as_any_other_method() -> None:
    rng = np.random.default_rng(0)
    truth, source = (np.zeros((32, 32, 1), np.float32) for _ in range(2))
    truth[4:28, 4:28, 0] = 60 + 20 * rng.random((24, 24))
    source[4:28, 4:28, 0] = 120
    made = truth + 5
    mean = np.full_like(truth, 70)
    found = {name: {"0": [value]} for name, value in slice_scores(truth, source, made, mean).items()}
    assert summed(found, "unit")["mae"] == pytest.approx(5, abs=1e-4)
    assert summed(found, "source copied")["mae"] == pytest.approx(np.abs(truth - source)[4:28, 4:28].mean())
    assert summed(found, "mean image")["mae"] == pytest.approx(
        np.abs(truth - mean)[4:28, 4:28].mean(), rel=1e-4
    )
    # A level that is off is a matter of contrast alone; two pixels are the floor of misalignment.
    assert summed(found, "unit")["mae_matched"] == pytest.approx(0, abs=1e-4)
    assert summed(found, "unit")["mae_floor"] > 5
    # What is made does not move the mask.
    brighter = slice_scores(truth, source, np.full_like(truth, 255), mean)
    assert brighter["mae source copied"] == pytest.approx(found["mae source copied"]["0"][0])


def test_a_wrapped_method_translates_either_way() -> None:
    class Networks(torch.nn.Linear):
        def to_ct(self, mr: torch.Tensor) -> torch.Tensor:
            return -mr

        def to_mr(self, ct: torch.Tensor) -> torch.Tensor:
            return 0.5 * ct

    settings = TrainSettings(ct="", mr="", out=Path("unused"), network=NetworkSettings(size=32))
    model = Wrapped("half", Networks(1, 1), settings, MEANS)
    images = torch.rand(20, 1, 32, 32)
    assert torch.equal(translated(model, images, "ct"), -images)
    assert torch.equal(translated(model, images, "mr"), 0.5 * images)


def test_a_baseline_runs_on_phantoms(options: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.ablation.datasets.TESTED", 4)
    rows, more = ablation.carried_out(Run("mean image", 0), options)
    assert [row["direction"] for row in rows] == ["to ct", "to mr"]
    assert all(row["mae_low"] <= row["mae"] <= row["mae_high"] for row in rows)
    assert all(set(row) <= set(COLUMNS) for row in rows)
    assert all(set(row) <= set(ANATOMY) for row in more)


@pytest.mark.parametrize(
    "method", ["unit", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cyclegan", "cut"))]
)
def test_a_published_method_that_was_killed_goes_on_as_if_it_was_not(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods.PUBLISHED, "unit", partial(unit.Trainer, width=4))
    monkeypatch.setattr(methods, "KEPT", 2)
    calm, killed = (
        settings_of(method, BASE | {"out": tmp_path / name, "images": 6, "device": "cpu"})
        for name in ("calm", "killed")
    )
    wanted = train(method, calm)
    trainer = unit.Trainer if method == "unit" else methods.PUBLISHED[method]
    step, steps = trainer.step, []

    def dying(self: object, *slices: torch.Tensor) -> dict[str, torch.Tensor]:
        steps.append(len(slices))
        if len(steps) == 6:
            raise KeyboardInterrupt
        return step(self, *slices)

    monkeypatch.setattr(trainer, "step", dying)
    with pytest.raises(KeyboardInterrupt):
        train(method, killed)
    again = train(method, killed)
    assert len(steps) == 6 + 2  # from image 4 on
    assert again.seconds > 0
    for one, other in zip(
        wanted.model.generators.parameters(), again.model.generators.parameters(), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cyclegan", "default", "anchor"])
def test_a_run_ends_in_rows(method: str, options: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.ablation.datasets.TESTED", 4)
    run_all([Run(method, 0)], options, ablation.carried_out)
    assert left([Run(method, 0)], options) == []
    first = read(options.out / "ablation.csv")
    # Killed before it was written: scored from what was kept, or trained again from there, alike.
    (options.out / "ablation.csv").unlink()
    run_all([Run(method, 0)], options, ablation.carried_out)
    again = read(options.out / "ablation.csv")
    assert [row["mae"] for row in again] == [row["mae"] for row in first]
    assert len(read(options.out / "anatomy.csv")) == 2
