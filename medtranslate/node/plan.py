"""Reads the YAML file of a node, and chooses the rule of a series."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from pydicom.dataset import Dataset

from medtranslate.config import NodeRules, Peer, Rule, WebServer, build, read_yaml
from medtranslate.errors import SettingsError
from medtranslate.modality import OTHER

_HERE = ("localhost", "127.0.0.1", "[::1]")
_CREDENTIALS = re.compile(r"[!-~]+ [ -~]*[!-~]")
"""Scheme and credentials (RFC 9110 11.4)."""


def read_rules(path: Path) -> NodeRules:
    """Read the YAML file of a node.

    Raises:
        SettingsError: a value is wrong; two destinations share a title; a rule names an unknown one, or a
            result could be sent to none; storage commitment is wanted of a peer without a port, TLS without
            certificates; a file of credentials is missing or wrong, or they would go unencrypted.
    """
    rules = build(NodeRules, read_yaml(path), str(path))
    peers = {peer.title for peer in rules.peers}
    titles = Counter([*(peer.title for peer in rules.peers), *(server.title for server in rules.dicomweb)])
    if twice := [title for title, count in titles.items() if count > 1]:
        raise SettingsError(f"{path}: peers and dicomweb: {twice[0]} is there twice; give each title once")
    for index, rule in enumerate(rules.rules, start=1):
        if rule.calling and rule.calling not in peers:
            raise SettingsError(f"{path}: rule {index}: {rule.calling} is no peer; add it to `peers`")
        if unknown := [title for title in rule.send_to if title not in titles]:
            raise SettingsError(
                f"{path}: rule {index}: {unknown[0]} is neither a peer nor a DICOMweb server; add it to"
                " `peers` or `dicomweb`"
            )
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
    return _found(rules, path.absolute().parent)


def _found(rules: NodeRules, own: Path) -> NodeRules:
    """Find the files that the rules name, relative to a folder, and check the credentials among them."""
    if rules.tls:
        files = replace(rules.tls, cert=own / rules.tls.cert, key=own / rules.tls.key, ca=own / rules.tls.ca)
        rules = replace(rules, tls=files)
    return replace(rules, dicomweb=tuple(_checked(server, own) for server in rules.dicomweb))


def _checked(server: WebServer, own: Path) -> WebServer:
    if server.authorization is None:
        return server
    if server.url.scheme == "http" and server.url.host not in _HERE:
        raise SettingsError(f"dicomweb {server.title}: its authorization would go unencrypted; use https")
    server = replace(server, authorization=own / server.authorization)
    assert server.authorization is not None
    read_authorization(server.authorization)
    return server


def read_authorization(path: Path) -> str:
    """Read the value of an Authorization header.

    Raises:
        SettingsError: the file is missing, or holds something else.
    """
    try:
        value = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        value = ""
    if not _CREDENTIALS.fullmatch(value):
        raise SettingsError(
            f"{path}: no authorization can be read; write one line, of a scheme and its credentials, such as"
            " `Bearer TOKEN`"
        )
    return value


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
