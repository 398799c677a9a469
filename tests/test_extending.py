"""The package of docs/extending.md, installed from the page alone, does what the page says."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medtranslate import plugins
from medtranslate.config import BUILTIN, NetworkSettings
from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.io import FORMATS, Volume, read_volume, write_volume
from medtranslate.losses import Passes
from medtranslate.metrics import PROFILES, SCORES, score
from medtranslate.records import Cohort, Evaluation

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
PACKAGE = "medtranslate_extras"

Part = Callable[[str, str], Any]


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Part]:
    """Install the page's package; part("losses", "variation") imports a part by its entry point."""
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
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in entries.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines))
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
