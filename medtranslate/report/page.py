"""Renders a page as one file: template, style and the scripts of one page; a policy forbids all else."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = "templates"
VIEWER_SCRIPTS = (
    "volumes.js",
    "drawing.js",
    "compare.js",
    "regions.js",
    "measuring.js",
    "zooming.js",
    "moving.js",
    "scales.js",
    "curves.js",
    "keeping.js",
    "viewer.js",
)
"""Scripts of a page with a viewer; the last one starts it."""
_PAGES = Environment(
    loader=PackageLoader("medtranslate.report", _TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.policies["json.dumps_kwargs"] = {"sort_keys": False}


def render(template: str, *scripts: str, **values: object) -> str:
    """Render a template.

    Every text among `values` is escaped. The page's Content-Security-Policy allows its embedded pictures, and
    its own style and script by their SHA-256, and nothing from a network.

    Args:
        template: name of a file in `templates`.
        scripts: names of files in `templates`, which run as one script in one scope, in this order.
        values: variables of the template. `about` holds terms and texts under the title.
    """
    style, code = _text("report.css"), _bundle(scripts)
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(style)}'"
    if code:
        policy += f"; script-src '{_digest(code)}'"
    return _PAGES.get_template(template).render(
        policy=Markup(policy),
        style=Markup(style),
        script=Markup(code),
        version=version("medtranslate"),
        day=_day(),
        **{"about": (), **values},
    )


@cache
def _bundle(names: tuple[str, ...]) -> str:
    """Join scripts to one: their functions see each other, and nothing else does."""
    parts = "".join(_text(name) for name in names)
    return f'"use strict";\n(() => {{\n{parts}}})();\n' if parts else ""


def _day() -> str:
    """Return the day of the page (UTC), or that of SOURCE_DATE_EPOCH, which makes pages reproducible."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(fixed), UTC) if fixed.isdecimal() else datetime.now(UTC)
    return f"{moment:%Y-%m-%d}"


@cache
def _text(name: str) -> str:
    return (files("medtranslate.report") / _TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return a source expression of CSP level 2: SHA-256 of the text between the tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
