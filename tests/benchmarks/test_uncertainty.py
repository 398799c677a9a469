"""Intervals that are fitted on some pixels and scored on others."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import uncertainty
from benchmarks.quality.uncertainty import Pixels, compared
from benchmarks.quality.uncertainty_measures import binned_spread, held, temperature


def pixels(seed: int, floor: float = 0.0) -> Pixels:
    """Normal errors whose deviation is thrice the spread, and the floor; intensities tell nothing."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.1, 1, 20_000)
    errors = np.abs(rng.standard_normal(20_000)) * (3 * spread + floor)
    return Pixels(rng.uniform(0, 255, 20_000), errors, spread)


def test_one_temperature_makes_intervals_hold_what_they_say() -> None:
    fitted, scored = pixels(0), pixels(1)
    assert temperature(fitted.spread, fitted.errors) == pytest.approx(3, rel=0.03)
    assert held(scored.spread, scored.errors, 0.9) < 0.5
    rows = {row["intervals"]: row for row in compared([(fitted, scored)])}
    ours = rows["samples"]
    assert ours["temperature"] == pytest.approx(3, rel=0.03)
    assert [ours[f"after {share}"] for share in ("68%", "90%", "95%")] == pytest.approx(
        [0.68, 0.9, 0.95], abs=0.01
    )
    assert ours["width"] == pytest.approx(1.645 * 3 * scored.spread.mean(), rel=0.03)
    assert ours["width"] < min(rows[other]["width"] for other in ("constant", "by intensity"))
    # There is little to gain from a floor where there is none.
    assert rows["samples, floor"]["width"] == pytest.approx(ours["width"], rel=0.05)


def test_a_floor_is_found() -> None:
    rows = {row["intervals"]: row for row in compared([(pixels(0, floor=6.0), pixels(1, floor=6.0))])}
    assert rows["samples, floor"]["width"] < 0.95 * rows["samples"]["width"]
    assert rows["samples, floor"]["width"] <= rows["constant"]["width"]


def test_bins_are_asked_for_values_that_were_not_fitted() -> None:
    values, errors = np.repeat([10.0, 20.0], 50), np.repeat([1.0, 5.0], 50)
    assert binned_spread(values, errors, np.array([9.0, 21.0, 10.0]), bins=2).tolist() == [1, 5, 1]


def test_a_calibration_needs_no_factor() -> None:
    rows = {row["intervals"]: row for row in compared([(pixels(0, floor=1.0), pixels(1, floor=1.0))])}
    ours = rows["calibrated"]
    assert ours["size"] == pytest.approx(1, abs=0.02)
    assert [ours[f"before {share}"] for share in ("68%", "90%", "95%")] == pytest.approx(
        [0.68, 0.9, 0.95], abs=0.01
    )
    assert ours["width"] == pytest.approx(rows["samples, floor"]["width"], rel=0.03)


def test_a_model_and_an_ensemble_are_measured(
    small_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(small_model)] * 2 + ["--slices", "4", "--samples", "2", "--heads", "1"]
    monkeypatch.setattr(uncertainty, "HEAD", 32)
    monkeypatch.setattr("sys.argv", ["uncertainty", *arguments])
    uncertainty.main()
    *table, found = capsys.readouterr().out.splitlines()
    rows = json.loads(found)
    assert len(table) - 2 == len(rows) == 2 * 2 * 3 * len(uncertainty.WIDTHS)
    assert {row["who"] for row in rows} == {"model 0", "model 1", "ensemble"}
    assert all(0 <= row["after 90%"] <= 1 and row["width"] > 0 for row in rows if row["who"] != "ensemble")
    # Members that are the same agree everywhere.
    known = {(row["who"], row["to"], row["intervals"]): row for row in rows if row["dataset"] == "phantom"}
    assert known["ensemble", "ct", "samples"]["before 68%"] < 0.01
