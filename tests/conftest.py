from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from medtranslate.checkpoint import save_model
from medtranslate.config import NetworkSettings, ScaleSettings
from medtranslate.model import Generators

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images beside the repository; absent in a stranger's clone."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real images are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of the size that the test names (`indirect`), such as "64k"."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(mount)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not mount a tmpfs: {done.stderr!r}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


SMALL = NetworkSettings(size=32, channels=(8, 16), latent_channels=4, discriminator_channels=(8, 8, 8))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained model, small and with the same weights in every run."""
    folder = tmp_path_factory.mktemp("small-model")
    torch.manual_seed(0)
    save_model(
        folder,
        Generators(SMALL),
        {"ct": torch.zeros(1, 32, 32), "mr": torch.zeros(1, 32, 32)},
        name="small",
        summary="untrained, for tests",
        network=SMALL,
        scale=ScaleSettings(),
        training={},
    )
    return folder
