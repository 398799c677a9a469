from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medtranslate import config
from medtranslate.cli.run import documents, pipelines
from medtranslate.model import Batch, PassSettings, VAECycleGAN

README = Path(__file__).resolve().parents[1] / "pipelines" / "README.md"


STEPS = [(name, step) for name, path in pipelines().items() for step in range(len(documents(path)))]


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_shipped_pipeline_is_complete_and_valid(name: str, step: int) -> None:
    values = documents(pipelines()[name])[step]
    kind: type[object] = config.COMMANDS[values.pop("command")]
    settings = config.build(kind, values, name)
    written = config.plain(settings)
    assert all(key in written for key in values)


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_the_networks_of_a_training_pipeline_build_and_run(name: str, step: int) -> None:
    values = documents(pipelines()[name])[step]
    if values.pop("command") != "train":
        return
    settings = config.build(config.TrainSettings, values, name)
    model = VAECycleGAN(settings.network)
    shape = 1, 1, settings.network.size, settings.network.size
    if not settings.unpaired:
        names = ("anchor_ct", "anchor_mr", "anchor_wanted")
        anchor = Batch(**{name: torch.zeros(shape) for name in names}, anchor_told=torch.zeros(1, 7))
        made = model.generators(anchor, PassSettings(cycle=False, identity=False, noise=0.0))
        assert made.anchor is not None
        assert made.anchor.fake_mr.shape == shape
        return
    batch = Batch(**{key: torch.zeros(shape) for key in ("ct", "mr")})
    passes = model.generators(batch, PassSettings(cycle=True, identity=False, noise=settings.cycle_noise))
    assert passes.cycled_ct is not None
    assert passes.cycled_ct.shape == passes.ct.shape
    assert len(model.discriminators.ct(passes.fake_ct)) == len(settings.network.discriminator_channels)


def test_the_readme_explains_each() -> None:
    text = README.read_text(encoding="utf-8")
    assert pipelines()
    for name in pipelines():
        assert f"| `{name}.yaml` |" in text
