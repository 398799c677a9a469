from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from medtranslate.records import Evaluation, ModelInfo, Source, Translation

Stub = Callable[..., None]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stub:
    """Put functions in the place of a room, so that the command line is tested without torch.

    The working directory holds the inputs that these tests name.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("in", "p", "r", "src", "other"):
        (tmp_path / name).touch()

    def put(room: str, **functions: object) -> None:
        module = ModuleType(room)
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, f"medtranslate.{room}", module)

    return put


@pytest.fixture
def translation() -> Translation:
    return Translation(
        source=Source(
            digest="0" * 64,
            format="nifti",
            modality="mr",
            shape=(4, 4, 2),
            spacing_mm=(1.0, 1.0, 1.0),
            affine=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
        ),
        model=ModelInfo(name="phantom", sha256="1" * 64, to="ct", output_range=(-20, 100), unit="HU"),
        output="out.nii.gz",
        warnings=["half of the source lies outside the window"],
    )


@pytest.fixture
def result() -> Evaluation:
    return Evaluation(
        profile="image",
        unit="HU",
        volume={"mae": 3.25, "psnr": float("inf")},
        baselines={"source copied": {"mae": 40.0, "psnr": 10.0, "ssim": 0.5}},
    )
