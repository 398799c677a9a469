from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import ndimage

from medtranslate import cli
from medtranslate.config import PrepareSettings
from medtranslate.data import prepare_pictures
from medtranslate.data.mislabelled_ct import SIZE, shows_skull
from medtranslate.data.near_duplicates import THUMBNAIL, connect, thumbnail
from medtranslate.data.split import held_back
from medtranslate.errors import InputRefused, OutputExists, SettingsError, Unreadable
from medtranslate.io import read_volume

Draw = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path, draw_head: Draw) -> Path:
    """Six different heads a folder; of the first CT a copy in JPEG and a look-alike in testA."""
    folder = tmp_path / "images"
    for offset, name in enumerate(("trainA", "testA", "trainB", "testB")):
        for index in range(6):
            draw_head(folder / name / f"x{index}.png", seed=10 * offset + index)
    with Image.open(folder / "trainA" / "x0.png") as first:
        first.save(folder / "testA" / "copy.jpg", quality=90)
        noise = np.random.default_rng(0).integers(-25, 25, (8, 8)).repeat(8, 0).repeat(8, 1)
        Image.fromarray((np.asarray(first) + noise).clip(0, 255).astype(np.uint8)).save(
            folder / "testA" / "neighbour.png"
        )
    return folder


def settings(source: Path, **values: object) -> PrepareSettings:
    return PrepareSettings(source=source, out=source.parent / "out", val_share=0.3, **values)  # type: ignore[arg-type]


def groups_of(out: Path) -> dict[str, str]:
    with (out / "groups.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row["group"] for row in csv.DictReader(file)}


def test_copies_go_and_look_alikes_stay_together(source: Path) -> None:
    record = prepare_pictures(settings(source), quiet=True)
    out = source.parent / "out"
    assert json.loads((out / "prepared.json").read_text()) == record
    groups = groups_of(out)
    files = {path.relative_to(out).as_posix() for path in out.glob("*/*/*")}
    assert files == set(groups)
    assert not any("copy" in file for file in files)
    assert record["ct"]["copies_left_out"] == 1
    assert record["ct"]["largest_group"] == 2
    first, alike = (next(file for file in files if name in file) for name in ("trainA-x0", "testA-neighbour"))
    assert groups[first] == groups[alike]
    assert Path(first).parent == Path(alike).parent
    assert {file.split("/")[1] for file in files if "A-" in file} == {"ct"}
    kept = (out / first).read_bytes()
    assert kept == (source / "trainA" / "x0.png").read_bytes()


@pytest.mark.parametrize("seed", range(4))
def test_no_group_crosses_and_the_seed_decides(source: Path, seed: int) -> None:
    prepare_pictures(settings(source, seed=seed, link=True), quiet=True)
    out = source.parent / "out"
    groups = groups_of(out)
    sides = {
        side: {group for file, group in groups.items() if file.startswith(side)} for side in ("train", "val")
    }
    assert sides["train"]
    assert sides["val"]
    assert not sides["train"] & sides["val"]
    assert (out / next(iter(groups))).is_symlink()
    prepare_pictures(settings(source, seed=seed, link=True, overwrite=True), quiet=True)
    assert groups_of(out) == groups


def test_what_cannot_be_prepared_is_refused_and_nothing_is_written(source: Path, draw_head: Draw) -> None:
    with pytest.raises(Unreadable, match="missing"):
        prepare_pictures(settings(source, ct=("missing",)), quiet=True)
    with pytest.raises(SettingsError, match="nothing to split; raise --alike"):
        prepare_pictures(settings(source, alike=0.0), quiet=True)
    (source / "trainB" / "bad.png").write_bytes(b"")
    with pytest.raises(InputRefused, match="1 of 13 images cannot be used"):
        prepare_pictures(settings(source), quiet=True)
    assert not (source.parent / "out").exists()
    for index in range(10):
        draw_head(source / "trainB" / f"y{index}.png", seed=100 + index)
    record = prepare_pictures(settings(source), quiet=True)
    assert [line for line in record["mr"]["unusable"] if "bad.png" in line]
    with pytest.raises(OutputExists):
        prepare_pictures(settings(source), quiet=True)


def test_blank_pictures_are_left_out_and_counted(source: Path) -> None:
    for name in ("trainA", "trainB", "testB"):
        for index in range(3):
            Image.new("L", (48, 48), 30 * index).save(source / name / f"blank{index}.png")
    record = prepare_pictures(settings(source), quiet=True)
    assert (record["ct"]["blank"], record["mr"]["blank"]) == (3, 6)
    assert record["ct"]["unusable"] == record["mr"]["unusable"] == []
    assert not list((source.parent / "out").rglob("*blank*"))
    assert record["mr"]["train"] + record["mr"]["val"] == 12


def test_folders_of_nothing_but_blank_pictures_are_refused(source: Path) -> None:
    for file in (*(source / "trainB").iterdir(), *(source / "testB").iterdir()):
        Image.new("L", (48, 48)).save(file)
    with pytest.raises(InputRefused, match="all 12 mr pictures are of one grey value"):
        prepare_pictures(settings(source), quiet=True)


def test_a_long_list_of_unusable_pictures_is_written_whole(source: Path) -> None:
    for index in range(7):
        (source / "trainB" / f"bad{index}.png").write_bytes(b"")
    with pytest.raises(InputRefused, match=r"7 of 19 images .*and 2 more, all listed in .*out\.refused\.txt"):
        prepare_pictures(settings(source), quiet=True)
    assert len((source.parent / "out.refused.txt").read_text().splitlines()) == 7


def test_mr_folders_that_hold_only_what_looks_like_ct_are_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medtranslate.data.prepare.shows_skull", lambda _: True)
    with pytest.raises(InputRefused, match="none of 12 mr pictures is clean"):
        prepare_pictures(settings(source), quiet=True)
    assert not (source.parent / "out").exists()


def test_the_command_says_what_it_did(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.parent / "made"
    assert cli.invoke(["prepare", str(source), str(out), "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ct"]["read"] == 14
    assert cli.invoke(["prepare", str(source), str(out), "--overwrite"]) == 0
    assert capsys.readouterr().out.startswith("ct: 14 read, 1 copies left out, ")


class TestLookalikes:
    @pytest.fixture
    def picture(self, draw_head: Draw, tmp_path: Path) -> Image.Image:
        with Image.open(draw_head(tmp_path / "x.png", seed=5)) as image:
            return image.copy()

    @pytest.mark.parametrize(
        "change",
        [
            lambda image: image.resize((97, 97)),
            lambda image: image.point(lambda value: value // 2),
            lambda image: ImageOps.expand(image.crop((0, 0, 64, 63)), (0, 0, 0, 1)),
        ],
        ids=["size", "brightness", "a row"],
    )
    def test_another_export_is_alike(
        self, picture: Image.Image, change: Callable[[Image.Image], Image.Image]
    ) -> None:
        one, other = (_thumbnail(image) for image in (picture, change(picture)))
        assert len(set(connect(np.stack([one, other]), 0.96))) == 1

    def test_groups_are_what_likeness_connects(self) -> None:
        angles = np.deg2rad([0, 10, 20, 90, 95])
        basis = np.array([[[1, -1], [0, 0]], [[0, 0], [1, -1]]], np.float32)
        images = np.einsum("na,aij->nij", np.stack([np.cos(angles), np.sin(angles)], 1), basis)
        numbers = connect(images.astype(np.float32), float(np.cos(np.deg2rad(11))))
        assert numbers.tolist() == [0, 0, 0, 1, 1]

    def test_more_pictures_than_one_block(self) -> None:
        images = np.random.default_rng(0).standard_normal((1300, 8, 8)).astype(np.float32)
        images[1299] = images[0]
        numbers = connect(images, 0.99)
        assert numbers[1299] == numbers[0]
        assert len(set(numbers)) == 1299


def _grey(file: Path) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(read_volume(file).values[:, :, 0].T))


def small(file: Path, size: int = THUMBNAIL) -> np.ndarray:
    return thumbnail(torch.from_numpy(read_volume(file).values[:, :, 0].T), size)


def _thumbnail(image: Image.Image) -> np.ndarray:
    return thumbnail(torch.from_numpy(np.asarray(image, np.float32).copy()))


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60), st.floats(0.01, 0.99), st.integers(0, 9)
)
def test_held_back_groups_fit_the_share_and_never_depend_on_order(
    groups: list[str], share: float, seed: int
) -> None:
    held = held_back(groups, share, seed)
    count = sum(group in held for group in groups)
    assert held <= set(groups)
    assert count >= 1
    assert count <= max(share * len(groups), min(map(groups.count, groups)))
    assert held_back(sorted(groups), share, seed) == held


class TestSkull:
    def disc(self, rings: list[tuple[float, float]]) -> np.ndarray:
        """Discs of (radius, grey), the later ones on top, as anti-aliased as a picture is."""
        rows, columns = np.ogrid[:SIZE, :SIZE]
        image = np.zeros((SIZE, SIZE), np.float32)
        for radius, grey in rings:
            image[(rows - 64) ** 2 + (columns - 60) ** 2 < radius**2] = grey
        return ndimage.gaussian_filter(image, 0.6).astype(np.float32)

    def test_a_white_ring_with_grey_inside_is_ct(self) -> None:
        assert shows_skull(self.disc([(50, 255), (44, 110)]))

    @pytest.mark.parametrize(
        "rings",
        [
            [(50, 255), (46, 10), (43, 110)],
            [(50, 110)],
            [(50, 255)],
            [(50, 0)],
            [(50, 255), (44, 60), (30, 180)],
        ],
        ids=["scalp and dark bone", "no skull", "all white", "black", "much contrast inside"],
    )
    def test_others_are_not(self, rings: list[tuple[float, float]]) -> None:
        assert not shows_skull(self.disc(rings))


@pytest.fixture(scope="module")
def judged() -> Callable[[Path], bool]:
    return lambda file: shows_skull(small(file, SIZE))


def test_real_pictures_mislabelled_as_mr_are_found(shared_data: Path, judged: Callable[[Path], bool]) -> None:
    folder = shared_data / "brain-ct-mr"
    assert all(judged(file) for file in (folder / "mislabelled").iterdir())
    # One picture of the validation MR is a CT; one true MR of it is bright with a closed scalp.
    alarms = [file.name for file in (folder / "valB").iterdir() if judged(file)]
    assert "mri654.jpg" in alarms
    assert len(alarms) <= 3
    true = sorted((shared_data / "paired-ct-mr" / "MRI").iterdir())
    assert not any(judged(file) for file in true)


def test_groups_never_join_two_real_patients(shared_data: Path) -> None:
    for name in ("CT", "MRI"):
        files = sorted((shared_data / "paired-ct-mr" / name).iterdir())
        numbers = connect(np.stack([small(file) for file in files]), 0.96)
        cases: dict[int, set[str]] = {}
        for file, number in zip(files, numbers.tolist(), strict=True):
            cases.setdefault(number, set()).add(file.name[:2])
        assert all(len(case) == 1 for case in cases.values())
        assert len(cases) < len(files)
