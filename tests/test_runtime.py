from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from medtranslate.errors import DiskFull, OutputExists, UsageError
from medtranslate.runtime import gathered, locks, progress, staged, stop_requests, whole_output, whole_outputs
from medtranslate.runtime.locks import locked


def tree(folder: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "scan.nii.gz"
    with whole_output(target, overwrite=False, folder=False) as path:
        path.write_text("whole")
        assert path.name == target.name  # writers look at the suffix
        assert path.parent.parent == target.parent  # same file system
        assert not target.exists()
    assert tree(tmp_path) == {"new": None, "new/scan.nii.gz": "whole"}


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with whole_output(tmp_path / "out", overwrite=False, folder=True) as path:
        (path / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert tree(tmp_path) == {"out": None, "out/a": "1"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("folder", [True, False])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException], folder: bool) -> None:
    with (
        pytest.raises(error),
        whole_output(tmp_path / "deep" / "er" / "out", overwrite=False, folder=folder) as path,
    ):
        (path / "half" if folder else path).write_text("half")
        raise error
    assert tree(tmp_path) == {}


def test_a_failure_leaves_the_neighbours(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="stop"),
        whole_output(tmp_path / "new" / "out", overwrite=False, folder=True),
    ):
        (tmp_path / "new" / "other").write_text("somebody else's")
        raise ValueError("stop")
    assert tree(tmp_path) == {"new": None, "new/other": "somebody else's"}


def put(path: Path, folder: bool, text: str) -> None:
    if folder:
        path.mkdir(exist_ok=True)
        (path / "settings.yaml").write_text("seed: 0")
        (path / text).write_text(text)
    else:
        path.write_text(text)


@pytest.mark.parametrize("was", [True, False])
@pytest.mark.parametrize("becomes", [True, False])
def test_overwrite_replaces_all_of_what_stood_there(tmp_path: Path, was: bool, becomes: bool) -> None:
    target, expected = tmp_path / "out", tmp_path / "expected"
    put(target, was, "old")
    with whole_output(target, overwrite=True, folder=becomes) as path:
        put(path, becomes, "new")
    put(expected, becomes, "new")
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []
    assert target.is_dir() == expected.is_dir()
    assert (tree(target) if becomes else target.read_text()) == (tree(expected) if becomes else "new")


@pytest.mark.parametrize("folder", [True, False])
def test_a_failed_overwrite_keeps_what_stood_there(tmp_path: Path, folder: bool) -> None:
    put(tmp_path / "out", folder, "old")
    before = tree(tmp_path)
    with (
        pytest.raises(ValueError, match="stop"),
        whole_output(tmp_path / "out", overwrite=True, folder=folder) as path,
    ):
        put(path, folder, "new")
        raise ValueError("stop")
    assert tree(tmp_path) == before


def test_a_failed_swap_puts_the_old_folder_back(tmp_path: Path) -> None:
    put(tmp_path / "out", True, "old")
    before = tree(tmp_path)
    with (
        pytest.raises(FileNotFoundError),
        whole_output(tmp_path / "out", overwrite=True, folder=True) as path,
    ):
        path.rmdir()  # nothing to put in place
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_an_existing_output_is_refused(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    if kind == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        put(target, kind == "folder", "old")
    with pytest.raises(OutputExists, match="--overwrite"), whole_output(target, overwrite=False, folder=True):
        pytest.fail("the block ran")


def test_a_linked_folder_is_replaced_not_emptied(tmp_path: Path) -> None:
    put(tmp_path / "real", True, "old")
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with whole_output(tmp_path / "out", overwrite=True, folder=True) as path:
        put(path, True, "new")
    assert tree(tmp_path / "real") == {"old": "old", "settings.yaml": "seed: 0"}
    assert tree(tmp_path / "out") == {"new": "new", "settings.yaml": "seed: 0"}


@pytest.mark.parametrize("name", ["old", "x.translation.json", "x.mha.conversion.json", "x.result.json"])
def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path, name: str) -> None:
    """A record beside a file lies in the user's own folder."""
    put(tmp_path / "out", True, name)
    (tmp_path / "out" / "settings.yaml").unlink()
    with (
        pytest.raises(OutputExists, match="did not write"),
        whole_output(tmp_path / "out", overwrite=True, folder=True),
    ):
        pytest.fail("the block ran")
    assert tree(tmp_path / "out") == {name: name}


@pytest.mark.parametrize("target", [".", "..", "../..", "x/.."])
def test_the_working_directory_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with (
        pytest.raises(OutputExists, match="working directory"),
        whole_output(Path(target), overwrite=True, folder=True),
    ):
        pytest.fail("the block ran")


def with_python(path: Path) -> None:
    path.write_bytes(bytes(1 << 20))


def with_nibabel(path: Path) -> None:
    from nibabel.nifti1 import Nifti1Image

    noise = np.random.default_rng(0).random((64, 64, 64), dtype=np.float32)
    Nifti1Image(noise, np.eye(4)).to_filename(path.with_suffix(".nii.gz"))


def with_safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1 << 18, np.float32)}, path)


@pytest.mark.parametrize("small_disk", ["64k"], indirect=True)
@pytest.mark.parametrize("write", [with_python, with_nibabel, with_safetensors])
def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path, write: Callable[[Path], None]) -> None:
    with (
        pytest.raises(DiskFull, match="out: the file system is full"),
        whole_output(small_disk / "new" / "out", overwrite=False, folder=True) as path,
    ):
        write(path / "scan")
    assert tree(small_disk) == {}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("last", ["a", "b", "c"])
def test_several_outputs_take_their_places_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], last: str
) -> None:
    """A rename that fails, or Ctrl-C between two of them, gives back what was there."""
    targets = {tmp_path / "a": False, tmp_path / "b": True, tmp_path / "new" / "c": False}
    put(tmp_path / "a", False, "old")
    put(tmp_path / "b", True, "old")
    before, rename = tree(tmp_path), Path.replace

    def failing(self: Path, target: Path) -> Path:
        if Path(target).name == last and self.name == last:
            monkeypatch.setattr(Path, "replace", rename)
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(error), whole_outputs(targets, overwrite=True) as fresh:
        for target, folder in targets.items():
            put(fresh[target], folder, "new")
    assert tree(tmp_path) == before
    with whole_outputs(targets, overwrite=True) as fresh:
        for target, folder in targets.items():
            put(fresh[target], folder, "new")
    assert tree(tmp_path) == {
        "a": "new",
        "b": None,
        "b/new": "new",
        "b/settings.yaml": "seed: 0",
        "new": None,
        "new/c": "new",
    }


@pytest.mark.parametrize(
    ("one", "other"), [("out", "x/../out"), ("out", "out/more"), ("x/../out/more", "out")]
)
def test_outputs_inside_each_other_are_refused(tmp_path: Path, one: str, other: str) -> None:
    targets = {tmp_path / one: False, tmp_path / other: True}
    with pytest.raises(UsageError, match="another output"), whole_outputs(targets, overwrite=True):
        pytest.fail("the block ran")


def test_progress_is_plain_lines_on_stderr_away_from_a_terminal() -> None:
    script = (
        "from medtranslate.runtime import progress\n"
        "with progress(3, 'slice', 'translate') as bar:\n"
        "    [bar.update() for _ in range(3)]\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "\r" not in done.stderr
    assert done.stderr.endswith("\n")
    assert done.stderr.splitlines()[-1].startswith("translate: 3 of 3 slices")


def test_what_is_said_of_several_is_said_once_with_their_names() -> None:
    said = {name: ["blurred", *(["dark"] if name == "b" else [])] for name in "abcd"}
    assert gathered(said, "pictures") == [
        "blurred (4 of 4 pictures: a, b, c, ...)",
        "dark (1 of 4 pictures: b)",
    ]
    assert gathered({"a": ["blurred", "blurred"]}, "pictures") == ["blurred"]


def test_a_lock_ends_with_its_process_though_a_forked_one_lives(tmp_path: Path) -> None:
    waits, goes = os.pipe()
    heard, says = os.pipe()
    with locked(tmp_path / "lock"):
        with pytest.raises(UsageError, match=f"process {os.getpid()} of"), locked(tmp_path / "lock"):
            pytest.fail("held twice")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
            child = os.fork()
        if not child:
            os.close(goes)
            os.write(says, b"forked")
            os.read(waits, 1)
            os._exit(0)
        os.read(heard, 6)
    with locked(tmp_path / "lock"):
        pass
    os.close(goes)
    assert os.waitpid(child, 0)[1] == 0
    for end in (waits, heard, says):
        os.close(end)


def test_a_lock_of_a_process_that_is_killed_is_free(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from medtranslate.runtime.locks import locked\n"
        "with locked(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "lock")])
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "lock").read_text().startswith(" process ")
    with locked(tmp_path / "lock"):
        pass


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "lock_descriptor", refuse)
    with pytest.raises(UsageError, match=r"no locks \(no locks available\)"), locked(tmp_path / "lock"):
        pytest.fail("held nothing")


def test_a_message_names_the_place_and_not_the_temporary_path(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError) as refusal,
        whole_output(tmp_path / "out.png", overwrite=False, folder=False) as path,
        whole_output(path, overwrite=False, folder=False) as inner,
    ):
        raise UsageError(f"{inner}: holds one slice")
    assert str(refusal.value) == f"{tmp_path / 'out.png'}: holds one slice"


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(3, "slice", "translate", quiet=True) as bar:
        bar.update(3)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Signals that reached the handlers outside."""
    numbers: list[int] = []
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in former:
        signal.signal(number, lambda number, _: numbers.append(number))
    yield numbers
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_is_heard_outside(
    heard: list[int], number: signal.Signals
) -> None:
    with stop_requests() as stop_is_asked:
        assert not stop_is_asked()
        signal.raise_signal(number)
        assert (stop_is_asked(), heard) == (True, [])
        signal.raise_signal(number)
        assert heard == [number]
    with stop_requests() as stop_is_asked:
        assert not stop_is_asked()
    signal.raise_signal(number)
    assert heard == [number] * 2


def test_an_ignored_signal_stays_ignored_and_other_threads_ask_for_none(heard: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_requests() as stop_is_asked:
        signal.raise_signal(signal.SIGINT)
        assert not stop_is_asked()
    answers: list[bool] = []

    def work() -> None:
        with stop_requests() as stop_is_asked:
            answers.append(stop_is_asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(UsageError, match=r"file/out\.nii: cannot be written there"),
        whole_output(tmp_path / "file" / "out.nii", overwrite=False, folder=False),
    ):
        pytest.fail("the block must not run")
    assert (tmp_path / "file").read_text() == "mine"


def test_stages_overlap_in_order_with_little_between_them():
    held, most, lock = 0, 0, threading.Lock()
    read_ahead, written_behind = threading.Event(), threading.Event()

    def read(number):
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        if number == 1:
            read_ahead.set()
        return number

    def work(number):
        # Neither wait would end if the stages ran one after the other.
        assert number > 0 or read_ahead.wait(10)
        if number == 1:
            written_behind.set()
        return number

    def write(number):
        nonlocal held
        assert number > 0 or written_behind.wait(10)
        with lock:
            held -= 1
        return -number

    assert list(staged(range(50), read, work, write)) == [-number for number in range(50)]
    assert most <= 4
    assert list(staged([], read, work, write)) == []


@pytest.mark.parametrize("stage", ["read", "work", "write"])
def test_a_stage_that_fails_lets_those_before_it_end_and_begins_no_more(stage):
    before, begun, threads = [], [], threading.active_count()

    def step(name):
        def act(number):
            begun.append((name, number))
            if (name, number) == (stage, 3):
                raise OSError("the third")
            return number

        return act

    with pytest.raises(OSError, match="the third"):
        for done in staged(range(9), step("read"), step("work"), step("write")):
            before.append(done)
    assert before == [0, 1, 2]
    assert max(number for _, number in begun) <= 5
    assert ("write", 4) not in begun
    assert threading.active_count() == threads


def test_of_two_failures_the_one_of_the_earlier_item_is_told():
    def fail(at, text):
        def act(number):
            if number == at:
                raise OSError(text)
            return number

        return act

    with pytest.raises(OSError, match="second item"):
        list(staged(range(5), fail(3, "third item"), int, fail(2, "second item")))


def test_an_interruption_between_stages_leaves_no_thread():
    threads, written = threading.active_count(), []

    def work(number):
        if number == 2:
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        list(staged(range(9), int, work, written.append))
    assert threading.active_count() == threads
    assert written == [0, 1]
    for done in staged(range(9), int, int, int):
        assert done == 0
        break
    del done
    gc.collect()
    assert threading.active_count() == threads
