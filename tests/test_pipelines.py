from __future__ import annotations

from pathlib import Path

import pytest

from medtranslate import config
from medtranslate.cli.run import pipelines

README = Path(__file__).resolve().parents[1] / "pipelines" / "README.md"


@pytest.mark.parametrize("name", pipelines())
def test_a_shipped_pipeline_is_complete_and_valid(name: str) -> None:
    values = config.read_yaml(pipelines()[name])
    kind: type[object] = config.COMMANDS[values.pop("command")]
    settings = config.build(kind, values, name)
    written = config.plain(settings)
    assert all(key in written for key in values)


def test_the_readme_explains_each() -> None:
    text = README.read_text(encoding="utf-8")
    assert pipelines()
    for name in pipelines():
        assert f"| `{name}.yaml` |" in text
