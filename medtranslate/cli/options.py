"""Makes a command's arguments and options from the fields of its settings class."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click

from medtranslate.config import EXISTING, RARE, OneOf

SHARED = (
    click.Option(["--json"], is_flag=True, help="Print one JSON object on stdout and nothing else."),
    click.Option(["--quiet"], is_flag=True, help="Print no progress and no closing lines."),
    click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."),
)
"""Options of every command."""

_DOT = "__"
"""Stands for the dot of `--loss.cycle` in a parameter's name, which must be an identifier."""


class _Choice(click.Choice[Any]):
    """Shows the choices in the help; the settings check the value (`mri` means `mr`)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # A choice may be a number, of which the command line has the text.
        return {str(choice): choice for choice in self.choices}.get(str(value), str(value))


class _List(click.ParamType[Any]):
    """Values separated by commas.

    Attributes:
        shown: placeholder of one value in the help.
    """

    name = "list"

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"{self.shown},..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value.split(",") if isinstance(value, str) else value


def parameters(kind: type, arguments: Collection[str]) -> list[click.Parameter]:
    """Make click parameters for each field of a settings class, in order, groups as dotted options.

    Args:
        kind: a settings class of `medtranslate.config`.
        arguments: fields that are given by position.
    """
    return [_parameter(leaf, arguments) for leaf in leaves(kind)]


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One settable field.

    Attributes:
        path: ("loss", "cycle") for `loss.cycle`.
        hint: its type, with annotations.
        default: None where there is none.
        optional: need not be given.
        rare: shown by `--help-all` alone.
        existing: a path that is read.
    """

    path: tuple[str, ...]
    hint: Any
    help: str
    default: Any
    optional: bool
    rare: bool = False
    existing: bool = False


def leaves(kind: type, above: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield the fields of a settings class, with those of its groups and of names that packages add."""
    hints = get_type_hints(kind, include_extras=True)
    described = kind.__pydantic_fields__  # type: ignore[attr-defined]  # set by pydantic's dataclass
    for field in dataclasses.fields(kind):
        info, hint = described[field.name], hints[field.name]
        path = (*above, info.alias or field.name)
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            yield from leaves(hint, path)
        elif get_origin(hint) is dict:
            key, value = get_args(hint)
            for name in _names(key):
                yield Leaf((*path, name), value, f"Weight of the loss {name}.", 0.0, optional=True)
        else:
            default = None if info.is_required() else info.default
            marks = getattr(hint, "__metadata__", ())
            about = info.description or "", default, not info.is_required()
            yield Leaf(path, hint, *about, rare=RARE in marks, existing=EXISTING in marks)


def path_of(name: str) -> tuple[str, ...]:
    """Return the path of the setting that a parameter's name stands for."""
    return tuple(name.split(_DOT))


def _parameter(leaf: Leaf, arguments: Collection[str]) -> click.Parameter:
    name, hint = _DOT.join(leaf.path), _bare(leaf.hint)
    needed = not leaf.optional
    if name in arguments:
        return click.Argument([name], required=needed, **_shape(leaf.hint))
    flag = "--" + ".".join(leaf.path).replace("_", "-")
    if hint is bool and leaf.default is not False:
        flag += "/--" + ".".join((*leaf.path[:-1], "no-" + leaf.path[-1])).replace("_", "-")
    shown: dict[str, Any] = {"default": leaf.default, "show_default": "on" if hint is bool else True}
    if leaf.default is None or leaf.default is False or leaf.default == "":
        shown = {}
    return click.Option(
        [flag, name], help=leaf.help, required=needed, hidden=leaf.rare, **shown, **_shape(leaf.hint)
    )


def _shape(hint: Any) -> dict[str, Any]:
    """Say how click reads a value of a field's type."""
    bare, names = _bare(hint), _names(hint)
    if names:
        return {"type": _Choice(names)}
    if bare is bool:
        return {"is_flag": True}
    if bare is Path:
        return {"type": click.Path(path_type=Path)}
    if get_origin(bare) is Literal:
        return {"type": _Choice(get_args(bare))}
    if get_origin(bare) is tuple:
        items = get_args(bare)
        if items[-1] is not Ellipsis:
            return {"type": tuple(map(_bare, items))}
        choices = "|".join(_names(items[0]))
        return {"type": _List(f"[{choices}]" if choices else "NAME" if items[0] is str else "N")}
    return {"type": bare}


def _bare(hint: Any) -> Any:
    """Strip a type of `Annotated` and of `| None`."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return _bare(_without_none(hint))
    return hint


def _names(hint: Any) -> tuple[str, ...]:
    """List the names that a string of this type may have; empty for other types."""
    if get_origin(hint) in (Union, types.UnionType):
        return _names(_without_none(hint))
    if get_origin(hint) is not Annotated:
        return ()
    inside, *notes = get_args(hint)
    return next((note.names() for note in notes if isinstance(note, OneOf)), ()) or _names(inside)


def _without_none(hint: Any) -> Any:
    return next(item for item in get_args(hint) if item is not type(None))
