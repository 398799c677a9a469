from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from medtranslate.errors import RunFailed, UsageError
from medtranslate.runtime import crew
from medtranslate.runtime.parallel import process_context
from medtranslate.runtime.worker_pool import AHEAD, LIVES

WORK = """
import os, signal
from pathlib import Path

def squares(folder, number):
    if folder is None:
        raise MemoryError
    def serve(tasks):
        for task in tasks:
            mark = Path(folder) / str(task)
            deaths = len(mark.read_text()) if mark.exists() else 0
            if deaths < DEATHS.get(task, 0):
                mark.write_text("x" * (deaths + 1))
                os.kill(os.getpid(), signal.SIGKILL)
            yield task**2, os.getpid()
    return serve

DEATHS = {3: 1, 19: 10**6}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that the processes can import, too; task 3 kills its first process, task 19 every one."""
    (tmp_path / "work_of_a_crew.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    return __import__("work_of_a_crew")


def begin(work: Any, folder: Path | None) -> Callable[[int], Any]:
    return partial(work.squares, folder and str(folder))


def test_a_killed_process_costs_its_tasks_a_try_and_the_others_nothing(work: Any, tmp_path: Path) -> None:
    found = dict(crew(begin(work, tmp_path), iter(range(20)), 2))
    assert {task: result and result[0] for task, result in found.items()} == {
        task: None if task == 19 else task**2 for task in range(20)
    }
    assert len((tmp_path / "19").read_text()) == LIVES
    assert multiprocessing.active_children() == []


def test_of_a_list_little_is_taken_ahead_by_no_more_processes_than_asked_for(
    work: Any, tmp_path: Path
) -> None:
    taken = 0

    def tasks() -> Iterator[int | None]:
        nonlocal taken
        for task in range(100, 160):
            taken += 1
            yield task
            yield None

    pids = set()
    for known, (task, result) in enumerate(crew(begin(work, tmp_path), tasks(), 2), 1):
        assert result is not None
        assert result[0] == task**2
        assert taken - known < 2 * AHEAD
        pids.add(result[1])
    assert known == 60
    assert len(pids) <= 2


def test_who_stops_listening_ends_the_processes(work: Any, tmp_path: Path) -> None:
    with closing(crew(begin(work, tmp_path), iter(range(100, 200)), 2)) as results:
        next(results)
        assert len(multiprocessing.active_children()) == 2
    assert multiprocessing.active_children() == []


def test_a_process_that_cannot_begin_ends_the_run(work: Any) -> None:
    with pytest.raises(RunFailed, match="out of memory"):
        list(crew(begin(work, None), iter(range(3)), 1))


SCRIPT = """
import sys
from pathlib import Path
from medtranslate.errors import MedtranslateError
from medtranslate.runtime import crew, end_if_imported

def count(text):
    return len(text)

def serve(tasks):
    return map(count, tasks)

def open_one(number):
    return serve

def begin():
    end_if_imported()
    with Path(sys.argv[1]).open("a") as file:
        file.write("begun ")
    try:
        print(list(crew(open_one, iter(['a', 'bb']), 2)))
    except MedtranslateError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

begin()
"""


@pytest.mark.parametrize("start", ["forkserver", "spawn"])
def test_a_script_without_a_main_guard_is_told_so_in_a_line(tmp_path: Path, start: str) -> None:
    script, begun = tmp_path / "script.py", tmp_path / "begun"
    text = SCRIPT
    if start == "spawn":  # as on Windows
        text = "import multiprocessing as m; m.get_all_start_methods = lambda: ['spawn']\n" + text
    script.write_text(text)
    done = subprocess.run([sys.executable, script, begun], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert '`if __name__ == "__main__":`' in line
    assert begun.read_text() == "begun "
    guarded = text.replace("\nbegin()\n", '\nif __name__ == "__main__":\n    begin()\n')
    script.write_text(guarded)
    done = subprocess.run([sys.executable, script, begun], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_script_that_is_no_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    main.__file__ = "<stdin>"
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(UsageError, match="<stdin>: is no file"):
        process_context(print)
