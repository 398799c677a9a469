"""The digest by which a batch knows that an output need not be made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from medtranslate.batch import digests
from medtranslate.batch.items import Item
from medtranslate.checkpoint import describe, find_model
from medtranslate.config import BatchSettings, plain


@pytest.fixture
def given(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"one")
    settings = BatchSettings(source=tmp_path, out=tmp_path / "out", to="ct", model="phantom")
    return (
        settings,
        Item(name="a", source=tmp_path / "a.nii.gz", target=Path("a.nii.gz")),
        describe(find_model("phantom")),
    )


def test_what_changes_an_output_changes_its_key(given):
    settings, item, model = given
    key = digests.key_of(settings, item, model)
    assert digests.key_of(replace(settings, workers=3), item, model) == key
    assert digests.key_of(replace(settings, planes=1), item, model) != key
    assert digests.key_of(settings, item, replace(model, sha256="0" * 64)) != key
    item.source.write_bytes(b"two")
    assert digests.key_of(settings, item, model) != key


def test_a_later_version_with_a_further_setting_keeps_finished_outputs(given, monkeypatch):
    key = digests.key_of(*given)
    monkeypatch.setattr(digests, "plain", lambda settings: {**plain(settings), "further": None})
    assert digests.key_of(*given) == key
    monkeypatch.setattr(digests, "plain", lambda settings: {**plain(settings), "further": 1})
    assert digests.key_of(*given) != key
