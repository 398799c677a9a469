from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from medtranslate.errors import RunFailed
from medtranslate.training import fit, journal, loop


def test_tensorboard_holds_the_losses_scores_and_pictures(settings, rows, monkeypatch):
    settings = replace(settings, tensorboard=True)
    step, steps = loop.train_step, iter(range(3))
    with monkeypatch.context() as patch, pytest.raises(StopIteration):
        # Ends after a step that is logged and in no checkpoint, as a kill does.
        patch.setattr(loop, "train_step", lambda *arguments: (next(steps), step(*arguments))[1])
        fit(settings, quiet=True)
    fit(replace(settings, resume=True), quiet=True)
    events = EventAccumulator(str(settings.out / "tensorboard"))
    events.Reload()
    for group, name in (("training", "log.csv"), ("validation", "validation.csv")):
        for row in rows(settings.out / name):
            for key in set(row) - {"images", "seconds", "warnings"}:
                found = {event.step: event.value for event in events.Scalars(f"{group}/{key}")}
                assert found[int(row["images"])] == pytest.approx(float(row[key]), rel=1e-4, abs=1e-7)
    assert [event.step for event in events.Scalars("training/total")] == [4, 8, 12, 16]
    assert [event.step for event in events.Images("validation")] == [4, 8, 16]
    with Image.open(settings.out / "pictures" / "00000016.png") as picture:
        shown = events.Images("validation")[-1]
        assert picture.size == (shown.width, shown.height)


def test_a_run_without_tensorboard_does_not_write_its_log(settings):
    fit(replace(settings, images=4), quiet=True)
    assert not (settings.out / "tensorboard").exists()


def test_a_missing_extra_is_said_before_anything_is_made(settings, monkeypatch):
    monkeypatch.setattr(journal, "find_spec", lambda name: None)
    with pytest.raises(RunFailed, match=r"medtranslate\[tensorboard\]"):
        fit(replace(settings, tensorboard=True), quiet=True)
    assert not settings.out.exists()


def test_large_counts_are_written_in_full(tmp_path, rows):
    with (tmp_path / "log.csv").open("a", newline="") as file:
        journal.write_row(file, {"images": 1_234_568, "cycle": 0.123456789})
    assert rows(tmp_path / "log.csv") == [{"images": "1234568", "cycle": "0.123457"}]
