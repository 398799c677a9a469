"""Files of several volumes: how many there are is said, and `--volume N` takes one, counted from 1."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from medtranslate.cli import invoke
from medtranslate.errors import Unreadable, UsageError
from medtranslate.evaluation.records import read_volumes
from medtranslate.io import read_volume
from medtranslate.io.inventory import list_items

VALUES = np.random.default_rng(0).integers(0, 1000, (4, 7, 6, 5)).astype("<i2")
"""[volume, slice, row, column]."""
SIZES = (1.0, 1.5, 2.0)


def nifti(path: Path) -> None:
    image = nib.Nifti1Image(VALUES.T, np.diag([*SIZES, 1]))
    image.header.set_slope_inter(1, 0)
    image.to_filename(path)


def pair(path: Path) -> None:
    nib.Nifti1Pair(VALUES.T, np.diag([*SIZES, 1])).to_filename(path)


def deep_nifti(path: Path) -> None:
    nib.Nifti2Image(VALUES.T.reshape(5, 6, 7, 2, 2, order="F"), np.diag([*SIZES, 1])).to_filename(path)


def mgh(path: Path) -> None:
    nib.MGHImage(VALUES.T, np.diag([*SIZES, 1]).astype(float)).to_filename(path)


def by_itk(path: Path, *, packed: bool) -> None:
    image = SimpleITK.GetImageFromArray(VALUES, isVector=False)
    image.SetSpacing((*SIZES, 0.5))
    SimpleITK.WriteImage(image, str(path), packed)


def listed_nrrd(path: Path, *, first: bool, packed: bool) -> None:
    axes = ["none", *(f"({','.join(map(str, row))})" for row in np.diag(SIZES))]
    kinds, sizes, values = ["list", *["domain"] * 3], [4, 5, 6, 7], np.moveaxis(VALUES, 0, -1)
    if not first:
        axes, kinds, sizes, values = [*axes[1:], "none"], kinds[::-1], [5, 6, 7, 4], VALUES
    body = np.ascontiguousarray(values).tobytes()
    head = (
        f"NRRD0005\ntype: short\ndimension: 4\nspace: LPS\nsizes: {' '.join(map(str, sizes))}\n"
        f"space directions: {' '.join(axes)}\nkinds: {' '.join(kinds)}\nendian: little\n"
        f"encoding: {'gzip' if packed else 'raw'}\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(head.encode() + (gzip.compress(body) if packed else body))


def timed_nrrd(path: Path) -> None:
    head = (
        "NRRD0005\ntype: short\ndimension: 4\nspace: right-anterior-superior-time\nsizes: 5 6 7 4\n"
        "space directions: (1,0,0,0) (0,1.5,0,0) (0,0,2,0) (0,0,0,3)\nendian: little\nencoding: raw\n"
        "space origin: (1,2,3,4)\n\n"
    )
    path.write_bytes(head.encode() + VALUES.tobytes())


def hand_mha(path: Path) -> None:
    head = (
        "ObjectType = Image\nNDims = 4\nDimSize = 5 6 7 4\nCompressedData = True\nElementType = MET_SHORT\n"
        "ElementSpacing = 1 1.5 2 1\nTransformMatrix = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\nOffset = 0 0 0 0\n"
        "ElementDataFile = LOCAL\n"
    )
    path.write_bytes(head.encode() + zlib.compress(VALUES.tobytes()))


MADE = {
    "a.nii": nifti,
    "a.nii.gz": nifti,
    "deep.nii.gz": deep_nifti,
    "a.hdr": pair,
    "a.mgh": mgh,
    "a.mgz": mgh,
    "a.mha": lambda path: by_itk(path, packed=False),
    "packed.mha": hand_mha,
    "a.nrrd": lambda path: by_itk(path, packed=False),
    "packed.nrrd": lambda path: by_itk(path, packed=True),
    "timed.nrrd": timed_nrrd,
    "last.nrrd": lambda path: listed_nrrd(path, first=False, packed=False),
    "last.gz.nrrd": lambda path: listed_nrrd(path, first=False, packed=True),
    "first.nrrd": lambda path: listed_nrrd(path, first=True, packed=False),
    "first.gz.nrrd": lambda path: listed_nrrd(path, first=True, packed=True),
}


@pytest.mark.parametrize("name", MADE)
def test_one_of_several_volumes_is_taken_by_its_number(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    MADE[name](path)
    with pytest.raises(Unreadable, match=r"holds 4 volumes; take one with --volume N") as refusal:
        read_volume(path)
    assert list_items(path)[0].refused == str(refusal.value)
    for number in range(1, 5):
        volume = read_volume(path, volume=number)
        assert np.array_equal(volume.values.T, VALUES[number - 1])
        assert np.allclose(volume.spacing, SIZES)
        assert f"volume {number} of 4" in volume.meta.warnings
    (item,) = list_items(path, 2)
    assert (item.size, item.refused) == ((5, 6, 7), "")
    with pytest.raises(Unreadable, match="has no volume 5; it holds 4"):
        read_volume(path, volume=5)
    path.write_bytes(path.read_bytes()[:-30] if name != "a.hdr" else path.read_bytes())
    if name != "a.hdr":
        with pytest.raises(Unreadable, match=r"truncated|damaged"):
            read_volume(path, volume=4)


def test_a_record_leads_to_the_volume_that_was_taken(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii.gz")
    third = read_volume(tmp_path / "a.nii.gz", volume=3)
    known = {"source": third.meta.digest}
    found, notes = read_volumes({}, {"source": tmp_path / "a.nii.gz"}, known, {"volume": 3})
    assert notes == []
    assert np.array_equal(found["source"].values, third.values)
    _, notes = read_volumes({}, {"source": tmp_path / "a.nii.gz"}, known, {"volume": 2})
    assert "is not the source of this record" in notes[0]


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_four_axes_of_one_volume_are_read(tmp_path: Path, name: str) -> None:
    image = SimpleITK.GetImageFromArray(VALUES[:1], isVector=False)
    image.SetSpacing((*SIZES, 1))
    image.SetOrigin((4, 5, 6, 0))
    SimpleITK.WriteImage(image, str(tmp_path / name))
    volume = read_volume(tmp_path / name)
    assert np.array_equal(volume.values.T, VALUES[0])
    assert volume.affine[:3, 3].tolist() == [-4, -5, 6]
    assert np.array_equal(read_volume(tmp_path / name, volume=1).values, volume.values)


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ("RGBA-color domain domain domain", "its axes are 'RGBA-color"),
        ("vector domain domain domain", "its axes are 'vector"),
        ("domain list domain domain", "its axes are"),
        ("domain domain domain", "`kinds` does not speak of 4 axes"),
    ],
)
def test_parts_of_a_voxel_are_no_volumes(tmp_path: Path, kinds: str, said: str) -> None:
    head = f"NRRD0005\ntype: uchar\ndimension: 4\nsizes: 4 5 6 7\nkinds: {kinds}\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + bytes(840))
    with pytest.raises(Unreadable, match=said):
        read_volume(tmp_path / "a.nrrd", volume=1)


def test_a_fourth_axis_with_a_direction_in_space_is_refused(tmp_path: Path) -> None:
    hand_mha(tmp_path / "a.mha")
    content = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(content.replace(b"1 0 0 0 0 1 0 0 0 0", b"1 0 0 1 0 1 0 0 0 0"))
    with pytest.raises(Unreadable, match="fourth axis"):
        read_volume(tmp_path / "a.mha", volume=1)


def test_the_commands_take_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], series: Path) -> None:
    nifti(tmp_path / "a.nii.gz")
    command = ["convert", str(tmp_path / "a.nii.gz"), str(tmp_path / "b.nii.gz")]
    assert invoke(command) == 3
    assert "holds 4 volumes" in capsys.readouterr().err
    assert invoke([*command, "--volume", "3"]) == 0
    written = nib.load(tmp_path / "b.nii.gz")
    assert np.array_equal(written.get_fdata().T, VALUES[2])
    record = json.loads((tmp_path / "b.nii.gz.conversion.json").read_text())
    assert record["settings"]["volume"] == 3
    assert "volume 3 of 4" in record["warnings"]
    capsys.readouterr()
    assert invoke(["info", str(tmp_path / "a.nii.gz"), "--volume", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["refused"] == ""
    with pytest.raises(UsageError, match="--volume takes one of several"):
        read_volume(series, volume=1)
