"""What can be wrong with a pair, at the command line: one line and exit code 3, never a silent number."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medtranslate import cli
from medtranslate.io import Volume, write_volume
from medtranslate.phantom import study

AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])


def write(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> None:  # type: ignore[type-arg]
    write_volume(Volume(values, affine), path)


@pytest.fixture
def head() -> np.ndarray:  # type: ignore[type-arg]
    x, y, z = np.meshgrid(*(np.linspace(-1.3, 1.3, n) for n in (30, 32, 12)), indexing="ij")
    tissue = np.random.default_rng(0).normal(40, 8, x.shape)
    return np.where(x**2 + y**2 + z**2 < 1, tissue, -1000.0)


@pytest.fixture
def run(
    tmp_path: Path,
    head: np.ndarray,  # type: ignore[type-arg]
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:
    """Exit code and stderr of `evaluate` on a good pair, whose options may add bad things."""
    for name in ("fake", "real", "mr"):
        write(tmp_path / f"{name}.nii.gz", head)

    def evaluate(*options: str, fake: str = "fake.nii.gz", real: str = "real.nii.gz") -> tuple[int, str]:
        given = [str(tmp_path / option) if option.endswith(".nii.gz") else option for option in options]
        command = ["evaluate", str(tmp_path / fake), str(tmp_path / real), "--out", str(tmp_path / "out")]
        code = cli.invoke([*command, "--quiet", *given])
        assert (tmp_path / "out").exists() == (code == 0)
        return code, capsys.readouterr().err

    return evaluate


def refused(answer: tuple[int, str], *words: str) -> None:
    code, said = answer
    (line,) = said.splitlines()
    assert code == 3
    assert line.startswith("error: ")
    assert [word for word in words if word not in line] == []


Run = Callable[..., tuple[int, str]]


def test_a_good_pair_is_scored(run: Run) -> None:
    assert run("--source", "mr.nii.gz") == (0, "")


def test_shapes_and_affines_that_do_not_match(run: Run, tmp_path: Path, head: np.ndarray) -> None:  # type: ignore[type-arg]
    write(tmp_path / "short.nii.gz", head[..., 1:])
    refused(run(fake="short.nii.gz"), "short.nii.gz", "30 x 32 x 11", "30 x 32 x 12")
    shifted = AFFINE.copy()
    shifted[0, 3] = 1.5
    write(tmp_path / "shifted.nii.gz", head, shifted)
    refused(run(fake="shifted.nii.gz"), "1.500 mm")
    refused(run("--source", "shifted.nii.gz"), "source", "1.500 mm")
    refused(run("--uncertainty", "short.nii.gz"), "uncertainty", "30 x 32 x 11")


def test_masks(run: Run, tmp_path: Path, head: np.ndarray) -> None:  # type: ignore[type-arg]
    write(tmp_path / "short.nii.gz", np.ones((30, 32, 11)))
    write(tmp_path / "empty.nii.gz", np.zeros(head.shape))
    refused(run("--mask", "short.nii.gz"), "mask (short.nii.gz)", "30 x 32 x 11")
    refused(run("--mask", "empty.nii.gz"), "--mask", "empty.nii.gz: no voxel lies in the mask")


@pytest.mark.parametrize("role", ["fake", "real", "mr"])
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_values_that_are_not_finite(
    run: Run,
    tmp_path: Path,
    head: np.ndarray,  # type: ignore[type-arg]
    role: str,
    odd: float,
) -> None:
    import nibabel as nib

    head[3, 4, 5] = odd
    nib.Nifti1Image(head.astype(np.float32), AFFINE).to_filename(tmp_path / f"{role}.nii.gz")
    refused(run("--source", "mr.nii.gz"), f"{role}.nii.gz", "1")


def test_uncertainties(run: Run, tmp_path: Path, head: np.ndarray) -> None:  # type: ignore[type-arg]
    write(tmp_path / "negative.nii.gz", np.full(head.shape, -2.0))
    refused(run("--uncertainty", "negative.nii.gz"), "holds -2", "standard deviations")
    write(tmp_path / "sd.nii.gz", np.full(head.shape, 2.0))
    assert run("--uncertainty", "sd.nii.gz") == (0, "")


def test_a_registration_that_is_not_believed(run: Run, tmp_path: Path, head: np.ndarray) -> None:  # type: ignore[type-arg]
    write(tmp_path / "noise.nii.gz", np.random.default_rng(1).normal(size=head.shape))
    refused(
        run("--register", "rigid", real="noise.nii.gz"), "registration is not believed", "nothing in common"
    )


def test_modalities_and_a_missing_slice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = study(910_004, size=32, spacing=8.0)
    for name, series in (("ct", made.ct), ("mr", made.mr)):
        write_volume(series, tmp_path / name)
    out = ["--out", str(tmp_path / "out"), "--quiet"]
    assert cli.invoke(["evaluate", str(tmp_path / "ct"), str(tmp_path / "mr"), *out]) == 3
    assert "are ct and mr" in capsys.readouterr().err
    shutil.copytree(tmp_path / "ct", tmp_path / "gap")
    sorted((tmp_path / "gap").glob("*.dcm"))[12].unlink()
    assert cli.invoke(["evaluate", str(tmp_path / "gap"), str(tmp_path / "ct"), *out]) == 3
    assert "1 of 32 slices missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
