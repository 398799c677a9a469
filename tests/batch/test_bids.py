from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medtranslate import cli
from medtranslate.batch import find_items
from medtranslate.config import BatchSettings
from medtranslate.errors import SettingsError, Unreadable, UsageError

Settings = Callable[..., BatchSettings]

NAMES = (
    "sub-01/ses-pre/anat/sub-01_ses-pre_acq-a_T1w.nii.gz",
    "sub-01/ses-pre/anat/sub-01_ses-pre_acq-b_run-01_T1w.nii.gz",
    "sub-01/ses-post/anat/sub-01_ses-post_acq-a_T1w.nii.gz",
    "sub-01/ses-post/anat/sub-01_ses-post_FLAIR.nii.gz",
    "sub-02/anat/sub-02_ce-gadolinium_T1w.nii.gz",
    "sub-02/anat/sub-02_PDw.nii.gz",
    "sub-02/anat/sub-02_T2starw.nii",
    "sub-02/anat/sub-02_T1w_defacemask.nii.gz",
    "sub-02/anat/sub-02_space-MNI_label-brain_mask.nii.gz",
    "sub-02/dwi/sub-02_dwi.nii.gz",
    "sub-02/ct/sub-02_ct.nii.gz",
)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Names alone: of a dataset nothing is opened to list it."""
    for name in NAMES:
        file = tmp_path / "src" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "src" / "dataset_description.json").write_text('{"Name": "heads", "BIDSVersion": "1.10.0"}')
    return tmp_path / "src"


@pytest.fixture
def chosen(dataset: Path, settings: Settings) -> Callable[..., list[str]]:
    """Numbers of NAMES that are to be translated."""

    def find(filters: object = None, **choice: object) -> list[int]:
        if filters is not None:
            choice["bids_filter_file"] = dataset.parent / "filter.json"
            (dataset.parent / "filter.json").write_text(json.dumps(filters))
        return sorted(NAMES.index(item.name) for item in find_items(settings(to="ct", **choice)))

    return find


def test_anatomical_images_of_all_contrasts_are_found(dataset: Path, settings: Settings) -> None:
    found = {NAMES.index(item.name): item.target.as_posix() for item in find_items(settings(to="ct"))}
    assert sorted(found) == [0, 1, 2, 3, 4, 5, 6]
    assert found[3] == "sub-01/ses-post/ct/sub-01_ses-post_desc-fromFLAIR_ct.nii.gz"
    assert found[4] == "sub-02/ct/sub-02_ce-gadolinium_desc-fromT1w_ct.nii.gz"
    assert found[6] == "sub-02/ct/sub-02_desc-fromT2starw_ct.nii"
    assert [item.name for item in find_items(settings(to="mr"))] == [NAMES[10]]


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ({"participant_label": ("01",)}, [0, 1, 2, 3]),
        ({"participant_label": ("sub-02", " 01")}, [0, 1, 2, 3, 4, 5, 6]),
        ({"participant_label": ("01",), "session_id": ("pre",)}, [0, 1]),
        ({"session_id": ("ses-post",)}, [2, 3]),
    ],
)
def test_participants_and_sessions_are_chosen(
    chosen: Callable[..., list[int]], choice: dict[str, object], numbers: list[int]
) -> None:
    assert chosen(**choice) == numbers


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"t1w": {"session": "pre"}}, [0, 1, 3, 5, 6]),
        ({"t1w": {"acquisition": None}}, [3, 4, 5, 6]),
        ({"t1w": {"ceagent": "*", "suffix": "T1w"}}, [3, 4, 5, 6]),
        ({"t1w": {"run": 1}}, [1, 3, 5, 6]),
        ({"t1w": {"acquisition": ["b", "c"]}, "pdw": {"session": "Query.ANY"}}, [1, 3, 6]),
        ({"mine": {"suffix": ["T1w", "PDw"], "session": "Query.NONE"}}, [3, 4, 5, 6]),
        ({"t2starw": {"extension": ".nii"}, "T1w": {"datatype": "anat", "ses": "post"}}, [2, 3, 5, 6]),
        (
            {"first": {"suffix": "T1w", "acq": "a"}, "second": {"suffix": "T1w", "run": "1"}},
            [0, 1, 2, 3, 5, 6],
        ),
        ({"bold": {"task": "rest"}, "t1w": {"session": "Query.OPTIONAL"}}, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_filters_choose_as_those_of_bids_apps(
    chosen: Callable[..., list[int]], filters: object, numbers: list[int]
) -> None:
    assert chosen(filters) == numbers


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ([], "write queries such as"),
        ({"t1w": "pre"}, "write queries such as"),
        ({"t1w": {"sesion": "pre"}}, "has no entity 'sesion'; write one of subject, session"),
        ({"t1w": {"session": {"a": 1}}}, "session of t1w is"),
    ],
)
def test_what_is_no_filter_is_refused(chosen: Callable[..., list[int]], filters: object, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        chosen(filters)


def test_a_choice_of_what_is_not_there_is_refused(
    chosen: Callable[..., list[int]], dataset: Path, settings: Settings
) -> None:
    with pytest.raises(SettingsError, match="has no participant 03, 7; it has 01, 02"):
        chosen(participant_label=("03", "01", "7"))
    with pytest.raises(SettingsError, match="has no session later; it has post, pre"):
        chosen(session_id=("later",))
    (dataset / "dataset_description.json").unlink()
    with pytest.raises(UsageError, match=r"--session-id: .* holds no dataset_description\.json"):
        find_items(settings(session_id=("pre",)))


def test_the_options_are_those_of_bids_apps(
    dataset: Path, tmp_path: Path, small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["batch", str(dataset), str(tmp_path / "out"), "--to", "ct", "--model", str(small_model)]
    assert cli.invoke([*command, "--participant-label", "01,09", "--session-id", "pre"]) == 2
    assert "has no participant 09" in capsys.readouterr().err
