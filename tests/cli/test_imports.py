"""Commands import the programs that they use, and no others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medtranslate.io import Volume, write_volume

NETWORKS = {"torch", "monai", "lightning_fabric", "safetensors"}
SCORES = {"scipy", "skimage", "SimpleITK"}
VIEWS = {"matplotlib", "reportlab", "jinja2", "highdicom"}
FILES = {"numpy", "nibabel", "pydicom", "PIL"}

_SCRIPT = """
import os, sys
from medtranslate import cli
os.chdir(sys.argv[1])
for line in sys.argv[2:]:
    print(cli.invoke(line.split()), file=sys.stderr)
print(*sys.modules)
"""

MISSING = (
    "info gone",
    "convert gone o.mha",
    "translate gone o.nii.gz --to ct",
    "translate ct.nii.gz o.nii.gz --to mr --reference gone",
    "evaluate ct.nii.gz gone --out o",
    "evaluate gone ct.nii.gz --out o",
    "cycle gone --from ct --out o",
    "report gone --out o",
    "batch gone o --to ct",
    "prepare gone o",
    "calibrate phantom --pairs gone",
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, put_slices: Callable[..., object]) -> Path:
    """A folder with a volume and a DICOM series."""
    folder = tmp_path_factory.mktemp("work")
    values = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
    write_volume(Volume(values, np.diag([2.0, 2.0, 3.0, 1.0])), folder / "ct.nii.gz")
    put_slices(folder / "series", [0, 3, 6])
    return folder


@pytest.mark.parametrize(
    ("lines", "code", "absent"),
    [
        (MISSING, 3, NETWORKS | SCORES | VIEWS | FILES),
        (["models list", "models show brain-2d"], 0, NETWORKS | SCORES | VIEWS | FILES),
        (["info series", "info series --json"], 0, NETWORKS | SCORES | VIEWS | {"nibabel"}),
        (["info ct.nii.gz", "convert ct.nii.gz ct.mha"], 0, NETWORKS | VIEWS | {"skimage", "SimpleITK"}),
        (["convert series ct.nrrd --overwrite"], 0, NETWORKS | VIEWS | {"skimage", "SimpleITK"}),
    ],
    ids=["a missing input", "models", "info of DICOM", "files", "convert of DICOM"],
)
def test_a_command_imports_what_it_uses(work: Path, lines: list[str], code: int, absent: set[str]) -> None:
    command = [sys.executable, "-c", _SCRIPT, str(work), *lines]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    codes = [line for line in done.stderr.splitlines() if line.isdecimal()]
    assert codes == [str(code)] * len(lines), done.stderr
    imported = {*done.stdout.splitlines()[-1].split()}
    assert not (absent & imported)
