"""The parts of head-ct's recipe: the plan of the runs, runs that are done, and what the tables mark."""

from argparse import Namespace
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ablation.rows import Row
from benchmarks.quality import head_part_scores
from benchmarks.quality.head_part_scores import LESIONS, SCORES, drawn, of_whole_head, whole_head
from benchmarks.quality.head_part_tables import TABLES, cell, differs, tables
from benchmarks.quality.head_parts import (
    MEAN,
    SETTINGS,
    Run,
    SharedAnchors,
    plan,
    read,
    run_all,
    settings_of,
    variants,
)
from benchmarks.quality.head_volumes import Head
from medtranslate.checkpoint import load_model
from medtranslate.config import TrainSettings, plain
from medtranslate.io import Volume
from medtranslate.io.volume import Meta
from medtranslate.training.synthetic_pairs import KeptAnchors
from medtranslate.translation import translate_volume

PARTS = list(SETTINGS["parts"])


def settings(variant: str, seed: int = 0) -> TrainSettings:
    given = {name: Path(name) for name in ("ct", "mr", "maps", "work")}
    return settings_of(Run(variant, seed), Namespace(images=16, **given))


def flat(values: dict[str, object], before: str = "") -> dict[str, object]:
    """Nested settings by dotted names, without those that name a run."""
    found: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}.")
        elif before or name not in ("out", "name"):
            found[f"{before}{name}"] = value
    return found


@cache
def flat_settings(variant: str) -> dict[str, object]:
    return flat(plain(settings(variant)))


def changed(variant: str, other: str) -> set[str]:
    ours, theirs = flat_settings(variant), flat_settings(other)
    return {name for name in ours if ours[name] != theirs[name]}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_changes_the_same_settings_in_the_whole_recipe_and_alone(part: str) -> None:
    taken = changed(f"without {part}", "all")
    assert taken
    others = set[str]().union(*(changed(f"without {other}", "all") for other in PARTS if other != part))
    assert not taken & others, "two parts change one setting, so none of them is measured alone"
    if part not in SETTINGS["together"]:
        assert changed(f"{part} alone", "base") == taken


def test_base_has_none_of_the_parts_and_all_runs_see_as_many_images() -> None:
    assert changed("base", "all") == set().union(*(changed(f"without {part}", "all") for part in PARTS))
    assert {settings(name).images for name in variants()} == {16}
    assert settings("base").anchor_labels is None
    assert not settings("all").unpaired
    assert settings("all and unpaired images").unpaired


def test_each_part_is_taken_away_in_all_seeds_before_any_is_tried_alone() -> None:
    runs = plan([4, 5])
    kinds = [
        "taken" if run.variant in ("all", "base") or run.variant.startswith("without") else run.variant
        for run in runs[1:]
    ]
    assert runs[0] == Run(MEAN, 4)
    assert set(kinds[: 2 * (len(PARTS) + 2)]) == {"taken"}
    assert {run.variant for run in runs} == {MEAN, *variants()}
    assert [run.seed for run in runs if run.variant == "HU alone"] == [4, 5]
    assert [run.seed for run in runs if run.variant.startswith("all and")] == [4] * len(SETTINGS["added"])
    assert len(set(runs)) == len(runs)


def rows_of(run: Run, images: int = 16, **scores: float) -> list[Row]:
    sets = ("label map, t1", "label map, t2", "pictures, atlas", "lesions, t1")
    found = {name: scores.get(name, 1.0) for name in (*SCORES, *LESIONS)}
    return [
        {"variant": run.variant, "seed": run.seed, "images": images, "set": name, "to": to, **found}
        for name in sets
        for to in ("ct", "mr")
    ]


def test_a_run_whose_rows_are_there_is_passed_over(tmp_path: Path) -> None:
    path, calls = tmp_path / "rows.csv", list[Run]()

    def carry_out(run: Run) -> list[Row]:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(run)
        return rows_of(run)

    runs = plan([0, 1])[:5]
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, path, 16, carry_out)
    calls.clear()
    run_all(runs, path, 16, carry_out)
    assert calls == runs[3:]
    run_all(runs[:1], path, 32, lambda run: rows_of(run, images=32))  # another length is another run
    assert len(read(path)) == 6 * 8


def test_a_difference_counts_if_it_exceeds_the_range_of_the_seeds() -> None:
    assert differs([1.0, 1.2, 1.1], [2.0, 2.1, 2.2])
    assert not differs([1.0, 1.2, 1.1], [1.0, 1.6, 1.3])
    assert not differs([1.0, 3.0], [2.0, 4.0])
    assert not differs([1.0], [9.0, 9.1]), "one seed has no range"
    found = {"base": [1.0, 1.0], "all": [9.0, 9.0], "HU alone": [8.0, 8.1], "without HU": [8.9, 9.1]}
    assert cell(found, "HU alone", 1) == "**8.1** (8.0 to 8.1)"  # beside base, not beside all
    assert cell(found, "without HU", 1) == "9.0 (8.9 to 9.1)"
    assert cell(found, "all", 1) == "9.0 (9.0 to 9.0)"


def test_tables_of_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    nan = float("nan")
    some = {Run("all", 0): 20.0, Run("all", 1): 22.0, Run("without HU", 0): 30.0, Run("without HU", 1): 32.0}

    def carry_out(run: Run) -> list[Row]:
        window = {"bone 300": nan} if "HU" in run.variant else {}
        return rows_of(run, mae=some[run], **window)

    run_all(some, path, 16, carry_out)
    made = tables(read(path), [MEAN, *variants()])
    [first] = [line for line in made.splitlines() if line.startswith("| all |")][:1]
    [other] = [line for line in made.splitlines() if line.startswith("| without HU |")][:1]
    assert first.split(" | ")[1:3] == ["2", "21.0 (20.0 to 22.0)"]
    assert other.split(" | ")[2:5] == ["**31.0** (30.0 to 32.0)", "1.000 (1.000 to 1.000)", ""]
    assert "without edges" not in made
    assert all(title in made for title in TABLES)


def test_runs_share_anchors_that_are_drawn_alike() -> None:
    small = replace(
        settings("base"),
        anchor_kept=4,
        network=replace(settings("base").network, size=32),
    )
    shared = SharedAnchors()
    kept = shared.open(small, {})
    assert isinstance(kept, KeptAnchors)
    edges = replace(small, loss=replace(small.loss, edges=3.0), out=Path("other"))
    assert shared.open(edges, {}) is kept
    for change in ({"anchor_lesions": True}, {"scale": settings("all").scale}, {"seed": 1}):
        assert shared.open(replace(small, **change), {}) is not kept
    assert shared.open(small, {}) is not kept, "the anchors of one seed alone are held"


def test_slices_that_are_not_scored_stay_empty(small_model: Path) -> None:
    model = load_model(small_model, torch.device("cpu"))
    values = np.zeros((40, 40, 6), np.float32)
    values[8:32, 8:32] = 500
    head = Volume(values, np.diag([4.0, 4.0, 4.0, 1.0]), Meta(modality="mr"))
    [made] = drawn([head], model, "ct", places=np.array([1, 4]))
    whole = drawn([head], model, "ct")[0]
    assert np.array_equal(made.values[:, :, [1, 4]], whole.values[:, :, [1, 4]])
    assert np.all(made.values[:, :, [0, 2, 3, 5]] == model.description.scale.ct_window[0])
    cleared, _ = translate_volume(head, model, "ct")
    inside = np.s_[12:28, 12:28, 1]
    assert np.allclose(whole.values[inside], cleared.values[inside], atol=1e-3)


def lopsided() -> list[Head]:
    """A head with a ventricle on one side alone, in one contrast."""
    x, y, _ = np.indices((48, 48, 12)) - 23.5
    radius = 2 * np.hypot(x, y)
    ct = np.select([radius < 40, radius < 46], [35.0, 1000.0], -1000.0)
    fluid = 2 * np.hypot(x - 4, y) < 6
    ct[fluid] = 5
    affine = np.diag([2.0, 2.0, 6.0, 1.0])
    mr = Volume(np.where(ct > -500, 500, 0).astype(np.float32), affine, Meta(modality="mr"))
    true = Volume(ct.astype(np.float32), affine, Meta(modality="ct"))
    return [Head("lopsided t1", mr, true, "t1", Volume(fluid.astype(np.float32), affine))]


def test_the_true_ct_has_the_best_scores(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [head] = heads = lopsided()
    model = load_model(small_model, torch.device("cpu"))
    monkeypatch.setattr(head_part_scores, "label_heads", lambda path: iter(heads))
    whole = whole_head(Path("lopsided.nii.gz"))
    assert list(whole.places) == [0, 6]
    true = head.of("ct")
    for made, ventricles in ((true, 1), (true.with_values(true.values[::-1].copy()), 0)):
        monkeypatch.setattr(head_part_scores, "drawn", lambda sources, *rest, made=made, **more: [made])
        row = next(of_whole_head(model, whole))
        assert (row["set"], row["to"], row["bone"]) == ("label map, t1", "ct", 1)
        assert row["ventricles"] == pytest.approx(ventricles, abs=0.3)
    assert row["mae"] > 0
