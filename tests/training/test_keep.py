"""Models that a run keeps, and the truth of validation pairs."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import fmean
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from medtranslate import cli, phantom
from medtranslate.checkpoint import load_model
from medtranslate.config import TrainSettings
from medtranslate.config.training import ScoreName
from medtranslate.data import open_sources
from medtranslate.errors import GeometryRefused, InputRefused, SettingsError
from medtranslate.gate import fit as gate_fit
from medtranslate.io import Volume, write_volume
from medtranslate.training import fit, run
from medtranslate.training.keep import SCORES, keep_models
from medtranslate.training.state import fresh_state
from medtranslate.training.validation import validate
from medtranslate.transforms import scale_ct


def scored(monkeypatch, **columns) -> None:
    """Let validations find these scores, one after the other."""
    scores = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    found, rows = run.validate, iter([scores[0], *scores])  # the first is of the early pictures

    def validated(*arguments):
        seen = found(*arguments)
        return replace(seen, scores={**seen.scores, **next(rows)})

    monkeypatch.setattr(run, "validate", validated)


@pytest.fixture
def paired(settings, tmp_path) -> TrainSettings:
    """Settings with two validation pairs, volumes in HU and arbitrary units on one grid."""
    for seed in (1, 2):
        heads = phantom.slices(seed, 3, 48, contrast="t1")
        for which, values in (("ct", heads.ct), ("mr", heads.mr)):
            volume = Volume(values[:, 0].permute(2, 1, 0).numpy(), np.diag([4.0, 4.0, 9.0, 1.0]))
            write_volume(volume, tmp_path / which / f"{seed}.nii.gz")
    return replace(settings, val_ct=str(tmp_path / "ct"), val_mr=str(tmp_path / "mr"), val_paired=True)


def test_models_are_kept_on_the_way_and_each_is_whole(settings, capsys):
    fit(replace(settings, images=16, keep_every=8), quiet=True)
    kept = sorted(path.name for path in (settings.out / "kept").iterdir())
    assert kept == ["00000008", "00000016"]
    weights = {load_model(str(settings.out / "kept" / name)).description.sha256 for name in kept}
    assert len(weights) == 2
    assert load_model(str(settings.out)).description.sha256 in weights
    assert cli.invoke(["models", "list", str(settings.out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(": ")[-1] for line in lines] == [
        "16 images, the last",
        "8 images, every 8 images",
        "16 images, every 8 images",
    ]


@pytest.mark.parametrize(
    ("values", "score", "best"),
    [
        ({"phantom_ct": (0.3, 0.1, 0.2), "phantom_mr": (0.3, 0.2, 0.1)}, "phantom", 16),
        ({"phantom_ct": (0.3, 0.1, 0.2), "phantom_mr": (0.3, 0.2, 0.1)}, "phantom_mr", 24),
        ({"likeness_ct": (0.9, 0.5, 0.6), "likeness_mr": (0.8, 0.9, 0.9)}, "likeness", 8),
        ({"cycle_ct": (0.1, 0.1, 0.1), "cycle_mr": (0.1, 0.1, 0.1)}, "cycle", 8),
        # A collapsed posterior is a sign of failure: better scores do not outweigh it.
        ({"cycle_ct": (0.3, 0.2, 0.0), "cycle_mr": (0.3, 0.2, 0.0), "kl_ct": (1.5, 1.5, 0.0)}, "cycle", 16),
        ({"cycle_ct": (0.0, 0.2, 0.3), "cycle_mr": (0.0, 0.2, 0.3), "kl_ct": (0.0, 1.5, 1.5)}, "cycle", 16),
    ],
)
def test_the_best_model_by_a_score_is_kept(settings, values, score, best):
    settings = replace(settings, keep_best=score)
    means = {"ct": torch.zeros(1, 32, 32), "mr": torch.zeros(1, 32, 32)}
    state = fresh_state(settings, means, torch.device("cpu"), {})
    for index, images in enumerate((8, 16, 24)):
        state.images, scores = images, {name: column[index] for name, column in values.items()}
        keep_models(settings, state, scores, 4, doubtful=scores.get("kl_ct", 1.5) == 0)
    training = load_model(str(settings.out / "kept" / "best")).description.training
    assert training["images"] == best
    at = best // 8 - 1
    value = fmean(column[at] for name, column in values.items() if name in SCORES[score].columns)
    assert training["kept"].startswith(f"best {score} so far: {value:.4g} (")
    assert SCORES[score].basis in training["kept"]


def test_a_resumed_run_remembers_its_best_and_forgets_what_came_later(settings, monkeypatch):
    settings = replace(settings, images=16, keep_best="cycle", keep_every=8)
    scored(monkeypatch, cycle_ct=(0.1, 0.2, 0.3), cycle_mr=(0.1, 0.2, 0.3))
    fit(settings, quiet=True)
    (settings.out / "kept" / "00000099").mkdir()
    done = fit(replace(settings, images=24, resume=True), quiet=True)
    assert load_model(done["best"]).description.training["images"] == 8
    assert sorted(path.name for path in (settings.out / "kept").iterdir()) == [
        *("00000008", "00000016", "00000024", "best")
    ]


def test_the_best_model_has_an_input_gate_too(settings, monkeypatch):
    for name, value in {"MOST": 12, "PHANTOMS": 12, "MADE": 4}.items():
        monkeypatch.setattr(gate_fit, name, value)
    scored(monkeypatch, cycle_ct=(0.1, 0.2), cycle_mr=(0.1, 0.2))
    done = fit(replace(settings, gate=2, keep_best="cycle"), quiet=True)
    last, best = (load_model(done[name]).gate for name in ("model", "best"))
    weights = [list(gate.classifier.parameters()) for gate in (last, best)]
    assert all(map(torch.equal, *weights))
    assert not torch.equal(last.centre, best.centre)


def test_what_cannot_be_kept_is_refused(settings):
    with pytest.raises(SettingsError, match="keep_every is 12, but models are validated every 8"):
        fit(replace(settings, keep_every=12), quiet=True)
    with pytest.raises(SettingsError, match=r"needs a truth: --val-paired .*phantom, .*cycle, likeness"):
        fit(replace(settings, keep_best="truth_ct"), quiet=True)
    assert cli.invoke(["models", "list", str(settings.out)]) == 3


def test_every_score_that_can_be_named_has_its_columns():
    assert set(get_args(ScoreName)) == set(SCORES)


class TestPairs:
    def test_their_error_is_that_of_the_truth(self, paired, small_model):
        sources = open_sources(paired, quiet=True).sources
        ct, mr = (sources[f"pair_{which}"].fixed(99) for which in ("ct", "mr"))
        assert ct.shape == mr.shape == (6, 1, 32, 32)
        model = load_model(str(small_model)).generators
        scores = validate(paired, model, sources).scores
        made = model.to_ct(mr[:4]).image
        seen = torch.maximum(made, ct[:4]) > -0.94
        assert scores["truth_ct"] == pytest.approx(float((made - ct[:4]).abs()[seen].mean() / 2), rel=1e-4)
        heads = [(side > -0.5).float() for side in (ct, mr)]
        assert float((heads[0] * heads[1]).sum() / heads[0].sum()) > 0.8

    def test_the_best_by_truth_is_kept(self, paired, rows):
        done = fit(replace(paired, keep_best="truth"), quiet=True)
        table = rows(paired.out / "validation.csv")
        truth = [fmean(float(row[f"truth_{which}"]) for which in ("ct", "mr")) for row in table]
        best = json.loads((paired.out / "kept" / "best" / "model.json").read_text())["training"]
        assert best["images"] == 8 * (1 + truth.index(min(truth)))
        assert done["truth_ct"] == pytest.approx(float(table[-1]["truth_ct"]), rel=1e-4)

    def test_pictures_pair_by_name(self, settings, tmp_path):
        heads = phantom.slices(1, 2, 64, contrast="t1")
        for which in ("ct", "mr"):
            (tmp_path / which).mkdir()
            for index, name in enumerate(("a", "b")):
                grey = (scale_ct(heads.ct[index, 0], (-20, 100)) + 1) * 127.5
                Image.fromarray(grey.byte().numpy()).save(tmp_path / which / f"{name}.png")
        sides = {f"val_{which}": str(tmp_path / which) for which in ("ct", "mr")}
        sources = open_sources(replace(settings, **sides, val_paired=True), quiet=True).sources
        assert torch.equal(sources["pair_ct"].fixed(2) > -0.5, sources["val_ct"].fixed(2) > -0.5)
        (tmp_path / "mr" / "b.png").rename(tmp_path / "mr" / "c.png")
        with pytest.raises(InputRefused, match=r"2 of 4 validation images have no partner .*as b\.png"):
            open_sources(replace(settings, **sides, val_paired=True), quiet=True)

    def test_folders_of_subjects_pair_by_subject(self, paired, tmp_path):
        for file in (*(tmp_path / "ct").iterdir(), *(tmp_path / "mr").iterdir()):
            place = tmp_path / "subjects" / f"case{file.name[0]}" / f"{file.parent.name}.nii.gz"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to(file)
        subjects = {f"val_{which}": str(tmp_path / "subjects") for which in ("ct", "mr")}
        by_name, by_subject = (
            open_sources(settings, quiet=True).sources for settings in (paired, replace(paired, **subjects))
        )
        for side in ("pair_ct", "pair_mr"):
            assert torch.equal(by_name[side].fixed(99), by_subject[side].fixed(99))

    def test_another_grid_and_missing_sides_are_refused(self, paired, tmp_path):
        moved = Volume(np.ones((48, 48, 3), np.float32), np.diag([4.0, 4.0, 8.0, 1.0]))
        moved.values[:8] = 0
        write_volume(moved, tmp_path / "mr" / "2.nii.gz", overwrite=True)
        with pytest.raises(GeometryRefused, match="a pair for val_paired lies on one grid"):
            open_sources(paired, quiet=True)
        with pytest.raises(SettingsError, match="needs val_ct and val_mr, both files"):
            open_sources(replace(paired, val_ct="phantom:0-9"), quiet=True)
