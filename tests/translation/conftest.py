from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medtranslate.config import TranslateSettings
from medtranslate.records import Translation
from medtranslate.translation import translate

Made = Callable[..., Translation]


@pytest.fixture
def made(tmp_path: Path, small_model: Path) -> Made:
    """Translate a file to MR, by default, into a file of this name, and return the record."""

    def run(source: Path, output: str, **more: object) -> Translation:
        given = {"model": str(small_model), "device": "cpu", "to": "mr", "overwrite": True}
        settings = TranslateSettings(input=source, output=tmp_path / output, **given | more)  # type: ignore[arg-type]
        (record,) = translate(settings, quiet=True)
        return record

    return run
