"""Contenders take turns in processes of their own, and whole processes are measured."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.speed.processes import Process, in_turns, measure
from benchmarks.speed.turns import Figures, middle, ratio
from benchmarks.speed.turns import in_turns as contend


def counting(options: Namespace, step: int) -> Callable[[], Figures]:
    seen = []

    def turn() -> Figures:
        seen.append(step)
        if sum(seen) > 90:
            raise ValueError("enough")
        return {"count": float(sum(seen)), "process": float(os.getpid())}

    return turn


@pytest.mark.slow
def test_contenders_keep_what_they_have_from_turn_to_turn() -> None:
    options = Namespace(threads=1, device="cpu")
    found = contend({"one": (counting, 1), "ten": (counting, 10)}, 3, options)
    assert [turn["count"] for turn in found["ten"][0]] == [10, 20, 30]
    assert ratio(found["ten"], found["one"], "count") == 10
    assert middle(found["one"], "count") == 2
    assert middle(found["one"], "process") != middle(found["ten"], "process")
    assert found["one"][1] > 50  # MiB of torch


@pytest.mark.slow
def test_a_contender_that_fails_ends_the_others() -> None:
    with pytest.raises(EOFError):
        contend({"well": (counting, 1), "ill": (counting, 91)}, 1, Namespace(threads=1, device="cpu"))


def test_a_process_is_measured_and_has_to_end_as_it_should(tmp_path: Path) -> None:
    def run(code: str, **more: object) -> Process:
        return Process((sys.executable, "-S", "-c", code), **more)  # type: ignore[arg-type]

    (tmp_path / "out").mkdir()
    code = "import os; os.mkdir('out'); x = bytearray(2**26); sum(range(10**6))"
    writes = run(code, writes=tmp_path / "out")
    found = in_turns({"idle": run("pass"), "busy": writes}, 2, 1, tmp_path)
    assert found["busy"].peak_mib > found["idle"].peak_mib + 60
    assert found["busy"].cpu > found["idle"].cpu > 0
    assert measure(run("raise SystemExit(3)", exit=3), 1, tmp_path).wall > 0
    with pytest.raises(RuntimeError, match="no reason"):
        measure(run("raise SystemExit('no reason')"), 1, tmp_path)
