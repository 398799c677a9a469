from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medtranslate import phantom
from medtranslate.config import NetworkSettings, ScaleSettings, TrainSettings, build
from medtranslate.data import Opened, open_sources, stored
from medtranslate.errors import InputRefused, SettingsError, Unreadable
from medtranslate.io import Volume, write_volume

Draw = Callable[..., Path]

NETWORK = NetworkSettings(size=32)
FULL = ScaleSettings(ct_window=(-1000, 2000))


def open_(quiet: bool = True, **values: object) -> Opened:
    settings = {"ct": "phantom:0-9", "mr": "phantom:10-19", "out": "unused", "network": NETWORK, **values}
    return open_sources(build(TrainSettings, settings), quiet=quiet)


def slices(opened: Opened, key: str) -> torch.Tensor:
    return opened.sources[key].fixed(10_000)


def table(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.parametrize("key", ["ct", "mr"])
def test_phantom_slices_follow_the_generator(key: str) -> None:
    source = open_(ct="phantom:0-1000", mr="phantom:0-1000").sources[key]
    first = source.draw(2, torch.Generator().manual_seed(1))
    assert first.shape == (2, 1, 32, 32)
    assert first.abs().max() <= 1
    assert torch.equal(first, source.draw(2, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, source.draw(2, torch.Generator().manual_seed(2)))


def test_as_they_come_ct_heads_fill_less_of_their_slice() -> None:
    shown = {}
    for frame in ("head", "slice"):
        network = NetworkSettings(size=64, frame=frame)
        for key in ("ct", "mr"):
            seen = open_(network=network).sources[key].fixed(8) > -0.8
            shown[frame, key] = float(seen.any(dim=2).float().mean(dim=2).median())  # share of the columns
    assert shown["head", "ct"] == pytest.approx(shown["head", "mr"], abs=0.15)
    assert shown["slice", "ct"] < 0.75 * shown["slice", "mr"]


@pytest.mark.parametrize("text", ["phantom:", "phantom:5", "phantom:9-3", "phantom:0-900000"])
def test_a_wrong_range_of_seeds_is_refused_and_so_are_held_out_heads(text: str) -> None:
    with pytest.raises(SettingsError, match="below 900000"):
        open_(ct=text)


class TestPictures:
    @pytest.fixture
    def pictures(self, tmp_path: Path, draw_head: Draw) -> Path:
        for index in (10, 2, 1):
            draw_head(tmp_path / "ct" / f"slice{index}.png", seed=index, radius=14 + index)
        (tmp_path / "ct" / "notes.txt").write_text("not a picture")
        draw_head(tmp_path / "ct" / "deeper" / "other.png")
        return tmp_path / "ct"

    def test_they_are_read_in_natural_order_and_framed_alike(self, pictures: Path, draw_head: Draw) -> None:
        opened = open_(ct=str(pictures))
        assert opened.record["ct"]["images"] == 3
        assert opened.warnings == []
        read = slices(opened, "ct")
        assert read.shape == (3, 1, 32, 32)
        assert (read > -0.5).float().mean(dim=(1, 2, 3)).std() < 0.06
        for index, name in enumerate(("slice1", "slice2", "slice10")):
            alone = slices(open_(ct=str(pictures / f"{name}.png")), "ct")
            assert torch.equal(read[index], alone[0])

    def test_draws_follow_the_generator(self, pictures: Path) -> None:
        first, second = (
            open_(ct=str(pictures)).sources["ct"].draw(20, torch.Generator().manual_seed(3)) for _ in "ab"
        )
        assert torch.equal(first, second)

    def test_few_unusable_ones_are_passed_over_and_named(self, pictures: Path, draw_head: Draw) -> None:
        for index in range(100, 137):
            draw_head(pictures / f"slice{index}.png", seed=index)
        (pictures / "cut.png").write_bytes((pictures / "slice2.png").read_bytes()[:60])
        (pictures / "empty.nii.gz").write_bytes(b"")
        opened = open_(ct=str(pictures))
        assert opened.record["ct"]["images"] == 40
        assert [Path(line.split(": ")[0]).name for line in opened.record["ct"]["failures"]] == [
            "cut.png",
            "empty.nii.gz",
        ]
        assert len(opened.warnings) == 2
        (pictures / "black\nand blue.png").write_bytes(b"")
        with pytest.raises(InputRefused, match=r"3 of 43 images cannot be used, more than 5%") as refused:
            open_(ct=str(pictures))
        assert all(name in str(refused.value) for name in ("cut.png", "empty.nii.gz", "and blue.png"))

    def test_a_picture_without_a_head_is_named(self, tmp_path: Path) -> None:
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "black.png")
        with pytest.raises(InputRefused, match="1 more pictures are of one grey value"):
            open_(ct=str(tmp_path))
        grey = np.full((64, 64), 10, np.uint8)
        grey[:, 32:] = 20  # a step below what counts as visible
        Image.fromarray(grey).save(tmp_path / "faint.png")
        with pytest.raises(InputRefused, match=r"1 of 1 images .*faint\.png: no head found"):
            open_(ct=str(tmp_path))

    def test_blank_pictures_are_no_damage_and_counted(self, pictures: Path) -> None:
        for index, grey in enumerate((0, 0, 77)):
            Image.fromarray(np.full((64, 64), grey, np.uint8)).save(pictures / f"blank{index}.png")
        rounded = np.random.default_rng(0).integers(0, 3, (64, 64)).astype(np.uint8)
        Image.fromarray(rounded).save(pictures / "rounded.png")
        opened = open_(ct=str(pictures))
        assert (opened.record["ct"]["images"], opened.record["ct"]["blank"]) == (3, 4)
        assert opened.warnings == ["ct: 4 pictures of one grey value passed over"]

    def test_a_blank_volume_is_damage(self, pictures: Path, tmp_path: Path) -> None:
        flat = Volume(np.zeros((8, 8, 4), np.float32), np.eye(4))
        (tmp_path / "volumes").mkdir()
        write_volume(flat, tmp_path / "volumes" / "flat.nii.gz")
        with pytest.raises(InputRefused, match="1 of 1 images cannot be used"):
            open_(ct=str(tmp_path / "volumes"))

    def test_a_long_list_of_unusable_images_is_written_whole(self, pictures: Path, tmp_path: Path) -> None:
        names = [f"cut{index}.png" for index in range(9)]
        for name in names:
            (pictures / name).write_bytes(b"")
        with pytest.raises(InputRefused, match=r"and 4 more, all listed in .*run\.refused\.txt"):
            open_(ct=str(pictures), out=str(tmp_path / "run"))
        lines = (tmp_path / "run.refused.txt").read_text().splitlines()
        assert [Path(line.split(": ")[0]).name for line in lines] == names

    def test_one_picture_trains_with_a_warning(self, tmp_path: Path, draw_head: Draw) -> None:
        opened = open_(ct=str(draw_head(tmp_path / "one.png").parent))
        assert opened.warnings == ["ct: one slice, which is no set to learn from or to judge by"]

    def test_colour_is_noted_and_sizes_may_differ(self, tmp_path: Path, draw_head: Draw) -> None:
        draw_head(tmp_path / "grey.png")
        with Image.open(tmp_path / "grey.png") as grey:
            brightest = grey.getextrema()[1]
            for name, share in (("faint", 0.9), ("strong", 0.5)):
                tinted = grey.point([round(share * level) for level in range(256)])
                colour = Image.merge("RGB", [grey, tinted, grey])
                colour.resize((150, 90), Image.Resampling.NEAREST).save(tmp_path / f"{name}.png")
        opened = open_(ct=str(tmp_path))
        assert slices(opened, "ct").shape == (3, 1, 32, 32)
        (warning,) = opened.warnings
        assert f"up to {brightest - round(0.5 * brightest)} of 255" in warning
        assert "2 of 3 images" in warning

    def test_validation_on_what_is_trained_on_is_told(self, pictures: Path, tmp_path: Path) -> None:
        shutil.copy(pictures / "slice2.png", tmp_path / "renamed.png")
        opened = open_(ct=str(pictures), val_ct=str(tmp_path / "renamed.png"))
        assert any("1 images and 0 groups are trained on too" in warning for warning in opened.warnings)

    def test_missing_empty_and_mixed_folders_are_refused(self, tmp_path: Path, draw_head: Draw) -> None:
        for path in (tmp_path, tmp_path / "missing", tmp_path / "missing.csv"):
            with pytest.raises(Unreadable, match=str(path)):
                open_(ct=str(path))
        draw_head(tmp_path / "slice.png")
        (tmp_path / "volume.nii").write_bytes(volume_bytes(tmp_path))
        with pytest.raises(Unreadable, match="images of one format"):
            open_(ct=str(tmp_path))

    def test_slices_that_were_kept_are_not_decoded_again(
        self, pictures: Path, tmp_path: Path, draw_head: Draw, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = tmp_path / "cache"
        fresh = open_(ct=str(pictures))
        kept = open_(ct=str(pictures), cache=cache)
        assert torch.equal(slices(fresh, "ct"), slices(kept, "ct"))
        with monkeypatch.context() as patch:
            patch.setattr(stored, "_decode", None)
            again = open_(ct=str(pictures), cache=cache)
            assert torch.equal(slices(fresh, "ct"), slices(again, "ct"))
            assert (again.record, again.warnings) == (fresh.record, fresh.warnings)
        draw_head(pictures / "another.png")
        assert len(slices(open_(ct=str(pictures), cache=cache), "ct")) == len(slices(fresh, "ct")) + 1
        other = open_(ct=str(pictures), cache=cache, network=NetworkSettings(size=48))
        assert slices(other, "ct").shape[-1] == 48
        as_they_come = open_(ct=str(pictures), cache=cache, network=NetworkSettings(size=32, frame="slice"))
        assert not torch.equal(slices(as_they_come, "ct")[0], slices(fresh, "ct")[0])

    @pytest.mark.parametrize("damage", ["cut", "no json", "other json"])
    def test_damaged_kept_slices_are_refused(self, pictures: Path, tmp_path: Path, damage: str) -> None:
        cache = tmp_path / "cache"
        open_(ct=str(pictures), cache=cache)
        (kept,) = cache.iterdir()
        if damage == "cut":
            (kept / "slices").write_bytes((kept / "slices").read_bytes()[:-2])
        else:
            (kept / "slices.json").write_text("no" if damage == "no json" else "{}")
        with pytest.raises(Unreadable, match="remove it"):
            open_(ct=str(pictures), cache=cache)


def volume_bytes(folder: Path) -> bytes:
    path = folder / ".hidden" / "x.nii"
    write_volume(Volume(np.random.default_rng(0).random((8, 8, 8), np.float32), np.eye(4)), path)
    return path.read_bytes()


class TestTables:
    @pytest.fixture
    def folder(self, tmp_path: Path, draw_head: Draw) -> Path:
        for index in range(4):
            draw_head(tmp_path / "images" / f"{index}.png", seed=index)
        return tmp_path

    def test_rows_of_the_modality_are_read_from_beside_the_table(self, folder: Path) -> None:
        path = table(
            folder / "set.csv",
            [
                ["path", "modality", "subject"],
                ["images/0.png", "CT", "a"],
                ["./images/1.png", "mri", "a"],
                ["images/2.png", "", "b"],
            ],
        )
        opened = open_(ct=str(path), mr=str(path))
        assert [opened.record[key]["images"] for key in ("ct", "mr")] == [2, 2]
        assert [opened.record[key]["other_modality"] for key in ("ct", "mr")] == [1, 1]

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([], "columns are none"),
            ([["path"]], "no row below its header"),
            ([["subject"], ["a"]], "columns are 'subject'"),
            ([["path", "path"], ["images/0.png", "images/0.png"]], "columns are 'path', 'path'"),
            ([["path", "subject"], ["images/0.png"]], "line 2 does not have"),
            ([["path"], ["images/0.png", "a"]], "line 2 does not have"),
            ([["path", "subject"], ["", "a"]], "line 2 does not have"),
            ([["path"], ["../elsewhere.png"]], "1 of 1 files do not exist"),
            ([["path"], ["/etc/passwd"]], "cannot be used"),
            ([["path"], ["a\0b"]], "no name of a file|no CSV"),
            ([["path"], ["images/0.png"], ["images/./0.png"]], "1 of 2 ct rows repeat"),
            ([["path", "modality"], ["images/0.png", "PET"]], "modality 'pet'"),
            ([["path", "modality"], ["images/0.png", "mr"]], "no row is ct"),
            ([["path"], ["images/9.png"], ["images/0.png"]], r"1 of 2 files do not exist .*9\.png"),
            ([["path"], ["images/new\nline.png"]], "1 of 1 files do not exist"),
        ],
    )
    def test_a_wrong_table_is_refused(self, folder: Path, rows: list[list[str]], said: str) -> None:
        path = table(folder / "set.csv", rows)
        with pytest.raises(InputRefused, match=said) as refused:
            open_(ct=str(path))
        assert str(path) in str(refused.value)

    def test_bytes_that_are_no_table_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "set.csv").write_bytes(b"\xff\xfe\x00path")
        with pytest.raises(Unreadable, match="no CSV in UTF-8"):
            open_(ct=str(tmp_path / "set.csv"))


class TestSplit:
    @pytest.fixture
    def pictures(self, tmp_path: Path, draw_head: Draw) -> Path:
        """Twelve pictures of each modality, two of each of six subjects."""
        for modality in ("ct", "mr"):
            for index in range(12):
                draw_head(tmp_path / modality / f"{index}.png", seed=100 * (modality == "mr") + index)
        return tmp_path

    @pytest.fixture
    def subjects(self, pictures: Path) -> Path:
        rows = [[f"{m}/{i}.png", f"s{i // 2}", m] for m in ("ct", "mr") for i in range(12)]
        return table(pictures / "set.csv", [["path", "subject", "modality"], *rows])

    @pytest.mark.parametrize("seed", range(5))
    def test_no_subject_crosses_not_even_between_modalities(self, subjects: Path, seed: int) -> None:
        opened = open_(ct=str(subjects), mr=str(subjects), val_share=0.34, seed=seed)
        groups = {key: opened.sources[key].groups for key in ("ct", "mr", "val_ct", "val_mr")}  # type: ignore[attr-defined]
        assert (
            groups["ct"] | groups["val_ct"] == groups["mr"] | groups["val_mr"] == {f"s{i}" for i in range(6)}
        )
        assert not (groups["ct"] | groups["mr"]) & (groups["val_ct"] | groups["val_mr"])
        assert opened.record["val_ct"]["images"] == 4
        assert opened.warnings == []

    def test_it_follows_the_seed(self, subjects: Path) -> None:
        def held(seed: int) -> frozenset[str]:
            return open_(ct=str(subjects), val_share=0.34, seed=seed).sources["val_ct"].groups  # type: ignore[attr-defined, no-any-return]

        assert held(1) == held(1)
        assert len({held(seed) for seed in range(5)}) > 1

    def test_groups_of_a_table(self, pictures: Path) -> None:
        rows = [[f"{m}/{i}.png", f"{m}{i // 3}"] for m in ("ct", "mr") for i in range(12)]
        groups = table(pictures / "groups.csv", [["file", "group"], *rows])
        sides = {"ct": str(pictures / "ct"), "mr": str(pictures / "mr"), "val_share": 0.25}
        opened = open_(**sides, groups=str(groups))
        assert [opened.record[key]["images"] for key in ("ct", "val_ct", "mr", "val_mr")] == [9, 3, 9, 3]
        table(groups, [["file", "group"], *rows[1:]])
        with pytest.raises(Unreadable, match=r"no group for 1 of 12 files.*0\.png"):
            open_(**sides, groups=str(groups))
        table(groups, [["file", "group"], *rows, [rows[0][0], "other"]])
        with pytest.raises(Unreadable, match="in groups 'ct0' and 'other'"):
            open_(**sides, groups=str(groups))

    def test_pictures_that_are_all_alike_are_not_split(self, pictures: Path) -> None:
        first, *others = sorted((pictures / "ct").glob("*.png"))
        for other in others:
            shutil.copy(first, other)
        with pytest.raises(SettingsError, match="of 12 ct images 12 are in 1 groups"):
            open_(ct=str(pictures / "ct"), val_share=0.2)
        with pytest.raises(SettingsError, match="no training images to split"):
            open_(val_share=0.2)

    def test_a_patient_in_both_parts_is_told(self, subjects: Path, pictures: Path) -> None:
        other = table(pictures / "val.csv", [["path", "subject"], ["mr/0.png", "s0"]])
        opened = open_(ct=str(subjects), val_ct=str(other))
        assert any("0 images and 1 groups" in warning for warning in opened.warnings)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    for seed in (1, 2):
        made = phantom.study(seed, size=40, spacing=6.0)
        for name, volume in (("ct", made.ct), ("mr", made.mr)):
            write_volume(volume, folder / "dicom" / str(seed) / name)
            write_volume(volume, folder / "nifti" / name / f"{seed}.nii.gz")
    return folder


class TestVolumes:
    @pytest.fixture
    def studies(self, heads: Path, tmp_path: Path) -> Path:
        """Two phantom studies, as DICOM and as NIfTI."""
        return shutil.copytree(heads, tmp_path / "studies")

    def test_series_are_found_by_modality_and_equal_their_nifti(self, studies: Path) -> None:
        dicom = str(studies / "dicom")
        found = open_(ct=dicom, mr=dicom, scale=FULL)
        nifti = open_(ct=str(studies / "nifti" / "ct"), mr=str(studies / "nifti" / "mr"), scale=FULL)
        for key in ("ct", "mr"):
            assert found.record[key]["images"] == nifti.record[key]["images"] == 2
            assert found.record[key]["other_modality"] == 2
            assert slices(found, key).shape == slices(nifti, key).shape
            # DICOM holds whole numbers: 0.5 of about 500 units of MR, 0.5 HU of 3000.
            assert (slices(found, key) - slices(nifti, key)).abs().max() < 0.004

    def test_a_full_window_keeps_bone_apart_from_white(self, studies: Path) -> None:
        read = slices(open_(ct=str(studies / "nifti" / "ct"), scale=FULL), "ct")
        hu = (read + 1) * 1500 - 1000
        assert 900 < hu.max() < 2000
        assert abs(hu[(hu > 0) & (hu < 80)].median() - 35) < 10

    def test_a_full_window_frames_heads_of_both_modalities_alike(self, studies: Path) -> None:
        opened = open_(
            ct=str(studies / "nifti" / "ct"),
            mr=str(studies / "nifti" / "mr"),
            scale=FULL,
            network=NetworkSettings(size=128),
        )
        rows, columns = (
            [(slices(opened, key) > -0.8).any(dim=axis).any(dim=0).sum().item() for key in ("ct", "mr")]
            for axis in (3, 2)
        )
        assert rows[0] == pytest.approx(rows[1], rel=0.04)
        assert columns[0] == pytest.approx(columns[1], rel=0.04)

    def test_unsuited_series_are_listed_and_damaged_ones_count(self, studies: Path) -> None:
        first, second = sorted(path for path in (studies / "dicom").rglob("ct"))
        victims = sorted(first.iterdir())
        victims[len(victims) // 2].unlink()
        opened = open_(ct=str(studies / "dicom"))
        assert opened.record["ct"]["images"] == 1
        (reason,) = opened.record["ct"]["unsuited_series"]
        assert str(first) in reason
        file = next(second.iterdir())
        file.write_bytes(file.read_bytes()[:400])
        with pytest.raises(InputRefused, match="cannot be used"):
            open_(ct=str(studies / "dicom"))

    def test_a_folder_of_the_other_modality_is_refused(self, studies: Path) -> None:
        with pytest.raises(Unreadable, match="none of its 1 DICOM series is mr"):
            open_(mr=str(studies / "dicom" / "1" / "ct"))

    @pytest.mark.parametrize(
        ("ct", "mr"), [("dicom", "dicom"), ("nifti/ct", "nifti/mr")], ids=["by patient", "by name"]
    )
    def test_volumes_are_split(self, studies: Path, ct: str, mr: str) -> None:
        opened = open_(ct=str(studies / ct), mr=str(studies / mr), val_share=0.5)
        assert [opened.record[key]["images"] for key in ("ct", "val_ct", "mr", "val_mr")] == [1, 1, 1, 1]
        assert opened.warnings == []


def test_real_pictures_are_read(shared_data: Path) -> None:
    folder = shared_data / "brain-ct-mr"
    opened = open_(ct=str(folder / "valA"), mr=str(folder / "valB"))
    for key in ("ct", "mr"):
        assert opened.record[key]["images"] == len(slices(opened, key)) > 100
        assert 0.2 < (slices(opened, key) > -0.9).float().mean() < 0.8
