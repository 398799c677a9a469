"""Reads the YAML file of a node, and chooses the rule of a series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from pydicom.dataset import Dataset

from medtranslate.config import NodeRules, Peer, Rule, build, read_yaml
from medtranslate.errors import SettingsError
from medtranslate.modality import OTHER


def read_rules(path: Path) -> NodeRules:
    """Read the YAML file of a node.

    Raises:
        SettingsError: a value is wrong; two peers share a title; a rule names no peer, or a result could be
            sent to none; storage commitment is wanted of a peer without a port, or TLS without certificates.
    """
    rules = build(NodeRules, read_yaml(path), str(path))
    titles = Counter(peer.title for peer in rules.peers)
    if twice := [title for title, count in titles.items() if count > 1]:
        raise SettingsError(f"{path}: peers: {twice[0]} is there twice; give each title once")
    for index, rule in enumerate(rules.rules, start=1):
        named = [*rule.send_to, *([rule.calling] if rule.calling else [])]
        if unknown := [title for title in named if title not in titles]:
            raise SettingsError(f"{path}: rule {index}: {unknown[0]} is no peer; add it to `peers`")
        for peer in rules.peers if rule.to else ():
            if peer.port is None and peer.title in _receivers(rule, rules.peers):
                raise SettingsError(
                    f"{path}: rule {index}: its result may go to {peer.title}, which has no port; give it a"
                    " port, or the rule `send_to`"
                )
    if lost := [peer.title for peer in rules.peers if (peer.commit or peer.confirm) and not peer.port]:
        raise SettingsError(f"{path}: peer {lost[0]}: commit and confirm need its port; add it")
    if rules.tls is None and (wants := [peer.title for peer in rules.peers if peer.tls]):
        raise SettingsError(f"{path}: peer {wants[0]}: tls needs the certificates of `tls`; add them")
    if rules.tls:
        own = path.absolute().parent
        files = replace(rules.tls, cert=own / rules.tls.cert, key=own / rules.tls.key, ca=own / rules.tls.ca)
        rules = replace(rules, tls=files)
    return rules


def _receivers(rule: Rule, peers: Sequence[Peer]) -> tuple[str, ...]:
    """List the titles to which the result of a rule may go."""
    if rule.send_to:
        return rule.send_to
    return (rule.calling,) if rule.calling else tuple(peer.title for peer in peers)


def choose_rule(rules: NodeRules, caller: str, header: Dataset) -> Rule | None:
    """Choose the first rule whose conditions a series meets; None if there is none.

    Args:
        header: of one image of the series.
    """
    modality = str(header.get("Modality", "")).lower()
    for rule in rules.rules:
        wanted = rule.modality or (OTHER[rule.to] if rule.to else modality)
        if (
            rule.calling in (None, caller)
            and wanted == modality
            and _fits(rule.description, header.get("SeriesDescription"))
            and _fits(rule.body_part, header.get("BodyPartExamined"))
        ):
            return rule
    return None


def _fits(pattern: str | None, value: object) -> bool:
    return pattern is None or fnmatchcase(str(value or "").strip().lower(), pattern.lower())
