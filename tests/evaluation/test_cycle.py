from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image

from medtranslate.config import CycleSettings, EvaluateSettings, TranslateSettings, build
from medtranslate.errors import OutputExists, UsageError
from medtranslate.evaluation import evaluate
from medtranslate.evaluation.averages import gathered_warnings, mean_scores
from medtranslate.evaluation.cycle import cycle
from medtranslate.io import Volume, write_volume
from medtranslate.metrics import head_mask
from medtranslate.phantom import study
from medtranslate.records import Cycle, Evaluation, read_result
from medtranslate.translation import translate


@pytest.fixture(scope="module")
def head():
    return study(910_002, size=40, spacing=6.0)


@pytest.fixture
def settings(small_model, tmp_path):
    def make(source, start, out="out", **more):
        values = {"input": source, "from": start, "out": tmp_path / out, "model": str(small_model)}
        return build(CycleSettings, values | more)

    return make


def pictures(head, folder, levels=255):
    folder.mkdir()
    for index in (18, 20, 22, 24):
        plane = head.ct.values[:, :, index].T
        grey = ((plane + 20) / 120).clip(0, 1) * levels
        kind = np.uint16 if levels > 255 else np.uint8
        Image.fromarray(grey.round().astype(kind)).save(folder / f"ct{index}.png")
    return folder


def test_a_cycle_is_two_translations_and_an_evaluation(head, small_model, settings, tmp_path):
    """By way of files, with the same mask, range and numbers."""
    write_volume(head.ct, tmp_path / "ct.nii.gz")
    found = cycle(settings(tmp_path / "ct.nii.gz", "ct"), quiet=True)
    for source, target, to in (("ct", "mr", "mr"), ("mr", "back", "ct")):
        translate(
            TranslateSettings(
                input=tmp_path / f"{source}.nii.gz",
                output=tmp_path / f"{target}.nii.gz",
                to=to,
                model=str(small_model),
                precision="float32",
            ),
            quiet=True,
        )
    # What the network shows beside the head counts in a pair, and not in a cycle.
    alone = head_mask([head.ct.values], [(-20.0, 100.0)])
    write_volume(Volume(alone, head.ct.affine), tmp_path / "mask.nii.gz")
    pair = evaluate(
        EvaluateSettings(
            prediction=tmp_path / "back.nii.gz",
            reference=tmp_path / "ct.nii.gz",
            mask=tmp_path / "mask.nii.gz",
            out=tmp_path / "pair",
        ),
        quiet=True,
    )
    (item,) = found.items
    assert item.volume == found.mean
    assert item.mask.share == pytest.approx(pair.mask.share)
    for score in ("mae", "psnr", "ssim"):
        assert item.volume[score] == pytest.approx(pair.volume[score], rel=1e-4)
    assert item.data_range == (-20, 100)


def test_what_a_cycle_writes(head, settings, tmp_path):
    write_volume(head.mr, tmp_path / "mr")
    found = cycle(settings(tmp_path / "mr", "mri"), quiet=True)
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "result.json", "slices.csv", "cases.csv", "methods.md", "report.html", "report.pdf", "settings.yaml",
        "differences",
    }  # fmt: skip
    assert read_result(Cycle, out / "result.json") == found
    assert found.path == ("mr", "ct", "mr")
    raw = json.loads((out / "result.json").read_text())
    assert raw["schema"] == "medtranslate/cycle/1"
    assert raw["settings"]["from"] == "mr"
    assert set(found.baselines) == {
        "untranslated",
        "intermediate copied",
        "intermediate matched",
        "mean image",
    }
    copied = found.baselines["untranslated"]
    assert copied["mae"] < found.mean["mae"]
    assert copied["ssim"] > found.mean["ssim"]
    assert len(list((out / "differences").glob("mr-*.png"))) == 6
    with pytest.raises(OutputExists):
        cycle(settings(tmp_path / "mr", "mr"), quiet=True)
    with pytest.raises(UsageError, match="holds the input"):
        cycle(settings(tmp_path / "mr", "mr", ".", overwrite=True), quiet=True)


def test_a_folder_of_pictures_is_tested_one_by_one(head, settings, tmp_path):
    found = cycle(settings(pictures(head, tmp_path / "in"), "ct"), quiet=True)
    assert [item.name for item in found.items] == ["ct18", "ct20", "ct22", "ct24"]
    maes = [item.volume["mae"] for item in found.items]
    assert found.mean["mae"] == pytest.approx(np.mean(maes))
    assert {path.stem for path in (tmp_path / "out" / "differences").iterdir()} == {
        item.name for item in found.items
    }
    assert found.items[0].unit == "grey levels"
    case = (tmp_path / "out" / "cases" / "ct20.html").read_text()
    assert "CT that came back" in case
    assert "All round trips" in case
    assert 'href="cases/ct20.html"' in (tmp_path / "out" / "report.html").read_text()


def test_what_all_items_warn_of_is_said_once():
    items = [
        Evaluation(profile="image", unit="HU", volume={}, name=name, warnings=warnings)
        for name, warnings in (("a", ["windowed", "windowed"]), ("b", ["windowed", "odd"]))
    ]
    assert gathered_warnings(items) == ["windowed (2 of 2 images: a, b)", "odd (1 of 2 images: b)"]


def test_one_equal_image_does_not_drown_the_mean():
    inf = float("inf")
    assert mean_scores([{"psnr": inf}, {"psnr": 20.0}, {}])["psnr"] == 20
    assert mean_scores([{"psnr": inf}, {"psnr": inf}])["psnr"] == inf


def test_deep_pictures_score_as_shallow_ones(head, settings, tmp_path):
    """16 bits hold the same grey to 1/257 of a level."""
    shallow = cycle(settings(pictures(head, tmp_path / "8"), "ct", "a"), quiet=True)
    deep = cycle(settings(pictures(head, tmp_path / "16", 65535), "ct", "b"), quiet=True)
    assert deep.mean["mae"] == pytest.approx(shallow.mean["mae"], abs=0.2)


def test_noise_on_the_image_between_is_repeatable_and_told(head, settings, tmp_path):
    write_volume(head.ct, tmp_path / "ct.nii.gz")
    plain, noisy, again = (
        cycle(settings(tmp_path / "ct.nii.gz", "ct", out, noise=noise, seed=3), quiet=True)
        for out, noise in (("a", 0.0), ("b", 0.05), ("c", 0.05))
    )
    assert plain.mean != noisy.mean == again.mean
    assert noisy.noise == 0.05
    assert plain.items[0].mask == noisy.items[0].mask


def test_a_failed_cycle_leaves_nothing(head, settings, tmp_path, monkeypatch):
    write_volume(head.ct, tmp_path / "ct.nii.gz")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["medtranslate.evaluation.cycle"], "write_yaml", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cycle(settings(tmp_path / "ct.nii.gz", "ct", "new/out"), quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_a_volume_of_mr_is_compared_on_the_models_scale(head, settings, tmp_path):
    """Whatever its own scale: MR values have no unit."""
    found = []
    for name, factor in (("weak", 0.02), ("strong", 30.0)):
        write_volume(head.mr.with_values(head.mr.values * factor), tmp_path / f"{name}.nii.gz")
        found.append(cycle(settings(tmp_path / f"{name}.nii.gz", "mr", name), quiet=True))
    weak, strong = (result.mean["mae"] for result in found)
    assert weak == pytest.approx(strong, rel=1e-3)
    assert "brought to the scale of the model" in found[0].items[0].reference[0]
    assert found[0].baselines["untranslated"]["mae"] < 0.2 * found[0].baselines["intermediate copied"]["mae"]


def test_an_mr_volume_is_scored_on_the_models_scale_whatever_its_own(head, settings, tmp_path):
    for name, factor in (("mr", 1.0), ("faint", 0.4)):
        write_volume(head.mr.with_values(head.mr.values * factor), tmp_path / f"{name}.nii.gz")
    plain, faint = (
        cycle(settings(tmp_path / f"{name}.nii.gz", "mr", out=name), quiet=True) for name in ("mr", "faint")
    )
    for one, other in (
        (plain.mean, faint.mean),
        (plain.baselines["untranslated"], faint.baselines["untranslated"]),
    ):
        assert other["mae"] == pytest.approx(one["mae"], rel=1e-3)
    # The frame alone blurs, and changes no scale.
    assert plain.baselines["untranslated"]["mae"] < 0.1 * 1000
