"""The YAML file of a node."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from medtranslate.config import NodeRules, Peer, Rule
from medtranslate.errors import SettingsError, UsageError
from medtranslate.node.plan import choose_rule, read_rules

PEER = {"title": "ARCHIVE", "address": "127.0.0.1", "port": 104}


def test_what_is_given_is_read(rules: Callable[..., Path]) -> None:
    found = read_rules(
        rules(rules=[{"calling": "ARCHIVE", "to": "ct", "samples": 8, "send_to": ["ARCHIVE"]}])
    )
    assert found.rules == (Rule(calling="ARCHIVE", to="ct", samples=8, send_to=("ARCHIVE",)),)
    assert found.host == "127.0.0.1"


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "node.md").read_text(encoding="utf-8")
    (tmp_path / "node.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    (tmp_path / "token.txt").write_text("Bearer TOKEN\n")
    rules = read_rules(tmp_path / "node.yaml")
    assert rules.rules[1].send_to == ("ORTHANC", "CLOUD")
    assert rules.dicomweb[0].authorization == tmp_path / "token.txt"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rules": []}, "rules: .*at least 1"),
        ({"rules": [{"to": "pet"}]}, "rules.0.to: "),
        ({"rules": [{"too": "ct"}]}, "rules.0.too: no setting of this name"),
        ({"title": "A" * 17}, "title: "),
        ({"title": "A\\B"}, "title: "),
        ({"port": 0}, "port: "),
        ({"peers": [PEER, PEER]}, "ARCHIVE is there twice"),
        ({"rules": [{"to": "ct", "send_to": ["ELSEWHERE"]}]}, "rule 1: ELSEWHERE is neither a peer nor"),
        ({"rules": [{"to": "ct", "calling": "ELSEWHERE"}]}, "rule 1: ELSEWHERE is no peer"),
        ({"peers": [{"title": "ARCHIVE", "address": "h"}]}, "may go to ARCHIVE, which has no port"),
        ({"peers": [PEER | {"tls": True}]}, "peer ARCHIVE: tls needs the certificates"),
        (
            {"peers": [{"title": "A", "address": "h", "commit": True}], "rules": [{"description": "x"}]},
            "need its port",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_a_line(
    rules: Callable[..., Path], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        read_rules(rules(**changes))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ({"Modality": "MR", "SeriesDescription": "Sag T1 MPRAGE", "BodyPartExamined": "HEAD"}, 1),
        ({"Modality": "MR", "SeriesDescription": "sag t1 mprage ", "BodyPartExamined": "BRAIN"}, 1),
        ({"Modality": "MR", "SeriesDescription": "t1", "BodyPartExamined": "KNEE"}, 3),
        ({"Modality": "MR"}, 3),
        ({"Modality": "CT", "SeriesDescription": "Topogram"}, 0),
        ({"Modality": "CT", "SeriesDescription": "Head"}, 2),
        ({"Modality": "PT"}, None),
        ({}, None),
    ],
)
def test_the_first_rule_that_fits_counts(header: dict[str, str], chosen: int | None) -> None:
    rules = NodeRules(
        peers=(Peer(title="A", address="h", port=1),),
        rules=(
            Rule(modality="ct", description="topo*"),
            Rule(description="*t1*", body_part="[hb][er]*", to="ct"),
            Rule(calling="A", to="mr"),
            Rule(to="ct", model="phantom"),
        ),
    )
    shown = Dataset()
    for keyword, value in header.items():
        setattr(shown, keyword, value)
    assert choose_rule(rules, "A", shown) == (None if chosen is None else rules.rules[chosen])
    other = choose_rule(rules, "B", shown)
    assert other == (None if chosen in (None, 2) else rules.rules[chosen])


def test_without_pynetdicom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("medtranslate.node", "pynetdicom")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    with pytest.raises(UsageError, match=r'pip install "medtranslate\[node\]"'):
        importlib.import_module("medtranslate.node")
