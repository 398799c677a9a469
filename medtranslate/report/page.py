"""Renders a page as one file: template, style and at most one script; a policy forbids all else."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = "templates"
_PAGES = Environment(
    loader=PackageLoader("medtranslate.report", _TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.policies["json.dumps_kwargs"] = {"sort_keys": False}


def render(template: str, script: str | None = None, **values: object) -> str:
    """Render a template.

    Every text among `values` is escaped. The page's Content-Security-Policy allows its embedded pictures, and
    its own style and script by their SHA-256, and nothing from a network.

    Args:
        template: name of a file in `templates`.
        script: name of a file in `templates`, or None for a page without a script.
        values: variables of the template.
    """
    style, code = _text("report.css"), _text(script) if script else ""
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(style)}'"
    if script:
        policy += f"; script-src '{_digest(code)}'"
    return _PAGES.get_template(template).render(
        policy=Markup(policy),
        style=Markup(style),
        script=Markup(code),
        version=version("medtranslate"),
        **values,
    )


@cache
def _text(name: str) -> str:
    return (files("medtranslate.report") / _TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return a source expression of CSP level 2: SHA-256 of the text between the tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
