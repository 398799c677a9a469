from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtranslate import config
from medtranslate.config import NetworkSettings, TrainSettings, TranslateSettings, build, plain, read_yaml
from medtranslate.errors import SettingsError

Install = Callable[..., None]
TRAIN = {"ct": "a", "mr": "b", "out": "c"}


@given(
    images=st.integers(1, 10**9),
    cycle=st.floats(0, 1e6),
    window=st.tuples(st.floats(-2000, 0), st.floats(1, 4000)),
    notes=st.text(),
)
def test_settings_come_back_from_their_yaml(
    tmp_path_factory: pytest.TempPathFactory,
    images: int,
    cycle: float,
    window: tuple[float, float],
    notes: str,
) -> None:
    values = {
        **TRAIN,
        "images": images,
        "notes": notes,
        "loss": {"cycle": cycle},
        "scale": {"ct_window": window},
    }
    settings = build(TrainSettings, values)
    path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    config.write_yaml(settings, path)
    assert build(TrainSettings, read_yaml(path)) == settings


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({**TRAIN, "imagse": 3}, "imagse: no setting"),
        ({**TRAIN, "loss": {"cylce": 3}}, "loss.cylce: no setting"),
        ({"ct": "a", "mr": "b"}, "out: missing"),
        ({**TRAIN, "images": 0}, "images: input should be greater than 0 (got 0)"),
        ({**TRAIN, "device": "gpu"}, "device"),
        ({**TRAIN, "network": {"size": 100}}, "network.size"),
        ({**TRAIN, "scale": {"ct_window": [0]}}, "scale.ct_window"),
        ({**TRAIN, "images": "many"}, "images"),
        ({**TRAIN, "scale": {"ct_window": [9, 3]}}, "scale.ct_window: write the lower end"),
        (
            {**TRAIN, "network": {"generator": "deep"}},
            "network.generator: has to be one of: vae (got",
        ),
        ({**TRAIN, "loss": {"others": {"cycle": 1}}}, "no installed package offers any (got 'cycle')"),
        ({**TRAIN, "compile": True}, "compile: no setting"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(TrainSettings, values, "job.yaml")
    assert str(caught.value).startswith("job.yaml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"mr: .*out: .*batch: "):
        build(TrainSettings, {"ct": "a", "batch": -1})


def test_mri_is_written_mr() -> None:
    values = {"input": "a", "output": "b", "to": "mri", "model": "m"}
    assert plain(build(TranslateSettings, values))["to"] == "mr"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        NetworkSettings().size = 64  # type: ignore[misc]


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\x00", b"a: [", b"- 1", b"", b"1: 2", b"a: !!python/name:os.getcwd"]
)
def test_what_is_not_a_plain_mapping_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(text)
    with pytest.raises(SettingsError, match=r"job\.yaml"):
        read_yaml(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yaml")


def test_files_of_older_versions_may_name_a_removed_setting() -> None:
    assert build(TrainSettings, {**TRAIN, "compile": False}) == build(TrainSettings, TRAIN)


def test_built_in_names_are_those_of_the_parts() -> None:
    from medtranslate.io import FORMATS
    from medtranslate.losses import LOSSES
    from medtranslate.metrics import PROFILES
    from medtranslate.networks import DISCRIMINATORS, GENERATORS
    from medtranslate.report import TRANSLATION_VIEWS, VIEWS

    parts = {
        "formats": FORMATS,
        "generators": GENERATORS,
        "discriminators": DISCRIMINATORS,
        "losses": LOSSES,
        "profiles": PROFILES,
        "views": {*VIEWS, "dicom"},
    }
    assert {group: set(names) for group, names in config.BUILTIN.items()} == {
        f"medtranslate.{kind}": set(names) for kind, names in parts.items()
    }
    assert set(TRANSLATION_VIEWS) <= set(config.BUILTIN["medtranslate.views"])


def test_every_built_in_loss_has_a_weight() -> None:
    losses = config.LossSettings()
    assert all(losses.weight(name) == getattr(losses, name) for name in config.BUILTIN["medtranslate.losses"])
    assert losses.weight("absent") == 0


class TestNamesOfOtherPackages:
    """Names that an installed package adds are settings, options and choices like the built-in ones."""

    def test_a_loss_has_a_weight(self, install: Install) -> None:
        install("far", "losses", {"variation": "far:variation"})
        settings = build(TrainSettings, {**TRAIN, "loss": {"others": {"variation": 0.5}}})
        assert settings.loss.weight("variation") == 0.5
        assert build(TrainSettings, plain(settings)) == settings

    def test_a_format_and_a_view_are_taken(self, install: Install) -> None:
        install("far", "formats", {"raw": "far:raw"})
        install("further", "views", {"gallery": "further:gallery"})
        values = {"input": "a", "output": "b", "to": "ct"}
        assert build(TranslateSettings, {**values, "format": "raw"}).format == "raw"
        views = build(config.ReportSettings, {"result": "a", "out": "b", "view": ["gallery", "pdf"]}).view
        assert views == ("gallery", "pdf")
        install("farthest", "translation_views", {"strip": "farthest:strip", "gallery": "farthest:strip"})
        assert build(config.ReportSettings, {"result": "a", "out": "b", "view": ["strip"]}).view == ("strip",)
        with pytest.raises(SettingsError, match=r"format: has to be one of: dicom, .*, png, raw"):
            build(TranslateSettings, {**values, "format": "rwa"})
