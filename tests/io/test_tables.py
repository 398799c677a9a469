from __future__ import annotations

from pathlib import Path

import pytest

from medtranslate.errors import Unreadable
from medtranslate.io.tables import read_groups, read_table


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("share/11/ct.nii.gz", "share/12/ct.nii.gz", "lists/here.nii"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def found(path: Path, text: str, encoding: str = "utf-8") -> list[Path]:
    path.write_bytes(text.encode(encoding))
    table = read_table(path, ("path",), ("subject",))
    return [table.file(row["path"]) for row in table.rows]


@pytest.mark.parametrize(
    "text",
    [
        "path,subject\nshare/11/ct.nii.gz,11\nshare/12/ct.nii.gz,12\n",
        "path;subject\nshare/11/ct.nii.gz;11\nshare/12/ct.nii.gz;12\n",
        "subject\tpath\n11\tshare/11/ct.nii.gz\n12\tshare/12/ct.nii.gz\n",
        "path,subject\r\nshare\\11\\ct.nii.gz,11\r\n.\\share\\12\\ct.nii.gz,12\r\n",
        "Subject, Path ,age,\n11,share/11/ct.nii.gz,63,\n12, share/12/ct.nii.gz,64,\n,,,\n",
        'path;note\n"share/11/ct.nii.gz";"a, b"\nlists/../share/12/ct.nii.gz;\n',
    ],
    ids=["commas", "semicolons", "tabs", "Windows", "a spreadsheet", "quotes"],
)
def test_lists_are_read_as_people_have_them(files: Path, text: str) -> None:
    wanted = [files / "share" / name / "ct.nii.gz" for name in ("11", "12")]
    assert found(files / "list.csv", text) == wanted
    assert found(files / "list.csv", text, "utf-8-sig") == wanted


def test_a_list_may_lie_elsewhere(files: Path) -> None:
    whole, above = files / "share" / "11" / "ct.nii.gz", "../share/12/ct.nii.gz"
    places = found(files / "lists" / "list.csv", f"path\n{whole}\n{above}\nhere.nii\n")
    assert places == [whole, files / "share" / "12" / "ct.nii.gz", files / "lists" / "here.nii"]


def test_a_backslash_in_a_name_stays(files: Path) -> None:
    odd = files / "a\\b.nii"
    odd.touch()
    assert found(files / "list.csv", "path\na\\b.nii\n") == [odd]


def test_columns_that_are_not_read_are_named(files: Path) -> None:
    path = files / "list.csv"
    path.write_text("path,subjct,age\nshare/11/ct.nii.gz,11,63\n")
    (note,) = read_table(path, ("path",), ("subject",)).notes
    assert "'subjct', 'age'" in note
    path.write_text("path\nshare/11/ct.nii.gz\n")
    assert read_table(path, ("path",), ("subject",)).notes == []


def test_files_that_are_missing_among_a_thousand_are_counted_and_the_first_named(files: Path) -> None:
    for number in range(1000):
        (files / f"{number}.nii").touch()
    names = [files / f"{number}.nii" for number in range(1000)]
    path = files / "list.csv"
    path.write_text("path\n" + "\n".join(map(str, names)))
    table = read_table(path, ("path",))
    table.require(names)
    for number in range(0, 1000, 125):
        names[number].unlink()
    with pytest.raises(Unreadable, match=r"8 of 1000 files do not exist \(.*/0.nii, .*/500.nii, \.\.\.\)"):
        table.require(names)


def test_groups_are_read_by_file(files: Path) -> None:
    path = files / "groups.csv"
    path.write_text("group;file;site\na;share/11/ct.nii.gz;x\nb;share/12/ct.nii.gz;y\n")
    assert set(read_groups(path).values()) == {"a", "b"}
    path.write_text("file,group\nshare/11/ct.nii.gz,a\nshare/../share/11/ct.nii.gz,b\n")
    with pytest.raises(Unreadable, match="is in groups 'a' and 'b'"):
        read_groups(path)
