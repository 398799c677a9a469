from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from medtranslate.errors import Unreadable
from medtranslate.io.png import save_preview
from medtranslate.io.trees import by_subject, is_pattern, match, of_subjects, root_of

Plant = Callable[..., Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Make files of these names, which is all that is looked at."""

    def make(*names: str) -> Path:
        for name in names:
            file = tmp_path / "data" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return tmp_path / "data"

    return make


def named(found: dict[str, Path], root: Path) -> dict[str, str]:
    return {subject: file.relative_to(root).as_posix() for subject, file in found.items()}


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "subjects"),
        [
            ("*/ct.nii.gz", ["1BA001", "1[b] 2"]),
            ("*/ct.*", ["1BA001", "1[b] 2"]),
            ("**/ct.nii.gz", ["1BA001", "1[b] 2"]),
            ("1BA00?/*ct*", ["1"]),
            ("*/*_T1.nii", ["1BA001"]),
            ("flat/*_ct.nii", ["a", "b"]),
            ("flat/*", ["a_ct", "b_ct"]),
        ],
    )
    def test_wildcards_of_folders_are_the_subject_else_those_of_the_name(
        self, plant: Plant, pattern: str, subjects: list[str]
    ) -> None:
        root = plant(
            *("1BA001/ct.nii.gz", "1BA001/mr.nii.gz", "1BA001/x_T1.nii", "1[b] 2/ct.nii.gz"),
            *("flat/a_ct.nii", "flat/b_ct.nii", "flat/.hidden_ct.nii"),
        )
        assert is_pattern(root / pattern)
        assert list(by_subject(root / pattern)) == subjects

    def test_several_of_a_subject_go_by_their_names_too(self, plant: Plant) -> None:
        root = plant("a/1.nii", "a/2.nii", "b/1.nii")
        assert list(by_subject(root / "*" / "*.nii")) == ["a/1", "a/2", "b/1"]
        assert [found.folder for found in match(root / "*" / "*.nii")] == ["a", "a", "b"]

    def test_two_that_nothing_tells_apart_are_refused(self, plant: Plant) -> None:
        root = plant("a/ct.nii", "a/ct.mha", "b/ct.nii")
        with pytest.raises(Unreadable, match=r"names .*a/ct\.mha and .*a/ct\.nii alike, of a;"):
            by_subject(root / "*" / "ct.*")

    def test_translations_go_by_their_sources(self, plant: Plant) -> None:
        root = plant("1_synthetic-ct.nii.gz", "2_synthetic-ct.nii.gz")
        assert list(by_subject(root / "*.nii.gz")) == ["1", "2"]

    def test_what_is_not_there_is_refused(self, plant: Plant) -> None:
        with pytest.raises(Unreadable, match="no file has such a name"):
            match(plant("a/ct.nii") / "*" / "mr.nii")

    def test_a_file_with_a_star_in_its_name_is_itself(self, plant: Plant) -> None:
        assert not is_pattern(plant("a*.nii") / "a*.nii")

    def test_a_pattern_may_be_relative(self, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(plant("a/ct.nii", "b/ct.nii"))
        assert list(by_subject(Path("*/ct.nii"))) == ["a", "b"]
        assert root_of(Path("*/ct.nii")) == Path()
        assert root_of(Path("/x/a*/b/ct.nii")) == Path("/x")


class TestSubjects:
    def test_a_folder_is_a_subject(self, plant: Plant) -> None:
        root = plant(
            *("1BA001/ct.nii.gz", "1BA001/mr.nii.gz", "1BA001/mask.nii.gz", "overview/1BA001.png"),
            *("site/1BB002/CT.mha", "site/1BB002/MR.mha", "only-mr/mr.nii"),
        )
        assert named(of_subjects(root, ("ct",)), root) == {
            "1BA001": "1BA001/ct.nii.gz",
            "site/1BB002": "site/1BB002/CT.mha",
        }
        assert list(of_subjects(root, ("mr", "mri"))) == ["1BA001", "only-mr", "site/1BB002"]

    def test_the_only_image_of_each_is_meant_whatever_its_name(self, plant: Plant) -> None:
        root = plant("a/scan7.nii", "b/mr_synthetic-ct.nii", "b/mr_synthetic-ct.translation.json")
        save_preview(Image.new("L", (20, 20), 200), root / "b" / "mr_synthetic-ct.preview.png")
        assert list(of_subjects(root, ("ct",))) == ["a", "b"]

    @pytest.mark.parametrize("names", [("a/mask.nii", "b/mask.nii"), ("a/mr.nii", "b/scan.nii")])
    def test_a_mask_or_the_other_modality_is_never_meant(self, plant: Plant, names: tuple[str]) -> None:
        with pytest.raises(Unreadable, match=r"2 subfolders hold images \(a: .*CSV"):
            of_subjects(plant(*names), ("ct",))

    @pytest.mark.parametrize("other", ["ct.mha", "CT.nii", "Ct.nii.gz"])
    def test_two_in_one_folder_are_refused(self, plant: Plant, other: str) -> None:
        root = plant("1BA001/ct.nii.gz", "1BA002/ct.nii.gz", f"1BA002/{other}")
        with pytest.raises(Unreadable, match=r"1BA002: holds 2 images called ct .*pattern such as"):
            of_subjects(root, ("ct",))

    def test_names_that_are_not_known_are_told_with_the_way_in(self, plant: Plant) -> None:
        root = plant("a/t1.nii", "a/planning.nii", "b/t1.nii", "b/planning.nii")
        with pytest.raises(Unreadable, match=r"planning\.nii, t1\.nii\), none of them called ct; .*'FOLDER/"):
            of_subjects(root, ("ct",))
