from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medtranslate.batch import Item, find_items, run_batch, worker
from medtranslate.batch.sources import notes_on
from medtranslate.config import BatchSettings
from medtranslate.errors import Unreadable

Settings = Callable[..., BatchSettings]
Place = Callable[..., Path]


def targets(items: list[Item]) -> dict[str, str]:
    return {item.name: item.refused or item.target.as_posix() for item in items}


@pytest.fixture
def subjects(place: Place, tmp_path: Path) -> Path:
    """Subjects as the SynthRAD challenges hand them out: MR and CT, MR and cone-beam CT, and MR alone."""
    names = ["1BA001/ct", "1BA001/mr", "1BA001/mask", "2BA002/MR", "2BA002/CBCT", "2BA002/notes", "only/mr"]
    for name in names:
        place(f"{name}.nii.gz")
    return tmp_path / "src"


def test_of_subjects_folders_the_image_that_is_wanted_is_taken_and_that_is_said(
    subjects: Path, settings: Settings
) -> None:
    assert targets(find_items(settings(to="ct"))) == {
        "1BA001/mr.nii.gz": "1BA001/mr_synthetic-ct.nii.gz",
        "2BA002/MR.nii.gz": "2BA002/MR_synthetic-ct.nii.gz",
        "2BA002/notes.nii.gz": "2BA002/notes_synthetic-ct.nii.gz",
        "only/mr.nii.gz": "only/mr_synthetic-ct.nii.gz",
    }
    (said,) = notes_on(settings(to="ct"))
    assert said.startswith("passed over: 3 images beside the MR of their subjects")
    assert "1 ct.nii.gz" in said
    assert "1BA001/ct.nii.gz" in targets(find_items(settings(to="mr")))
    assert "1BA001/mr.nii.gz" not in targets(find_items(settings(to="mr")))


def test_what_lies_alone_is_translated_whatever_its_name(place: Place, settings: Settings) -> None:
    """Its gate judges what it is."""
    for name in ("a/ct.nii", "b/mask.nii", "mr/x.nii"):
        place(name)
    assert len(find_items(settings(to="ct"))) == 3
    assert notes_on(settings(to="ct")) == []


def test_a_pattern_names_what_is_translated(subjects: Path, settings: Settings, place: Place) -> None:
    place("dicom/series")
    given = settings(to="ct", source=subjects / "*" / "mr.nii.gz")
    assert targets(find_items(given)) == {
        "1BA001/mr.nii.gz": "1BA001/mr_synthetic-ct.nii.gz",
        "only/mr.nii.gz": "only/mr_synthetic-ct.nii.gz",
    }
    (series,) = find_items(settings(source=subjects / "d*" / "*"))
    assert series.target.as_posix().startswith("dicom/series/series-")
    place("out/1BA001/mr_synthetic-ct.nii.gz")
    inside = settings(to="ct", source=subjects / "**" / "mr*.nii.gz", out=subjects / "out")
    assert sorted(targets(find_items(inside))) == ["1BA001/mr.nii.gz", "only/mr.nii.gz"]
    with pytest.raises(Unreadable, match="no file has such a name"):
        find_items(settings(source=subjects / "*" / "t1.nii.gz"))


def test_a_list_may_name_files_elsewhere(place: Place, settings: Settings, tmp_path: Path) -> None:
    inside, outside = place("lists/a.nii"), place("share/a.nii")
    table = inside.parent / "list.csv"
    table.write_text(f"path;age\na.nii;60\n{outside};61\n../share/a.nii;62\n{inside};63\n../gone/b.nii;64\n")
    found = targets(find_items(settings(source=table)))
    whole = outside.relative_to(outside.anchor)
    assert found.pop("a.nii") == "a_synthetic-mr.nii"
    assert found.pop(outside.as_posix()) == (whole.parent / "a_synthetic-mr.nii").as_posix()
    (reason,) = found.values()
    assert "b.nii: does not exist" in reason
    (said,) = notes_on(settings(source=table))
    assert "'age'" in said


def test_a_list_of_a_thousand_with_missing_files_translates_nothing(
    place: Place, settings: Settings, tmp_path: Path
) -> None:
    whole = place("a.nii")
    rows = [f"{whole},mr", *(f"gone/{number}.nii,mr" for number in range(998)), "target.nii,ct"]
    (tmp_path / "src" / "list.csv").write_text("path,modality\n" + "\n".join(rows))
    given = settings(source=tmp_path / "src" / "list.csv", to="ct")
    with pytest.raises(Unreadable, match=r"998 of 999 files do not exist \(.*gone/0.nii, .*, \.\.\.\)"):
        run_batch(given, quiet=True)
    assert not (tmp_path / "out").exists()
    assert len(find_items(given)) == 999


def test_an_acquisition_is_chosen_of_series_alone(place: Place, settings: Settings) -> None:
    place("series")
    place("a.nii")
    given = settings(select="echo=2", nan_to="air", picture_hu=(1, -1024))
    chosen = {item.name: worker._job(given, item).settings for item in find_items(given)}
    assert sorted((job.select, job.nan_to) for job in chosen.values() if job.select) == [("echo=2", "air")]
    assert chosen["a.nii"].select is None
    assert chosen["a.nii"].nan_to == "air"
