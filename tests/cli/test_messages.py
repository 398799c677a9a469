"""What the command line says when it is asked for what cannot be, and what it says of what it did."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtranslate import cli
from medtranslate.evaluation import cycle
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.phantom import study
from medtranslate.records import Translation, read_result
from medtranslate.translation import contrast

Say = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Volumes, two series, pictures and trees of a coarse digital head."""
    folder = tmp_path_factory.mktemp("messages")
    head = study(910_000, size=40, spacing=6.0)
    write_volume(head.mr, folder / "mr.nii.gz")
    write_volume(head.mr, folder / "study" / "mr")
    write_volume(head.ct, folder / "study" / "ct")
    for name in ("tree/a/1.nii.gz", "tree/b/2.nii.gz", "volumes/1.nii.gz", "volumes/2.nii.gz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "mr.nii.gz", folder / name)
    (folder / "pictures").mkdir()
    for index in range(5):
        grey = (head.mr.values[:, :, 18 + index].T[::-1, ::-1] / 4).clip(0, 255).astype(np.uint8)
        picture = Image.fromarray(grey)
        (picture.convert("RGBA") if index else picture).save(folder / "pictures" / f"a{index}.png")
    return folder


@pytest.fixture
def work(made: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the images and the model `m` linked into it, and a folder of the user's."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "m").symlink_to(small_model)
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "model.json").write_text("{}")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def say(work: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command line; gives its exit code and its lines on stderr.

    Progress is left out, and that what an untrained network makes is doubtful.
    """

    def run(line: str) -> tuple[int, list[str]]:
        code = cli.invoke(line.split())
        said = capsys.readouterr().err.splitlines()
        return code, [text for text in said if " gone, " not in text and "warning: doubtful: " not in text]

    return run


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model may be loaded."""

    def load(*_: object) -> None:
        pytest.fail("a model was loaded")

    for room in (contrast, cycle):
        monkeypatch.setattr(room, "load_model", load)


REFUSED = [
    # an output that cannot be written for the source
    ("translate mr.nii.gz o --format dicom --to ct", 2, "mr.nii.gz: is nifti, and a translation"),
    ("translate pictures/a0.png o --format dicom --to ct", 2, "is png, and a translation becomes DICOM from"),
    ("translate mr.nii.gz o.nii.gz --format dicom --to ct", 2, "o.nii.gz: DICOM is a folder"),
    ("translate mr.nii.gz o.png --to ct", 2, "pictures hold 256 grey levels"),
    ("translate study/mr o --format png --to ct", 2, "study/mr: is dicom, and pictures hold"),
    ("translate pictures o.png --stack --spacing 1 1 1 --to ct", 2, "o.png: a picture holds one slice"),
    ("translate pictures o --stack --spacing 1 1 1 --uncertainty u.png --to ct", 2, "ends in .nii"),
    ("translate study/mr o --uncertainty u.png --to ct", 2, "ends in .nii"),
    ("translate mr.nii.gz o.mha --format nrrd --to ct", 2, "o.mha: is named as mha, and --format is nrrd"),
    ("translate mr.nii.gz o.nii.gz --compress --to ct", 2, "is for DICOM, and o.nii.gz will be nifti"),
    ("translate pictures o --compress --to ct", 2, "--compress: is for DICOM"),
    ("convert mr.nii.gz o.mha --format nrrd", 2, "o.mha: is named as mha, and --format is nrrd"),
    ("convert mr.nii.gz o.png --window 500 1000", 3, "a picture holds one slice, and mr.nii.gz has 40"),
    ("batch volumes o --format nifti --compress --to ct", 2, "--compress: is for DICOM"),
    # an input that is none
    ("translate gone.nii.gz mr.nii.gz --to ct", 2, "does not exist, but the output mr.nii.gz does"),
    ("convert gone.nii.gz mr.nii.gz", 2, "the input comes before the output"),
    ("batch gone mine --to ct", 2, "the input comes before the output"),
    ("translate gone.nii.gz o.nii.gz --to ct", 3, "gone.nii.gz: does not exist; check the path"),
    ("translate m o --to ct", 3, "m: is a model, not an image; name it with --model"),
    ("translate run o --to ct", 3, "run: is a training run, not an image; for its model give --model"),
    ("translate tree o --to ct", 3, "tree: is a tree with 2 images in folders below it; name one"),
    ("translate volumes o --to mri", 3, "(1.nii.gz, 2.nii.gz), not one volume; name one of them, or"),
    ("translate volumes o --to mri", 3, "`medtranslate batch volumes OUT --to mr`"),
    ("convert volumes o.mha", 3, "volumes: holds 2 nifti files (1.nii.gz, 2.nii.gz), not one volume"),
    # a folder of the user's
    *(
        (line, 2, "mine: a folder that medtranslate did not write is not replaced; name a new folder or file")
        for line in (
            "translate study/mr mine --to ct",
            "translate study/mr mine --to ct --overwrite",
            "translate mr.nii.gz o.nii.gz --report mine --to ct",
            "cycle mr.nii.gz --from mr --out mine",
            "evaluate mr.nii.gz mr.nii.gz --out mine",
            "convert study/mr mine --format dicom --deidentify",
            "phantom mine",
            "demo mine",
            "prepare pictures mine",
            "train --ct phantom:0-9 --mr phantom:0-9 --out mine",
        )
    ),
    ("batch volumes mine --to ct", 2, "mine: holds thesis.txt, which no batch wrote; name a new folder"),
]  # fmt: skip


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(("line", "code", "said"), REFUSED)
def test_what_cannot_be_is_refused_before_a_model_is_loaded(
    say: Say, work: Path, line: str, code: int, said: str
) -> None:
    before = sorted(path.name for path in work.iterdir())
    found = say(line)
    assert found[0] == code
    (text,) = found[1]
    assert text.startswith("error: ")
    assert said in text
    assert ".medtranslate-" not in text
    assert sorted(path.name for path in work.iterdir()) == before
    assert [path.name for path in (work / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("translate study/ct o --to CT --model m", "not an MR; --to ct makes CT of MR, so give --to mr"),
        ("cycle study/ct --from Mr --out o --model m", "is a CT, not an MR; --from says what"),
        ("convert study/ct o.nii.gz --modality MRI", "study/ct: is a CT, not an MR; leave --modality away"),
        ("evaluate study/ct study/mr --out o --modality ct", "study/mr: is an MR, not a CT; --modality says"),
        ("translate mr.nii.gz o.nii.gz --to ct --model mr.nii.gz", "is a file, and --model takes the folder"),
        ("translate mr.nii.gz o.nii.gz --to ct --model m/weights.safetensors", "name its folder, --model m"),
    ],
)  # fmt: skip
def test_the_option_that_helps_is_named(say: Say, work: Path, line: str, said: str) -> None:
    code, (text,) = say(line)
    assert code == 3
    assert said in text
    assert not list(work.glob("o*"))


def test_series_to_choose_from_are_a_table(say: Say) -> None:
    code, (text, *rows) = say("translate study o --to ct --model m")
    assert code == 3
    assert text.startswith("error: study: holds 2 series: ...")
    assert rows[0].split() == ["--series", "modality", "images", "description"]
    chosen = next(row.split() for row in rows if " MR " in row)
    assert chosen[1:] == ["MR", "40", "PHANTOM", "MR"]
    code, _ = say(f"translate study o --to ct --model m --series {chosen[0]}")
    assert code == 0


def test_warnings_name_their_pictures_and_what_is_always_so_is_a_note(say: Say) -> None:
    code, said = say("translate pictures o --to ct --model m")
    assert code == 0
    assert said == [
        "warning: transparency ignored (4 of 5 pictures: a1_synthetic-ct.png, a2_synthetic-ct.png,"
        " a3_synthetic-ct.png, ...)",
        "note: CT values are limited to -20 to 100 HU: windowed, not for dose",
        "note: the card of the model small says: untrained, for tests",
    ]
    assert say("translate pictures o --to ct --model m --overwrite --quiet") == (0, said[:1])


def test_files_of_one_stem_have_a_record_each(say: Say, work: Path) -> None:
    for name in ("x.mha", "x.nrrd"):
        assert say(f"translate mr.nii.gz {name} --to ct --model m --quiet") == (0, [])
    records = {path.name: read_result(Translation, path).output for path in work.glob("*.json")}
    assert records == {"x.translation.json": "x.mha", "x.nrrd.translation.json": "x.nrrd"}
    assert say("translate mr.nii.gz x.nrrd --to ct --model m --quiet --overwrite") == (0, [])
    assert len(list(work.glob("*.json"))) == 2
    (work / "x.mha").rename(work / "x.nii")  # renamed with its record, it keeps it
    assert say("evaluate x.nii mr.nii.gz --out scores --modality ct")[0] == 0
    assert "phantom" not in (work / "scores" / "result.json").read_text()
    assert '"name": "small"' in (work / "scores" / "result.json").read_text()


def test_pictures_of_one_stem_and_suffixes_in_capitals(say: Say, work: Path) -> None:
    (work / "two").mkdir()
    shutil.copy(work / "pictures" / "a0.png", work / "two" / "a.png")
    Image.open(work / "two" / "a.png").save(work / "two" / "a.jpg")
    assert say("translate two o --to ct --model m --report page --quiet") == (0, [])
    assert {path.name for path in (work / "o").iterdir()} == {
        *("a_synthetic-ct.jpg", "a_synthetic-ct.translation.json", "settings.yaml"),
        *("a_synthetic-ct.png", "a_synthetic-ct.png.translation.json"),
    }
    shutil.copy(work / "mr.nii.gz", work / "X.NII.GZ")
    assert say("translate X.NII.GZ Y.NII.GZ --to ct --model m --quiet") == (0, [])
    assert (work / "Y.translation.json").is_file()
    assert read_volume(work / "Y.NII.GZ").shape == read_volume(work / "mr.nii.gz").shape


def test_progress_of_a_resampled_volume_ends_at_its_end(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = read_volume(work / "mr.nii.gz")
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(0.9), -np.sin(0.9)], [np.sin(0.9), np.cos(0.9)]]
    thick = Volume(source.values[..., ::4], turn @ source.affine @ np.diag([1, 1, 4, 1]))
    write_volume(thick, "oblique.nii.gz")
    assert cli.invoke(["translate", "oblique.nii.gz", "o.nii.gz", "--to", "ct", "--model", "m"]) == 0
    said = [text.split() for text in capsys.readouterr().err.splitlines() if " gone, " in text]
    counts = [(int(words[3]), int(words[5])) for words in said]
    assert counts[-1][0] == counts[-1][1] > 10
    assert all(done <= total for done, total in counts)
