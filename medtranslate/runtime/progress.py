"""Prints progress and warnings on stderr while a command works."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Never

from tqdm import tqdm


def warn(sentences: Iterable[str]) -> None:
    """Print warnings to stderr, each in one line, whatever characters it has."""
    for sentence in sentences:
        print(f"warning: {one_line(sentence)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Escape control characters, for example of file names."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def few(names: Sequence[str], most: int = 3) -> str:
    """List the first of some names, with dots if there are more: a, b, c, ..."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def gathered(said: Mapping[str, Iterable[str]], noun: str) -> list[str]:
    """Gather the sentences of several items, each once: `blurred (3 of 40 pictures: a, b, c)`.

    Args:
        said: sentences by item; those of a single item stay unchanged.
        noun: kind of the items, in the plural.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for name, sentences in said.items():
        for sentence in dict.fromkeys(sentences):
            names[sentence].append(name)
    if len(said) == 1:
        return list(names)
    return [f"{text} ({len(of)} of {len(said)} {noun}: {few(of)})" for text, of in names.items()]


class _Lines:
    """Stream that turns the redrawn bar into lines, for logs and pipes."""

    def write(self, text: str) -> None:
        if line := text.strip():
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(total: int, unit: str, what: str, *, done: int = 0, quiet: bool = False) -> tqdm[Never]:
    """Show a bar on a terminal, a plain line every half minute elsewhere; always on stderr.

    Args:
        total: units of the whole work.
        unit: a singular noun: image, slice.
        what: name of the work.
        done: units that earlier runs finished.
        quiet: show nothing.
    """
    style: dict[str, Any] = {
        "file": _Lines(),
        "mininterval": 30.0,
        "bar_format": "{desc}: {n_fmt} of {total_fmt} {unit}s, {elapsed} gone, {remaining} to go{postfix}",
    }
    if sys.stderr.isatty():
        style = {"mininterval": 0.2, "dynamic_ncols": True}
    return tqdm(total=total, initial=done, unit=unit, desc=what, disable=quiet, **style)
