"""The package of docs/extending.md, installed from the page alone, does what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from medtranslate import plugins
from medtranslate.config import BUILTIN, NetworkSettings, TrainSettings, plain
from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.io import FORMATS, Volume, read_volume, write_volume
from medtranslate.losses import Passes
from medtranslate.metrics import PROFILES, SCORES, score
from medtranslate.records import Cohort, Evaluation, read_result
from medtranslate.report import VIEWS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
PACKAGE = "medtranslate_extras"

Part = Callable[[str, str], Any]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for the path, in which the page's package is installed, with its network, too."""
    text = PAGE.read_text(encoding="utf-8")
    (settings,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    project = tomllib.loads(settings)["project"]
    site = tmp_path / "site"
    (site / PACKAGE).mkdir(parents=True)
    (site / PACKAGE / "__init__.py").touch()
    blocks = rf"^```python\n# ({PACKAGE}/\w+\.py)\n(.*?)^```"
    for name, code in re.findall(blocks, text, re.MULTILINE | re.DOTALL):
        (site / name).write_text(code, encoding="utf-8")
    folder = site / f"{PACKAGE}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    network = f"{PACKAGE}.networks:DeepGenerator"
    assert network in text
    groups = project["entry-points"] | {"medtranslate.generators": {"deep": network}}
    lines = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in entries.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    return site


@pytest.fixture
def part(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Part]:
    """Find a part of the page's package by its entry point: part("losses", "variation")."""
    monkeypatch.syspath_prepend(site)
    plugins.found.cache_clear()

    def find(kind: str, name: str) -> Any:
        group = f"medtranslate.{kind}"
        assert name in plugins.names(group, BUILTIN.get(group, ()))
        return plugins.load(group, {})[name]

    yield find
    plugins.found.cache_clear()
    for module in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[module]


def test_the_loss_of_the_page(part: Part) -> None:
    variation = part("losses", "variation")
    ramp = torch.arange(8.0).expand(1, 1, 8, 8) / 8
    assert float(variation(Passes(fake_ct=ramp))) == pytest.approx(1 / 8)
    assert float(variation(Passes(fake_ct=ramp, fake_mr=ramp))) == pytest.approx(2 / 8)
    assert float(variation(Passes())) == 0


def test_the_format_of_the_page(part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "vox", part("formats", "vox"))  # type: ignore[arg-type]
    affine = np.array([[0, -2, 0, 5], [1, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    volume = Volume(np.random.default_rng(0).normal(0, 100, (5, 6, 4)), affine)
    write_volume(volume, tmp_path / "a.vox")
    again = read_volume(tmp_path / "a.vox")
    np.testing.assert_array_equal(again.values, volume.values)
    np.testing.assert_array_equal(again.affine, affine)
    assert again.meta.format == "vox"
    raw = (tmp_path / "a.vox").read_bytes()
    for name, bad, error in (
        ("short", raw[:-4], Unreadable),
        ("header", raw[:40], Unreadable),
        ("huge", raw.replace(b"[5, 6, 4]", b"[9999999, 9999, 9]"), Unreadable),
        ("flat", raw.replace(b"3.0, 7.0", b"0.0, 7.0"), GeometryRefused),
        ("nan", raw[:-4] + np.float32(np.nan).tobytes(), Unreadable),
    ):
        (tmp_path / f"{name}.vox").write_bytes(bad)
        with pytest.raises(error, match=rf"{name}\.vox"):
            read_volume(tmp_path / f"{name}.vox")


def test_the_score_of_the_page(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    info, profile = part("scores", "p95"), part("profiles", "image_p95")
    monkeypatch.setitem(SCORES, "p95", info)
    monkeypatch.setitem(PROFILES, "image_p95", profile)
    reference = np.zeros((16, 16, 3), np.float32)
    prediction = np.random.default_rng(1).normal(0, 10, reference.shape).astype(np.float32)
    mask = prediction > -5
    whole, slices = score(prediction, reference, mask, (-100.0, 100.0), "image_p95")
    assert whole["p95"] == pytest.approx(np.percentile(np.abs(prediction[mask]), 95))
    assert slices[1]["p95"] == pytest.approx(np.percentile(np.abs(prediction[..., 1][mask[..., 1]]), 95))
    assert whole["mae"] < whole["p95"]


def test_the_view_of_the_page(part: Part, tmp_path: Path) -> None:
    write = part("views", "markdown")
    pair = Evaluation(profile="image", unit="HU", name="a|b", volume={"mae": 12.5, "ssim": 0.9})
    write(pair, {}, tmp_path)
    lines = (tmp_path / "scores.md").read_text().splitlines()
    assert lines == ["| image | MAE | SSIM |", "| --- | --- | --- |", "| a/b | 12.5 | 0.9 |"]
    write(Cohort(items=[pair, pair], mean=pair.volume), {}, tmp_path)
    assert len((tmp_path / "scores.md").read_text().splitlines()) == 4


def test_the_network_of_the_page(part: Part) -> None:
    deep = import_module(f"{PACKAGE}.networks").DeepGenerator
    settings = NetworkSettings(size=32)
    assert deep(settings).eval()(torch.zeros(1, 1, 32, 32)).image.shape == (1, 1, 32, 32)


def run(site: Path, *commands: Sequence[object], first: str = "") -> None:
    """Run commands in a process that begins with the page's package on its path, and with a line of code."""
    lines = [f"assert cli.invoke({[*map(str, command), '--quiet']!r}) == 0" for command in commands]
    script = "\n".join(["from medtranslate import cli", first, *lines])
    path = os.pathsep.join([str(site), *sys.path])
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_format_score_profile_and_view_work_on_the_command_line(site: Path, tmp_path: Path) -> None:
    rng, affine = np.random.default_rng(0), np.diag([-2.0, -2.0, 3.0, 1.0])
    truth = rng.normal(0, 100, (24, 20, 4)).astype(np.float32)
    write_volume(Volume(truth, affine), tmp_path / "truth.nii.gz")
    write_volume(Volume(truth + rng.normal(0, 10, truth.shape), affine), tmp_path / "fake.nii.gz")
    fake, out = tmp_path / "fake.vox", tmp_path / "scores"
    run(
        site,
        ["convert", tmp_path / "fake.nii.gz", fake],
        ["evaluate", fake, tmp_path / "truth.nii.gz", "--profile", "image_p95", "--out", out],
        ["report", out, "--view", "markdown", "--out", tmp_path / "again"],
    )
    result = json.loads((out / "result.json").read_text())
    assert result["volume"]["mae"] < result["volume"]["p95"] < 30
    assert result["provenance"]["inputs"]["prediction"]["format"] == "vox"
    assert "p95" in result["slices"][0]
    assert (out / "slices.csv").read_text().startswith("name,index,position_mm,mae,psnr,ssim,p95,mae_unit\n")
    assert '<th scope="col">P95, units as stored<small>lower is better</small></th>' in (
        out / "report.html"
    ).read_text(encoding="utf-8")
    table = (out / "scores.md").read_text()
    assert table.startswith("| image | MAE | PSNR | SSIM | P95 |\n")
    assert (tmp_path / "again" / "scores.md").read_text() == table
    # Whoever has not that package reads the record, too.
    record = read_result(Evaluation, out / "result.json")
    assert record.volume == result["volume"]
    VIEWS["html"](record, {}, tmp_path)
    assert '<th scope="col">p95<small></small></th>' in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_loss_and_network_work_on_the_command_line(site: Path, tmp_path: Path) -> None:
    settings = TrainSettings(
        ct="phantom:0-9",
        mr="phantom:10-19",
        out=tmp_path / "run",
        images=8,
        every=8,
        batch=4,
        gate=0,
        precision="float32",
        network=NetworkSettings(
            size=32, channels=(8, 16), latent_channels=4, discriminator_channels=(8, 8, 8)
        ),
    )
    values = plain(settings)
    values["loss"]["others"] = {"variation": 0.1}
    values["network"]["generator"] = "deep"
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({"command": "train", **values}), encoding="utf-8")
    few = "from medtranslate.training import batches, validation; batches.MEAN_SLICES = 4"
    run(site, ["run", tmp_path / "job.yaml"], first=f"{few}; validation.VALIDATION_SLICES = 4")
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    columns = dict(zip(log[0].split(","), log[-1].split(","), strict=True))
    assert float(columns["variation"]) > 0
    assert (
        json.loads((tmp_path / "run" / "model" / "model.json").read_text())["network"]["generator"] == "deep"
    )
