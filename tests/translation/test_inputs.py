from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medtranslate.errors import InputRefused
from medtranslate.io import Volume, write_volume
from medtranslate.phantom import study
from medtranslate.records import Translation

Made = Callable[..., Translation]


@pytest.fixture(scope="module")
def head() -> Volume:
    return study(3, size=32, spacing=8).ct


def test_images_beside_a_dicom_series_are_told_of(head: Volume, tmp_path: Path, made: Made) -> None:
    tree = tmp_path / "tree"
    write_volume(head, tree / "ct")
    assert not any("beside" in warning for warning in made(tree, "one").warnings)
    write_volume(head, tree / "copies" / "a.nii.gz")
    Image.new("L", (9, 9), 7).save(tree / "b.png")
    (tree / "notes.txt").write_text("nothing")
    (said,) = (warning for warning in made(tree, "two").warnings if "beside" in warning)
    assert "holds 2 images beside the DICOM series, which are not translated (b.png, copies/a.nii.gz)" in said
    assert not any("beside" in warning for warning in made(tree / "ct", "three").warnings)


def test_a_deep_ct_picture_is_translated_as_its_window_is(head: Volume, tmp_path: Path, made: Made) -> None:
    plane = np.rot90(head.values[..., 16])
    deep, windowed = tmp_path / "deep.png", tmp_path / "windowed.png"
    Image.fromarray(np.clip(plane + 1024, 0, 4095).astype(np.uint16)).save(deep)
    Image.fromarray(np.rint(np.clip((plane + 20) / 120, 0, 1) * 255).astype(np.uint8)).save(windowed)
    with pytest.raises(InputRefused, match="--picture-hu"):
        made(deep, "a.png")
    made(deep, "a.png", picture_hu=(1, -1024))
    made(windowed, "b.png")
    one, two = (np.asarray(Image.open(tmp_path / name), dtype=float) for name in ("a.png", "b.png"))
    assert np.abs(one - two).max() <= 2
    wide = tmp_path / "wide.png"
    Image.fromarray(np.clip((plane + 1024) * 16, 0, 65535).astype(np.uint16)).save(wide)
    made(wide, "c.png", picture_hu=(1 / 16, -1024))
    assert np.abs(np.asarray(Image.open(tmp_path / "c.png"), dtype=float) - one).max() <= 2


def test_nan_around_a_head_becomes_air(head: Volume, tmp_path: Path, made: Made) -> None:
    holed = head.values.copy()
    holed[:, :, :2] = np.nan
    source = tmp_path / "spm.nii.gz"
    nib.Nifti1Image(holed, head.affine).to_filename(source)
    with pytest.raises(InputRefused, match="NaN or infinite; give --nan-to air"):
        made(source, "x.nii.gz")
    record = made(source, "x.nii.gz", nan_to="air")
    assert any("were NaN and became -1024" in warning for warning in record.warnings)
    assert record.settings["nan_to"] == "air"
