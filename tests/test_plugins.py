"""Parts of other packages: their names without an import, the parts on demand, clear words for bad ones."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping

import pytest

from medtranslate import plugins
from medtranslate.errors import RunFailed

GROUP = "medtranslate.losses"
Install = Callable[..., None]


def test_a_foreign_part_is_named_without_an_import_and_imported_when_asked_for(install: Install) -> None:
    install("far", "losses", {"variation": "far:variation"}, "variation = 42")
    assert plugins.names(GROUP, ["cycle", "adversarial"]) == ("cycle", "adversarial", "variation")
    parts = plugins.load(GROUP, {"cycle": 1})
    assert list(parts) == ["cycle", "variation"]
    assert "variation" in parts
    assert "far" not in sys.modules
    assert dict(parts) == {"cycle": 1, "variation": 42}


def test_a_part_that_cannot_be_imported_leaves_the_others_alone(install: Install) -> None:
    install("broken", "losses", {"variation": "broken:variation"}, "import no_such_module")
    parts = plugins.load(GROUP, {"cycle": 1})
    assert parts["cycle"] == 1
    with pytest.raises(RunFailed, match=r"broken offers 'variation' in .*no_such_module.*uninstall it"):
        parts["variation"]


@pytest.mark.parametrize("name", ["cycle", "Two words", "../up", "x" * 33])
def test_names_that_are_taken_or_odd_are_refused(install: Install, name: str) -> None:
    install("odd", "losses", {name: "odd:part"})
    with pytest.raises(RunFailed, match="odd offers"):
        plugins.names(GROUP, ["cycle"])


def test_two_packages_with_one_name_are_refused(install: Install) -> None:
    install("first", "losses", {"variation": "first:part"})
    install("second", "losses", {"variation": "second:part"})
    with pytest.raises(RunFailed, match=r"first offers|second offers"):
        plugins.load(GROUP, {})


def test_built_in_parts_may_be_places_that_are_imported_when_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    parts: Mapping[str, object] = plugins.load(GROUP, {"zen": "this:d", "cycle": "math:pi"})
    assert parts["cycle"] == math.pi
    assert "zen" in parts
    assert "this" not in sys.modules
