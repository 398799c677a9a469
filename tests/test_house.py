"""Limits of size that ruff does not measure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = {"medtranslate": 300, "benchmarks": 300, "tests": 650}
"""Of a module, by the folder at the top."""
SCREEN = 60
"""Lines of a function, with its docstring."""


def modules(folder: str) -> Iterator[Path]:
    return iter(sorted((ROOT / folder).rglob("*.py")))


@pytest.mark.parametrize("folder", LINES)
def test_a_module_is_a_page_and_a_function_fits_a_screen(folder: str) -> None:
    long = []
    for path in modules(folder):
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > LINES[folder]:
            long.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                length = node.end_lineno - node.lineno + 1
                if length > SCREEN:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {length} lines")
    assert long == []
