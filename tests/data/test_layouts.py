from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from medtranslate.config import NetworkSettings, ScaleSettings, TrainSettings, build
from medtranslate.data import Opened, open_sources
from medtranslate.errors import InputRefused, Unreadable
from medtranslate.io import Volume, write_volume
from medtranslate.phantom import study

Plant = Callable[..., Path]
SIZE = 32
SUBJECTS = ("1BA001", "1BA005", "1BB012")


def open_(**values: object) -> Opened:
    given = {
        "ct": "phantom:0-9",
        "mr": "phantom:10-19",
        "out": "unused",
        "network": NetworkSettings(size=SIZE),
    }
    return open_sources(build(TrainSettings, given | values), quiet=True)


@pytest.fixture(scope="module")
def heads() -> list[dict[str, Volume]]:
    made = [study(seed, size=SIZE, spacing=256 / SIZE) for seed in range(len(SUBJECTS))]
    return [{"ct": head.ct, "mr": head.mr, "mask": head.labels} for head in made]


@pytest.fixture
def synthrad(heads: list[dict[str, Volume]], tmp_path: Path) -> Path:
    """Subjects as the SynthRAD challenges hand them out."""
    for subject, head in zip(SUBJECTS, heads, strict=True):
        folder = tmp_path / "Task1" / "brain" / subject
        folder.mkdir(parents=True)
        for name, volume in head.items():
            write_volume(volume, folder / f"{name}.nii.gz")
    overview = tmp_path / "Task1" / "brain" / "overview"
    overview.mkdir()
    Image.new("L", (40, 40), 90).save(overview / "1BA001.png")
    return tmp_path / "Task1" / "brain"


@pytest.mark.parametrize("by", ["tree", "tree above", "pattern", "list"])
def test_folders_of_subjects_are_read_and_split_by_subject(synthrad: Path, tmp_path: Path, by: str) -> None:
    sources = {key: str(synthrad) for key in ("ct", "mr")}
    if by == "tree above":
        sources = {key: str(synthrad.parent) for key in ("ct", "mr")}
    if by == "pattern":
        sources = {key: str(synthrad / "*" / f"{key}.nii.gz") for key in ("ct", "mr")}
    if by == "list":
        rows = [(str(file), file.parent.name, file.name[:2]) for file in synthrad.glob("*/[cm][tr].nii.gz")]
        with (tmp_path / "list.csv").open("w", newline="") as file:
            csv.writer(file, delimiter=";").writerows([("path", "subject", "modality"), *rows])
        sources = {key: str(tmp_path / "list.csv") for key in ("ct", "mr")}
    opened = open_(**sources, val_share=0.34)
    counts = {key: opened.record[key]["images"] for key in ("ct", "val_ct", "mr", "val_mr")}
    assert counts == {"ct": 2, "val_ct": 1, "mr": 2, "val_mr": 1}
    held = {opened.sources[key].groups for key in ("val_ct", "val_mr")}  # type: ignore[attr-defined]
    assert len(held) == 1
    assert not any("trained on too" in warning for warning in opened.warnings)


def test_the_folder_of_one_subject_has_one_image_of_each_modality(synthrad: Path) -> None:
    opened = open_(ct=str(synthrad / SUBJECTS[0]), mr=str(synthrad / SUBJECTS[0]))
    assert [opened.record[key]["images"] for key in ("ct", "mr")] == [1, 1]
    assert opened.sources["ct"].groups == opened.sources["mr"].groups == {SUBJECTS[0]}  # type: ignore[attr-defined]


def test_the_masks_and_the_other_modality_are_no_images(synthrad: Path) -> None:
    for file in synthrad.glob("*/ct.nii.gz"):
        file.unlink()
    with pytest.raises(Unreadable, match=r"subfolders hold images .*none of them called ct; give a pattern"):
        open_(ct=str(synthrad))


def test_two_ct_of_a_subject_are_refused(synthrad: Path) -> None:
    (synthrad / "1BA005" / "ct.mha").touch()
    with pytest.raises(Unreadable, match="1BA005: holds 2 images called ct"):
        open_(ct=str(synthrad))


def test_files_of_a_list_that_are_missing_are_counted(synthrad: Path, tmp_path: Path) -> None:
    names = [
        *(f"{subject}/ct.nii.gz" for subject in SUBJECTS),
        *(f"gone/{number}.nii" for number in range(997)),
    ]
    (synthrad / "list.csv").write_text("path,age\n" + "".join(f"{name},60\n" for name in names))
    with pytest.raises(Unreadable, match=r"997 of 1000 files do not exist \(.*gone/4.nii, \.\.\.\)"):
        open_(ct=str(synthrad / "list.csv"))
    (synthrad / "list.csv").write_text("path,age\n" + "".join(f"{name},60\n" for name in names[:3]))
    assert any(
        "not read: the columns 'age'" in said for said in open_(ct=str(synthrad / "list.csv")).warnings
    )


def test_volumes_of_spm_are_trained_on_where_nan_has_a_value(synthrad: Path, tmp_path: Path) -> None:
    file = synthrad / "1BA001" / "mr.nii.gz"
    image = nib.load(file)
    values = image.get_fdata(dtype=np.float32)
    values[:4] = np.nan
    nib.Nifti1Image(values, image.affine).to_filename(file)
    with pytest.raises(InputRefused, match=r"1 of 3 images cannot be used.*--nan-to"):
        open_(mr=str(synthrad))
    opened = open_(mr=str(synthrad), nan_to="air")
    assert opened.record["mr"]["images"] == 3
    assert any("were NaN and became 0 (1 of 3 images)" in said for said in opened.warnings)


@pytest.fixture
def deep(heads: list[dict[str, Volume]], tmp_path: Path) -> Path:
    """CT slices as 16-bit pictures of HU + 1024, and the same windowed to 8 bits."""
    values = heads[0]["ct"].values
    window = np.clip((values + 20) / 120, 0, 1) * 255
    kinds = {"deep": np.clip(values + 1024, 0, 4095).astype(np.uint16), "windowed": window.astype(np.uint8)}
    for kind, grey in kinds.items():
        (tmp_path / kind).mkdir()
        for k in range(12, 22):
            Image.fromarray(np.rot90(grey[..., k]).copy()).save(tmp_path / kind / f"{k}.png")
    return tmp_path / "deep"


def test_deep_ct_pictures_are_read_in_hu_where_it_is_said_how(deep: Path) -> None:
    with pytest.raises(InputRefused, match=r"16-bit picture .* unit.*; give --picture-hu .*NIfTI"):
        open_(ct=str(deep), out=str(deep.parent / "run"))
    found = open_(ct=str(deep), picture_hu=(1, -1024)).sources["ct"].fixed(99)
    wanted = open_(ct=str(deep.with_name("windowed"))).sources["ct"].fixed(99)
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) < 0.02
    wide = ScaleSettings(ct_window=(-1000, 2000))
    assert float(open_(ct=str(deep), picture_hu=(1, -1024), scale=wide).sources["ct"].fixed(99).max()) < 0.9


def test_tiff_is_named_with_what_to_do(deep: Path) -> None:
    for file in list(deep.glob("*.png")):
        Image.open(file).save(file.with_suffix(".tif"))
        file.unlink()
    with pytest.raises(Unreadable, match=r"12\.tif is TIFF; convert it to PNG, or to NIfTI"):
        open_(ct=str(deep))


def test_pictures_of_unknown_subjects_are_split_by_look_alikes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(*(np.linspace(-1.2, 1.2, 64),) * 2)
    for head in range(6):
        blobs = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.05) for a, b in rng.uniform(-0.7, 0.7, (4, 2)))
        for view in range(5):
            grey = np.where(x**2 + y**2 < 1, 60 + 150 * blobs / np.max(blobs), 0) * (1 - 0.05 * view)
            path = tmp_path / "mr" / f"{head}-{view}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(grey.astype(np.uint8)).save(path)
    (tmp_path / "mr" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    opened = open_(mr=str(tmp_path / "mr"), val_share=0.2)
    assert opened.record["val_mr"]["images"] == 5
    assert opened.record["mr"]["images"] == 25
    assert len(opened.record["mr"]["failures"]) == 1
    assert any("split by 6 groups of look-alikes" in warning for warning in opened.warnings)
    again = open_(mr=str(tmp_path / "mr"), val_share=0.2)
    assert torch.equal(opened.sources["val_mr"].fixed(9), again.sources["val_mr"].fixed(9))
