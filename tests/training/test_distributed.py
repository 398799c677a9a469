from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import yaml

from medtranslate.config import plain
from medtranslate.errors import RunFailed, SettingsError
from medtranslate.training import fit
from medtranslate.training.distributed import placed
from medtranslate.training.resume import read_checkpoint

RUN = "import sys; from medtranslate.cli import main; sys.exit(main())"

GRADIENTS = """
import sys
import torch
from lightning_fabric import Fabric

from medtranslate.config import LossSettings, NetworkSettings, TrainSettings
from medtranslate.model import Batch, ImagePool
from medtranslate.networks import Posterior
from medtranslate.training.batches import seeds
from medtranslate.training.state import fresh_state
from medtranslate.training.step import sides, train_step

out, count = sys.argv[1], int(sys.argv[2])
Posterior.draw = lambda posterior: posterior.mean  # noise would differ between the processes
settings = TrainSettings(
    ct="", mr="", out="", batch=2 * 2 // count, pool=0, cycle_noise=0, learning_rate=1e-3,
    network=NetworkSettings(size=32, channels=(8, 8), latent_channels=2, discriminator_channels=(8, 8)),
    loss=LossSettings(identity=1, structure=1), devices=count,
)
fabric = Fabric(accelerator="cpu", devices=count, strategy="ddp" if count > 1 else "auto")
fabric.seed_everything(0, verbose=False)
fabric.launch()
state = fresh_state(settings, {}, fabric.device, {})
players = sides(fabric, state, settings)
images = torch.rand(2, 6, 4, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
for step, whole in enumerate(images):
    own = whole.chunk(count, dim=1)[fabric.global_rank]
    names = ("ct", "mr", "anchor_ct", "anchor_mr", "anchor_wanted", "anchor_shown")
    train_step(settings, players, state, Batch(**dict(zip(names, own, strict=True))), seeds(0, step, 0), 0.5)
    if step == 0:
        gradients = {name: weight.grad.clone() for name, weight in state.model.named_parameters()}
if fabric.is_global_zero:
    torch.save(gradients, out)
"""


def test_two_processes_have_the_gradients_of_one_with_the_doubled_batch(tmp_path):
    (tmp_path / "script.py").write_text(GRADIENTS)
    for count in (1, 2):
        script = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / f"{count}.pt"), str(count)]
        subprocess.run(script, check=True, capture_output=True, timeout=120)
    one, two = (torch.load(tmp_path / f"{count}.pt") for count in (1, 2))
    assert sum(gradient.abs().max() > 1e-4 for gradient in one.values()) > len(one) / 2
    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, rtol=1e-3, atol=2e-6, msg=name)


@pytest.fixture
def job(settings, tmp_path):
    """A run in a process of its own, with more options; each process says what it has to say."""

    def start(*options: str) -> subprocess.Popen[str]:
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump({"command": "train", **plain(settings)}))
        command = [sys.executable, "-m", "medtranslate", "run", str(path), *options]
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
        return subprocess.Popen(command, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return start


def test_devices_train_one_model_and_a_single_process_goes_on_with_it(settings, job, rows):
    done = job("--devices", "2", "--json")
    printed, said = done.communicate(timeout=120)
    assert done.returncode == 0, said
    assert json.loads(printed)["images"] == 16
    assert [row["images"] for row in rows(settings.out / "log.csv")] == ["8", "16"]
    assert [row["images"] for row in rows(settings.out / "validation.csv")] == ["8", "16"]
    saved = read_checkpoint(replace(settings, devices=2))
    assert len(saved["pools"]["ct"]) == 2 * settings.pool
    printed, said = job("--images", "24", "--resume", "--json").communicate(timeout=120)
    more = json.loads(printed)
    assert more["images"] == 24
    assert any("devices became 1 instead of 2" in warning for warning in more["warnings"])


def test_every_process_stops_on_a_request_to_one(settings, job):
    run = job("--devices", "2", "--images", "4000", "--every", "4000")
    log = settings.out / "log.csv"
    deadline = time.monotonic() + 100
    while not (log.exists() and log.read_text().count("\n") > 1) and time.monotonic() < deadline:
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    assert run.returncode == 130, said
    assert len(errors) == 1
    assert "go on" in errors[0]
    assert 0 < read_checkpoint(replace(settings, devices=2, images=4000))["images"] < 4000


def test_torchrun_says_how_many_processes_there_are(settings, monkeypatch):
    assert placed(settings) == settings
    monkeypatch.setattr(torch.distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setenv("WORLD_SIZE", "6")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    there = placed(settings)
    assert (there.devices, there.nodes) == (2, 3)


def test_a_device_by_number_is_one_device(settings):
    with pytest.raises(SettingsError, match="give --device cuda"):
        fit(replace(settings, device="cuda:1", devices=2), quiet=True)
    with pytest.raises(RunFailed, match="0 CUDA devices"):
        fit(replace(settings, device="cuda", devices=2), quiet=True)
    assert not settings.out.exists()
