"""Makes a command of a settings class and one function."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import click
from click.core import ParameterSource

from medtranslate.cli.options import SHARED, leaves, parameters, path_of
from medtranslate.config import build
from medtranslate.errors import Unreadable
from medtranslate.interrupts import raise_again

Settings = TypeVar("Settings")

_SHOWN = ("json", "quiet")
"""Options that are no settings."""

SOME_FAILED = 4
"""Exit code of a command that failed on some of many items."""


@dataclass(frozen=True)
class Answer:
    """Output of a command.

    Attributes:
        values: the JSON object.
        lines: text for people.
        warnings: text for people on stderr, about this input.
        notes: text for people on stderr that would be the same for any input.
        failure: one sentence on the part of the work that failed; the command then ends with `SOME_FAILED`.
    """

    values: Mapping[str, Any]
    lines: Sequence[str] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    failure: str = ""

    def show(self, *, as_json: bool, quiet: bool) -> None:
        """Print to stdout: JSON, or the lines, or nothing. Line breaks within a line are removed."""
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
        sections: headings of the help page, with the fields below each; other fields are below "Options".
    """

    def __init__(
        self,
        name: str,
        kind: type[Settings],
        act: Callable[[Settings, bool], Answer],
        room: str,
        *,
        help: str,
        arguments: tuple[str, ...] = (),
        sections: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        made = parameters(kind, arguments)
        more = _help_all(hidden=not any(leaf.rare for leaf in leaves(kind)))
        super().__init__(name, params=[*made, *SHARED, more], help=help)
        self.kind, self.act, self.room = kind, act, room
        self.arguments, self.sections = arguments, sections or {}
        self.base: Mapping[str, Any] = {}
        self.origin = name

    def over(self, base: Mapping[str, Any], origin: str) -> SettingsCommand[Settings]:
        """Make the same command with values of a file below its options and above the defaults.

        Args:
            base: the values.
            origin: the file, for messages.
        """
        command = copy(self)
        command.base, command.origin = base, origin
        command.params = [copy(param) for param in self.params]
        for param in command.params:
            param.required = False
        return command

    def invoke(self, ctx: click.Context) -> None:
        """Settle the settings (option, then base, then default), act, answer."""
        as_json, quiet = ctx.params["json"], ctx.params["quiet"]
        settings = build(self.kind, self.complete(self.given(ctx)), self.origin)
        self._require_inputs(settings)
        importlib.import_module(f"medtranslate.{self.room}")
        from medtranslate.runtime import one_line

        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        raise_again()
        answer = self.act(settings, quiet)
        answer.show(as_json=as_json, quiet=quiet)
        if answer.failure:
            print(f"error: {one_line(answer.failure)}", file=sys.stderr)
            ctx.exit(SOME_FAILED)

    def given(self, ctx: click.Context) -> dict[str, Any]:
        """Lay the options of the command line over the values of the file."""
        values = dict(self.base)
        for name, value in ctx.params.items():
            if name in _SHOWN or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
                continue
            values = merge(values, nest(path_of(name), value))
        return values

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add settings that follow from the given ones; here none."""
        return dict(values)

    def _require_inputs(self, settings: Settings) -> None:
        """Refuse inputs that do not exist; a pattern such as `data/*/ct.nii.gz` is for the room to match."""
        inputs = [leaf.path[0] for leaf in leaves(self.kind) if leaf.existing]
        paths = [path for name in inputs if (path := getattr(settings, name)) is not None]
        missing = [path for path in paths if not path.exists() and not {"*", "?"} & {*str(path)}]
        if not missing:
            return
        from medtranslate.runtime import require_input

        outputs = [getattr(settings, name) for name in self.arguments[1:] if name not in inputs]
        for output in outputs:
            require_input(missing[0], output)
        raise Unreadable(f"{missing[0]}: does not exist; check the path")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Explain the arguments, then the options under their headings."""
        if self.arguments:
            explained = {leaf.path[0]: leaf.help for leaf in leaves(self.kind)}
            with formatter.section("Arguments"):
                formatter.write_dl([(name.upper(), explained[name]) for name in self.arguments])
        shown: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *self.sections)}
        for param in self.get_params(ctx):
            option = copy(param)
            if isinstance(option, click.Option):
                option.hidden = option.hidden and _ALL not in ctx.meta
                if row := option.get_help_record(ctx):
                    shown.setdefault(self._heading(option), []).append(row)
        shared = shown.pop(_SHARED)
        for title, rows in (shown | {_SHARED: shared}).items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _heading(self, option: click.Option) -> str:
        if _SHARED_FLAGS & {*option.opts}:
            return _SHARED
        *group, field = path_of(option.name or "")
        named = [title for title, fields in self.sections.items() if (group or [field])[0] in fields]
        return (*named, f"{group[0].capitalize()} options" if group else "Options")[0]


def _show_all(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


def _help_all(*, hidden: bool) -> click.Option:
    return click.Option(
        ["--help-all"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        hidden=hidden,
        callback=_show_all,
        help="Show every option, also those that few users need, and exit.",
    )


_ALL = "medtranslate.help-all"
_SHARED = "Shared options"
_SHARED_FLAGS = {"--json", "--quiet", "--debug", "--help", "--help-all"}


def nest(path: Sequence[str], value: object) -> dict[str, Any]:
    """Return {"loss": {"cycle": 4}} for ("loss", "cycle"), 4."""
    first, *rest = path
    return {first: nest(rest, value) if rest else value}


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `above` over `below`, group by group."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = merge(under, value)
        both[key] = value
    return both
