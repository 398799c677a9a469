from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medtranslate import cli, errors
from medtranslate.config import PhantomSettings
from medtranslate.interrupts import end_at_once, raise_again

Stub = Callable[..., None]


class OutOfMemoryError(RuntimeError):
    """Named as torch's, which is not imported here."""


def all_errors(root: type[errors.MedtranslateError]) -> list[type[errors.MedtranslateError]]:
    return [root, *(one for child in root.__subclasses__() for one in all_errors(child))]


def fail(stub: Stub, error: BaseException, *options: str) -> int:
    def write_study(settings: PhantomSettings) -> None:
        raise error

    stub("phantom", write_study=write_study)
    return cli.invoke(["phantom", "out", *options])


@pytest.mark.parametrize("kind", all_errors(errors.MedtranslateError))
def test_each_error_of_the_tree_ends_with_its_code(
    kind: type[errors.MedtranslateError], stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(stub, kind("scan.nii: wrong")) == kind.exit_code
    assert capsys.readouterr() == ("", "error: scan.nii: wrong\n")


def test_exit_codes_are_those_of_the_contract() -> None:
    codes = {kind.__name__: kind.exit_code for kind in all_errors(errors.MedtranslateError)}
    assert codes == {
        "MedtranslateError": 1,
        "UsageError": 2, "SettingsError": 2, "OutputExists": 2,
        "InputRefused": 3, "Unreadable": 3, "GeometryRefused": 3, "SeriesRefused": 3, "ModelRefused": 3,
        "RunFailed": 5, "DiskFull": 5, "Diverged": 5, "Undelivered": 5,
 "Rejected": 5, "Interrupted": 130,
    }  # fmt: skip


def chained(cause: BaseException) -> BaseException:
    error = RuntimeError("writing failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 5, "/x/y: the file system is full"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), 5, "full"),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), 5, "too large"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 5, "full"),
        (chained(OSError(errno.ENOSPC, "No space left on device")), 5, "full"),
        (MemoryError(), 5, "out of memory"),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), 5, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), 5, "out of memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 5, "/x: permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x"), 5, "/x: not a directory"),
        (ZeroDivisionError("division by zero"), 1, "this is a bug: ZeroDivisionError: division by zero"),
        (EOFError("short"), 1, "this is a bug: EOFError"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), 1, "this is a bug"),
    ],
)  # fmt: skip
def test_other_failures(
    error: BaseException, code: int, said: str, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(stub, error) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: {said}") or said in line


def test_control_characters_are_escaped(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(stub, errors.Unreadable("a\nb\x1b[31m\udc80é.nii: damaged")) == 3
    assert capsys.readouterr().err == "error: a\\nb\\x1b[31m\\udc80é.nii: damaged\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["phantom"],
        ["phantom", "out", "--nonsense"],
        ["phantom", "out", "--seed", "x"],
        ["phantom", "out", "--seed"],
        ["phantom", "out", "more"],
        ["phantom", "out", "--contrast", "pd"],
        ["phantom", "out", "--size", "1"],
        ["translate", "in", "out", "--model", "m"],
        ["train", "--ct", "a", "--mr", "b", "--out", "c", "--network.channels", "8,x"],
        ["models", "show"],
        ["run"],
        ["demo", "a\nb", "c\nd"],
    ],
)
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")


def test_the_traceback_comes_with_debug_alone(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(stub, errors.Unreadable("scan: damaged"), "--debug") == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "error: scan: damaged"


SLOW = """
import signal, sys, time, types
from medtranslate.runtime import whole_output

# A shell gives its background jobs an interrupt that is ignored; a terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)

def write_study(settings):
    with whole_output(settings.out, overwrite=False, folder=True) as folder:
        (folder / "half").write_text("half")
        print("ready", flush=True)
        for _ in range(600):  # one long sleep misses a signal that comes just before it
            time.sleep(0.1)

sys.modules["medtranslate.phantom"] = types.ModuleType("phantom")
sys.modules["medtranslate.phantom"].write_study = write_study
from medtranslate.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "error: interrupted\n"), (signal.SIGTERM, 143, "error: terminated\n")],
)
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, code: int, said: str) -> None:
    script = [sys.executable, "-c", SLOW, "phantom", str(tmp_path / "new" / "out")]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (code, said)
    assert list(tmp_path.iterdir()) == []


LOADED = """
import os
import signal

try:
    os.kill(os.getpid(), signal.SIGINT)
except BaseException:
    pass  # as libraries do that look for what is optional
print("went on")
"""


@pytest.mark.parametrize("module", ["click", "pydantic", "numpy"])
def test_ctrl_c_while_programs_are_loaded_ends_at_once(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(LOADED)
    done = subprocess.run(
        [sys.executable, "-m", "medtranslate", "phantom", str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        # A shell gives its background jobs an interrupt that is ignored; a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


def test_an_ignored_interrupt_stays_ignored() -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        end_at_once()
        raise_again()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


TALKATIVE = """
import logging, sys, types, warnings

PATIENT = "Doe^Jane"  # its own line: Python 3.13 shows a warning's line of `-c`

def write_study(settings):
    warnings.warn(f"Invalid value for VR DA: {PATIENT!r}")
    logging.getLogger("pydicom").warning(PATIENT)

sys.modules["medtranslate.phantom"] = types.ModuleType("phantom")
sys.modules["medtranslate.phantom"].write_study = write_study
from medtranslate.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(("options", "times"), [([], 0), (["--debug"], 2)])
def test_what_libraries_say_of_a_patient_is_not_passed_on(options: list[str], times: int) -> None:
    script = [sys.executable, "-c", TALKATIVE, "phantom", "out", *options]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert done.stderr.count("Doe^Jane") == times


def test_a_reader_that_goes_away_is_no_failure_to_speak_of() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "medtranslate", "train", "--help"], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
