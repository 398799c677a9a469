from __future__ import annotations

import pytest

from medtranslate.config import DemoSettings
from medtranslate.demo import run_demo
from medtranslate.errors import ModelRefused
from medtranslate.io import read_volume
from medtranslate.records import Evaluation, Translation, read_result


def test_a_line_through_the_whole_house(small_model, tmp_path):
    """A DICOM series in, a model, a derived DICOM series and a report out."""
    out = tmp_path / "demo"
    result = run_demo(DemoSettings(out=out, model=str(small_model), size=64), quiet=True)
    assert {item.name for item in out.iterdir()} == {"study", "ct", "evaluation", "report.html"}
    source, made = read_volume(out / "study" / "mr"), read_volume(out / "ct")
    assert made.shape == source.shape
    assert made.meta.modality == "ct"
    record = read_result(Translation, out / "ct" / "translation.json")
    assert record.settings["output"] == str(out / "ct")
    written = [path for path in out.rglob("*") if path.suffix in (".json", ".yaml", ".html", ".csv")]
    assert not [path for path in written if ".medtranslate-" in path.read_text()]
    assert record.source.digest == source.meta.digest
    assert read_result(Evaluation, out / "evaluation" / "result.json") == result
    assert result.unit == "HU"
    assert result.data_range == (-20, 100)
    assert {"source copied", "histogram match"} <= set(result.baselines)
    page = (out / "report.html").read_text()
    assert "small" in page
    assert 'id="volume-translation"' in page


def test_a_demo_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ModelRefused):
        run_demo(DemoSettings(out=tmp_path / "new" / "demo", model="no-such-model", size=64), quiet=True)
    assert not (tmp_path / "new" / "demo").exists()


def test_a_demo_that_fails_keeps_the_one_before(tmp_path):
    out = tmp_path / "demo"
    out.mkdir()
    (out / "report.html").write_text("before")
    settings = DemoSettings(out=out, model="no-such-model", size=64, overwrite=True)
    with pytest.raises(ModelRefused):
        run_demo(settings, quiet=True)
    assert [path.read_text() for path in out.iterdir()] == ["before"]


def test_a_demo_takes_the_place_of_a_file(small_model, tmp_path):
    out = tmp_path / "demo"
    out.write_text("before")
    run_demo(DemoSettings(out=out, model=str(small_model), size=64, overwrite=True), quiet=True)
    assert (out / "report.html").is_file()
