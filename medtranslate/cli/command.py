"""A command made of a settings class and one function."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

import click
from click.core import ParameterSource

from medtranslate.cli.options import SHARED, leaves, parameters, path_of
from medtranslate.config import build
from medtranslate.interrupts import raise_again

Settings = TypeVar("Settings")

SOME_FAILED = 4
"""Exit code of a command that did many things, and some of them not."""


@dataclass(frozen=True)
class Answer:
    """What a command says when it is done.

    Attributes:
        values: the JSON object.
        lines: for people.
        warnings: for people, on stderr; of what is special to this input.
        notes: likewise, of what is so whatever the input.
        failure: of a part of the work, in one sentence; the command ends with `SOME_FAILED` then.
    """

    values: Mapping[str, Any]
    lines: Sequence[str] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    failure: str = ""

    def show(self, *, as_json: bool, quiet: bool) -> None:
        """Print to stdout: JSON, or the lines, or nothing; a line stays one whatever names are in it."""
        from medtranslate.runtime import one_line

        if as_json:
            print(json.dumps(self.values, indent=2, allow_nan=False))
            return
        for warning in self.warnings:
            colour = "yellow" if warning.startswith("doubtful:") else None
            click.secho(f"warning: {one_line(warning)}", fg=colour, err=True)
        for note in () if quiet else self.notes:
            print(f"note: {one_line(note)}", file=sys.stderr)
        for line in () if quiet else self.lines:
            print(one_line(line))


class SettingsCommand(click.Command, Generic[Settings]):
    """A command whose arguments and options are the fields of `kind`.

    Args:
        kind: settings class.
        act: called with the settings and `quiet`.
        room: package that does the work; it is imported before `act` is called.
        help: text of the help page.
        arguments: fields given by position.
        base: values below the options (a pipeline's), above the defaults.
        origin: where the values come from, for messages.
    """

    def __init__(
        self,
        name: str,
        kind: type[Settings],
        act: Callable[[Settings, bool], Answer],
        room: str,
        help: str,
        arguments: tuple[str, ...] = (),
        base: Mapping[str, Any] | None = None,
        origin: str | None = None,
    ) -> None:
        made = parameters(kind, arguments, required=base is None)
        super().__init__(name, params=[*made, *SHARED], help=help)
        self.kind, self.act, self.room, self.arguments = kind, act, room, arguments
        self.base, self.origin = base or {}, origin or name

    def over(self, base: Mapping[str, Any], origin: str) -> SettingsCommand[Settings]:
        """The same command with values of a file below its options."""
        return SettingsCommand(
            self.name or "", self.kind, self.act, self.room, self.help or "", self.arguments, base, origin
        )

    def invoke(self, ctx: click.Context) -> None:
        """Settle the settings (option, then base, then default), act, answer."""
        as_json, quiet = ctx.params.pop("json"), ctx.params.pop("quiet")
        values = dict(self.base)
        for name, value in ctx.params.items():
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                values = merge(values, nest(path_of(name), value))
        settings = build(self.kind, values, self.origin)
        importlib.import_module(f"medtranslate.{self.room}")
        from medtranslate.runtime import one_line

        raise_again()
        answer = self.act(settings, quiet)
        answer.show(as_json=as_json, quiet=quiet)
        if answer.failure:
            print(f"error: {one_line(answer.failure)}", file=sys.stderr)
            ctx.exit(SOME_FAILED)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The arguments explained, and the options under a heading for each group of settings."""
        if self.arguments:
            explained = {leaf.path[0]: leaf.help for leaf in leaves(self.kind)}
            with formatter.section("Arguments"):
                formatter.write_dl([(name.upper(), explained[name]) for name in self.arguments])
        options = [option for option in self.get_params(ctx) if isinstance(option, click.Option)]
        for title, group in groupby(options, _heading):
            with formatter.section(title):
                formatter.write_dl([row for option in group if (row := option.get_help_record(ctx))])


def _heading(option: click.Option) -> str:
    if option in SHARED or "--help" in option.opts:
        return "Shared options"
    *group, _ = path_of(option.name or "")
    return f"{group[0].capitalize()} options" if group else "Options"


def nest(path: Sequence[str], value: object) -> dict[str, Any]:
    """("loss", "cycle"), 4 as {"loss": {"cycle": 4}}."""
    first, *rest = path
    return {first: nest(rest, value) if rest else value}


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, group by group."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = merge(under, value)
        both[key] = value
    return both
