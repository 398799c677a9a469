from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medtranslate.batch import Item, bids, find_items
from medtranslate.config import BatchSettings
from medtranslate.errors import Unreadable, UsageError
from medtranslate.io.png import save_preview

Settings = Callable[..., BatchSettings]
Place = Callable[..., Path]
PutSlices = Callable[..., object]


def names(items: list[Item]) -> dict[str, str]:
    """Output by name, or why there is none."""
    return {item.name: item.refused or item.target.as_posix() for item in items}


def synthetic(name: str) -> str:
    """What the CT that is made of a file is called."""
    path = Path(name)
    stem, dot, suffix = path.name.partition(".")
    return (path.parent / f"{stem}_synthetic-mr{dot}{suffix}").as_posix()


def test_a_tree_of_all_formats_is_mirrored(place: Place, settings: Settings, tmp_path: Path) -> None:
    for name in ("a/x.nii.gz", "a/plain.nii", "b/y.mha", "b/c/z.nrrd", "series"):
        place(name)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "src" / "b" / "slice.png")
    (tmp_path / "src" / "notes.txt").write_text("nothing")
    (tmp_path / "src" / ".hidden.nii").write_text("nothing")
    found = names(find_items(settings()))
    (series,) = (name for name in found if name.startswith("series/"))
    assert found.pop(series) == synthetic(series)
    files = ("a/plain.nii", "a/x.nii.gz", "b/c/z.nrrd", "b/slice.png", "b/y.mha")
    assert found == {name: synthetic(name) for name in files}
    written = names(find_items(settings(format="nifti")))
    assert written[series] == f"{series}_synthetic-mr.nii.gz"
    assert written["b/y.mha"] == "b/y_synthetic-mr.nii.gz"


def test_both_files_of_a_pair_are_one_item(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for suffix in (".img", ".img.gz"):
        image = nib.Nifti1Pair(np.zeros((9, 8, 7), np.int16), np.eye(4))
        image.to_filename(tmp_path / "src" / f"{suffix[1:]}{suffix}")
    pairs = find_items(settings())
    assert names(pairs) == {
        "img.hdr": "img_synthetic-mr.nii.gz",
        "img.gz.hdr.gz": "img.gz_synthetic-mr.nii.gz",
    }
    assert [item.files for item in pairs] == [("img.gz.hdr.gz", "img.gz.img.gz"), ("img.hdr", "img.img")]


def test_series_are_put_together_whatever_folders_they_lie_in(
    place: Place, settings: Settings, tmp_path: Path
) -> None:
    one, other = place("one"), place("other", 1)
    for folder in (one, other):
        for number, file in enumerate(sorted(folder.glob("*.dcm"))):
            goal = tmp_path / "src" / "mixed" / f"{folder.name}{number % 2}"
            goal.mkdir(parents=True, exist_ok=True)
            file.rename(goal / f"{folder.name}-{number}")
        shutil.rmtree(folder)
    shutil.copytree(tmp_path / "src" / "mixed" / "one0", tmp_path / "part")
    with zipfile.ZipFile(tmp_path / "src" / "study.zip", "w") as archive:
        for file in (tmp_path / "part").iterdir():
            archive.write(file, file.name)
    found = find_items(settings())
    folders = [item.target.parent.as_posix() for item in found]
    assert folders == ["mixed", "mixed", "study"]
    assert [len(item.paths) for item in found] == [32, 32, 1]


def test_copies_of_a_series_are_series(place: Place, settings: Settings, tmp_path: Path) -> None:
    one = place("one")
    shutil.copytree(one, tmp_path / "src" / "backup" / "one")
    found = find_items(settings())
    assert [item.source.relative_to(tmp_path / "src").as_posix() for item in found] == ["backup/one", "one"]
    assert [len(item.paths) for item in found] == [32, 32]
    assert not any(item.refused for item in found)


def test_subjects_whose_anonymiser_gave_all_one_uid_are_items(
    put_slices: PutSlices, settings: Settings, tmp_path: Path
) -> None:
    subjects = [f"sub-{number:02}" for number in range(1, 13)]
    for number, subject in enumerate(subjects):
        put_slices(tmp_path / "src" / subject, [3 * index + 0.25 * number for index in range(4)])
    found = find_items(settings())
    assert [item.source.name for item in found] == subjects
    targets = [f"{subject}/series-1-2-2_synthetic-mr" for subject in subjects]
    assert [item.target.as_posix() for item in found] == targets
    assert [len(item.paths) for item in found] == [4] * 12
    assert not any(item.refused for item in found)


def test_copies_of_a_series_that_folders_share_out_are_series(
    put_slices: PutSlices, settings: Settings, tmp_path: Path
) -> None:
    for half in (0, 1):
        heights = [6.0 * index + 3 * half for index in range(4)]
        numbers = {"InstanceNumber": lambda index, half=half: 2 * index + half}
        put_slices(tmp_path / "src" / "one" / f"half{half}", heights, **numbers)
    shutil.copytree(tmp_path / "src" / "one", tmp_path / "src" / "two")
    found = find_items(settings())
    assert [item.source.name for item in found] == ["one", "two"]
    assert [len(item.paths) for item in found] == [8, 8]


@pytest.mark.parametrize(
    "name", ["two words.nii.gz", "Größe ü 头.nii.gz", "line\nbreak.nii.gz", "-o.nii", "a'\"$.nii"]
)
def test_names_are_kept(place: Place, settings: Settings, name: str) -> None:
    place(name)
    assert names(find_items(settings())) == {name: synthetic(name)}


def test_what_only_promises_to_be_an_image_is_refused_with_its_reason(
    place: Place, settings: Settings, tmp_path: Path
) -> None:
    src, whole = tmp_path / "src", place("whole.nii.gz").read_bytes()
    (src / "empty.nii").touch()
    (src / "half.nii.gz").write_bytes(whole[:200])
    (src / "text.dcm").write_text("no DICOM")
    (src / "damaged.zip").write_bytes(b"PK\x03\x04 and no more")
    os.mkfifo(src / "pipe.nii")
    found = names(find_items(settings()))
    assert found.pop("whole.nii.gz") == "whole_synthetic-mr.nii.gz"
    assert found.keys() == {"empty.nii", "half.nii.gz", "text.dcm", "damaged.zip"}
    assert all(name in reason for name, reason in found.items())


def test_a_preview_is_no_picture_to_translate(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("a.nii")
    save_preview(Image.new("L", (20, 20), 200), tmp_path / "src" / "a.preview.png")
    Image.new("L", (20, 20), 200).save(tmp_path / "src" / "b.preview.png")
    assert set(names(find_items(settings()))) == {"a.nii", "b.preview.png"}


def test_a_name_that_is_no_text_is_refused(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("a.nii").rename(os.fsdecode(os.fsencode(tmp_path / "src") + b"/caf\xe9.nii"))
    (item,) = find_items(settings())
    assert item.name == r"caf\udce9.nii"
    assert "UTF-8" in item.refused


def test_of_one_stem_each_has_a_record_of_its_own(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("b.nrrd")
    given = settings()
    assert [item.record.name for item in find_items(given)] == ["b_synthetic-mr.translation.json"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b_synthetic-mr.nrrd").touch()
    record = tmp_path / "out" / "b_synthetic-mr.translation.json"
    record.write_text('{"output": "b_synthetic-mr.nrrd"}')
    place("b.mha")  # which comes first, later
    found = {item.name: item.record.name for item in find_items(given)}
    assert found == {
        "b.mha": "b_synthetic-mr.mha.translation.json",
        "b.nrrd": "b_synthetic-mr.translation.json",
    }


def test_of_one_stem_in_one_format_the_second_is_refused(place: Place, settings: Settings) -> None:
    place("a.mha")
    place("a.nrrd")
    found = names(find_items(settings(format="nifti")))
    assert found["a.mha"] == "a_synthetic-mr.nii.gz"
    assert "named like that of a.mha;" in found["a.nrrd"]


@pytest.mark.parametrize("format", ["dicom", "png"])
def test_what_cannot_be_written_in_the_format_is_refused(
    place: Place, settings: Settings, format: str
) -> None:
    place("a.nii")
    assert "is nifti, and " in names(find_items(settings(format=format)))["a.nii"]


class TestLinks:
    @pytest.fixture
    def tree(self, place: Place, tmp_path: Path) -> Path:
        src = tmp_path / "src"
        inside, outside = place("real/a.nii"), place("../elsewhere/b.nii")
        (src / "loop").symlink_to(src)
        (src / "itself.nii").symlink_to(src / "itself.nii")
        (src / "nowhere.nii").symlink_to(src / "absent.nii")
        (src / "out.nii").symlink_to(outside)
        (src / "in.nii").symlink_to(inside)
        (src / "folder").symlink_to(outside.parent)
        return src

    def test_links_that_loop_or_lead_outside_are_refused(self, tree: Path, settings: Settings) -> None:
        found = names(find_items(settings()))
        taken = {name for name, told in found.items() if told == synthetic(name)}
        assert taken == {"real/a.nii", "in.nii"}
        assert "--follow-links" in found["out.nii"]
        assert "--follow-links" in found["folder"]
        assert "--follow-links" in found["loop"]
        assert "leads nowhere" in found["nowhere.nii"]
        assert "leads nowhere" in found["itself.nii"]

    def test_links_are_followed_once_where_that_is_asked_for(self, tree: Path, settings: Settings) -> None:
        found = names(find_items(settings(follow_links=True)))
        taken = {name for name, told in found.items() if told == synthetic(name)}
        assert taken == {"real/a.nii", "in.nii", "out.nii", "folder/b.nii"}
        assert "read under another name" in found["loop"]


def test_unreadable_places_are_refused(
    place: Place, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place("a.nii")
    closed = place("closed/b.nii").parent
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = names(find_items(settings()))
    assert found["a.nii"] == "a_synthetic-mr.nii"
    assert "permission denied" in found["closed"]


def test_outputs_inside_the_source_are_no_source(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("a.nii")
    place("out/a.nii")
    former = place("former/a.nii").parent
    (former / "batch.jsonl").touch()
    assert list(names(find_items(settings(out=tmp_path / "src" / "out")))) == ["a.nii"]


@pytest.mark.parametrize("out", ["src", ".", "src/../src"])
def test_the_source_is_never_the_output(place: Place, settings: Settings, tmp_path: Path, out: str) -> None:
    place("a.nii")
    with pytest.raises(UsageError, match="holds the source"):
        find_items(settings(out=tmp_path / out))


def test_a_source_that_is_not_there_is_refused(settings: Settings) -> None:
    with pytest.raises(Unreadable, match="does not exist"):
        find_items(settings())


def test_a_csv_stands_for_files_and_folders(place: Place, settings: Settings, tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii", "more/c.nii", "left.nii"):
        place(name)
    table = tmp_path / "src" / "list.csv"
    rows = ("a.nii,mr", "a.nii,mr", "more,", "b.nii,ct", "gone.nii,mr", "../elsewhere.nii,mr")
    table.write_text("path,modality\n" + "\n".join(rows))
    found = names(find_items(settings(to="ct", source=table)))
    assert found.pop("a.nii") == "a_synthetic-ct.nii"
    assert found.pop("more/c.nii") == "more/c_synthetic-ct.nii"
    assert "does not exist" in found.pop("gone.nii")
    (reason,) = found.values()
    assert "elsewhere.nii: does not exist" in reason


class TestBids:
    @pytest.fixture
    def dataset(self, place: Place, tmp_path: Path) -> Path:
        src = tmp_path / "src"
        for name in (
            *("sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T2w.nii.gz"),
            "sub-02/ses-1/anat/sub-02_ses-1_run-2_desc-brain_T1w.nii",
            *("sub-01/ct/sub-01_ct.nii.gz", "sub-01/func/sub-01_task-rest_bold.nii.gz"),
            *("derivatives/other/sub-01/anat/sub-01_T1w.nii.gz", "sourcedata/a.nii"),
        ):
            place(name)
        (src / "dataset_description.json").write_text('{"Name": "heads", "BIDSVersion": "1.9.0"}')
        return src

    def test_images_are_found_by_name(self, dataset: Path, settings: Settings) -> None:
        assert names(find_items(settings(to="ct"))) == {
            "sub-01/anat/sub-01_T1w.nii.gz": "sub-01/ct/sub-01_desc-fromT1w_ct.nii.gz",
            "sub-01/anat/sub-01_T2w.nii.gz": "sub-01/ct/sub-01_desc-fromT2w_ct.nii.gz",
            "sub-02/ses-1/anat/sub-02_ses-1_run-2_desc-brain_T1w.nii": (
                "sub-02/ses-1/ct/sub-02_ses-1_run-2_desc-brainFromT1w_ct.nii"
            ),
        }
        assert names(find_items(settings(to="mr"))) == {
            "sub-01/ct/sub-01_ct.nii.gz": "sub-01/anat/sub-01_desc-fromct_MR.nii.gz"
        }

    def test_parts_of_a_complex_image_are_passed_over(self, dataset: Path, settings: Settings) -> None:
        anat = dataset / "sub-01" / "anat"
        whole = anat / "sub-01_T1w.nii.gz"
        for part in ("mag", "phase", "real", "imag"):
            shutil.copy(whole, anat / f"sub-01_part-{part}_T1w.nii.gz")
        found = names(find_items(settings(to="ct")))
        assert "sub-01/anat/sub-01_part-mag_T1w.nii.gz" in found
        assert len(found) == 4
        left = [f"sub-01/anat/sub-01_part-{part}_T1w.nii.gz" for part in ("imag", "phase", "real")]
        assert bids.passed_over(dataset) == left

    def test_a_space_keeps_what_it_refers_to(self, dataset: Path) -> None:
        name = "sub-01/anat/sub-01_space-mine_T1w.nii.gz"
        assert json.loads(bids.sidecar(dataset, name, "ct"))["SpatialReference"] == f"bids:raw:{name}"
        (dataset / name.replace(".nii.gz", ".json")).write_text('{"SpatialReference": "orig"}')
        assert json.loads(bids.sidecar(dataset, name, "ct"))["SpatialReference"] == "orig"
        plain = "sub-01/anat/sub-01_T1w.nii.gz"
        assert "SpatialReference" not in json.loads(bids.sidecar(dataset, plain, "ct"))
