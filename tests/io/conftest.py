from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from medtranslate.io import Meta, Volume, write_volume
from medtranslate.modality import Modality
from medtranslate.records import Derivation, ModelInfo

KINDS = ("CTImage", "MRImage", "EncapsulatedPDF", "EnhancedSR", "ParametricMap")
"""What dciodvfy calls the objects that it knows."""


@pytest.fixture(scope="session")
def unpack(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a real DICOM archive, unpacked once."""
    root = tmp_path_factory.mktemp("dicom")

    def folder(name: str) -> Path:
        if not (root / name).exists():
            with tarfile.open(shared_data / "dicom" / f"{name}.tar.xz") as archive:
                archive.extractall(root, filter="data")
        return root / name

    return folder


@pytest.fixture
def make_volume() -> Callable[..., Volume]:
    """A small volume whose every voxel is different, on an oblique grid if asked."""

    def make(modality: Modality = "ct", shape: tuple[int, int, int] = (8, 6, 5)) -> Volume:
        values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) - 100
        affine = np.array([[-2.0, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1]])
        return Volume(values, affine, Meta(modality))

    return make


@pytest.fixture
def series(tmp_path: Path, make_volume: Callable[..., Volume]) -> Path:
    """A CT series of five slices, 3 mm apart."""
    write_volume(make_volume(), tmp_path / "series")
    return tmp_path / "series"


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change the header of one file: edit(path, Rows=3) sets, edit(path, Rows=None) deletes."""

    def change(path: Path, **values: object) -> None:
        header = dcmread(path)
        for keyword, value in values.items():
            if value is None:
                delattr(header, keyword)
            else:
                setattr(header, keyword, value)
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(path)

    return change


@pytest.fixture
def made() -> Callable[..., Derivation]:
    """How a translation was made."""

    def make(
        to: str = "ct",
        low: float = -1024,
        high: float = 3071,
        seed: int | None = None,
        name: str = "some-model",
        **kept: bool,
    ) -> Derivation:
        model = ModelInfo(name=name, sha256="ab" * 32, to=to, output_range=(low, high), unit="HU")
        return Derivation(model=model, source="mr" if to == "ct" else "ct", seed=seed, **kept)

    return make


@pytest.fixture
def validator_errors() -> Callable[..., list[str]]:
    """Lines that dciodvfy or dcentvfy start with Error; their exit codes say nothing."""

    def run(tool: str, *arguments: object) -> list[str]:
        command = [str(Path(sys.executable).parent / tool), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        assert tool != "dciodvfy" or any(line in KINDS for line in lines), lines
        return [line for line in lines if line.startswith("Error")]

    return run


@pytest.fixture
def private_item() -> Dataset:
    """A private block that carries an identity."""
    item = Dataset()
    item.add_new(0x00110010, "LO", "ACME")
    item.add_new(0x00111001, "LO", "CANARY^PRIVATE")
    return item
