from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from medtranslate.errors import UsageError
from medtranslate.networks import SliceGate
from medtranslate.runtime.locks import locked
from medtranslate.training import fit, loop, run_folder
from medtranslate.training.run_folder import LOCK


def refused(settings, **changes):
    """A second run into the folder is refused, in a line that names the folder and the process."""
    with pytest.raises(UsageError, match=re.escape(str(settings.out)) + ": process [0-9]+ of .* works on it"):
        fit(replace(settings, **changes), quiet=True)


def test_a_folder_has_one_run_at_a_time_until_its_gate_is_fitted(settings, monkeypatch, capsys):
    """And progress of a run, whose last step is not full, ends at its end."""
    step, seen = loop.train_step, []

    def in_a_step(*arguments):
        if not seen:
            refused(settings, resume=True)
            refused(settings, overwrite=True)
            refused(settings)
        seen.append("step")
        return step(*arguments)

    def in_the_gate(trained, several, **more):
        refused(settings, resume=True)
        seen.append(("gate", more["quiet"]))
        return [SliceGate(trained.network) for _ in several]

    monkeypatch.setattr(loop, "train_step", in_a_step)
    monkeypatch.setattr(loop, "fit_gates", in_the_gate)
    settings = replace(settings, images=6, gate=2)
    fit(settings)
    assert seen == ["step", "step", ("gate", False)]
    assert (settings.out / LOCK).is_file()
    said = re.findall(r"training: ([0-9]+) of ([0-9]+) images,", capsys.readouterr().err)
    assert said[-1] == ("6", "6")
    assert all(int(done) <= int(total) for done, total in said)
    with locked(settings.out / LOCK):
        pass  # it is free when the run is over


def test_of_two_that_begin_together_one_gets_the_folder(settings, monkeypatch):
    """The other has begun while this one read its images."""
    mean_slices = loop.mean_slices
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UsageError, match="works on it"):
        other = locked(settings.out / LOCK)

        def read(*arguments):
            settings.out.mkdir()
            for name in ("checkpoint.pt", "settings.yaml"):
                (settings.out / name).write_text("the other's")
            other.__enter__()
            return mean_slices(*arguments)

        patch.setattr(loop, "mean_slices", read)
        patch.setattr(loop, "require_vacant", lambda _: None)
        fit(replace(settings, overwrite=True), quiet=True)
    other.__exit__(None, None, None)
    assert sorted(path.name for path in settings.out.iterdir()) == [LOCK, "checkpoint.pt", "settings.yaml"]
    assert (settings.out / "checkpoint.pt").read_text() == "the other's"


def test_a_folder_that_is_moved_has_no_open_file_where_the_system_forbids_it(settings, monkeypatch):
    """As on Windows."""
    whole, step, seen = run_folder.whole_output, loop.train_step, []

    @contextmanager
    def watched(target, **more):
        with whole(target, **more) as folder:
            yield folder
            links = (Path(link) for link in Path("/proc/self/fd").iterdir())
            seen.append([link.name for link in links if link.exists() and folder in link.resolve().parents])

    def in_a_step(*arguments):
        refused(settings, resume=True)
        return step(*arguments)

    monkeypatch.setattr(run_folder, "MOVES_OPEN_FILES", False)
    monkeypatch.setattr(run_folder, "whole_output", watched)
    monkeypatch.setattr(loop, "train_step", in_a_step)
    fit(replace(settings, images=4, gate=0), quiet=True)
    assert seen
    assert not any(seen)
    with locked(settings.out / LOCK):
        pass  # it is free when the run is over
