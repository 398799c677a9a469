"""A command's arguments and options, made from the fields of its settings class."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click

SHARED = (
    click.Option(["--json"], is_flag=True, help="Print one JSON object on stdout and nothing else."),
    click.Option(["--quiet"], is_flag=True, help="No progress and no closing lines."),
    click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of a failure."),
)
"""Options of every command."""

_DOT = "__"
"""Stands for the dot of `--loss.cycle` in a parameter's name, which must be an identifier."""


class _Choice(click.Choice[str]):
    """Shows the choices; which values are right (`mri` for `mr`, too) is for the settings to say."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


class _List(click.ParamType[Any]):
    """Values separated by commas."""

    name = "list"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value.split(",") if isinstance(value, str) else value


def parameters(kind: type, arguments: Collection[str], *, required: bool) -> list[click.Parameter]:
    """Click parameters for each field of a settings class, in order, groups as dotted options.

    Args:
        kind: a settings class of `medtranslate.config`.
        arguments: fields that are given by position.
        required: whether fields without a default must be on the command line.
    """
    return [_parameter(field, arguments, required) for field in leaves(kind)]


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One settable field; `path` is ("loss", "cycle") for `loss.cycle`, `default` None without one."""

    path: tuple[str, ...]
    hint: Any
    help: str
    default: Any
    optional: bool


def leaves(kind: type, above: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """The fields of a settings class, those of its groups included."""
    hints = get_type_hints(kind, include_extras=True)
    described = kind.__pydantic_fields__  # type: ignore[attr-defined]  # set by pydantic's dataclass
    for field in dataclasses.fields(kind):
        info = described[field.name]
        path, hint = (*above, info.alias or field.name), _bare(hints[field.name])
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            yield from leaves(hint, path)
            continue
        optional = not info.is_required()
        default = info.default if optional else None
        yield Leaf(path, hint, info.description or "", default, optional)


def path_of(name: str) -> tuple[str, ...]:
    """The settings path of a parameter's name."""
    return tuple(name.split(_DOT))


def _parameter(leaf: Leaf, arguments: Collection[str], required: bool) -> click.Parameter:
    name = _DOT.join(leaf.path)
    needed = required and not leaf.optional
    if name in arguments:
        return click.Argument([name], required=needed, **_shape(leaf.hint))
    flag = "--" + ".".join(leaf.path).replace("_", "-")
    if leaf.hint is bool and leaf.default is not False:
        flag += "/--" + ".".join((*leaf.path[:-1], "no-" + leaf.path[-1])).replace("_", "-")
    shown: dict[str, Any] = {"default": leaf.default, "show_default": "on" if leaf.hint is bool else True}
    if leaf.default is None or leaf.default is False or leaf.default == "":
        shown = {}
    return click.Option([flag, name], help=leaf.help, required=needed, **shown, **_shape(leaf.hint))


def _shape(hint: Any) -> dict[str, Any]:
    """How click reads a value of a field's type."""
    if hint is bool:
        return {"is_flag": True}
    if hint is Path:
        return {"type": click.Path(path_type=Path)}
    if get_origin(hint) is Literal:
        return {"type": _Choice(get_args(hint))}
    if get_origin(hint) is tuple:
        items = get_args(hint)
        return {"type": _List()} if items[-1] is Ellipsis else {"type": tuple(map(_bare, items))}
    return {"type": hint}


def _bare(hint: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return _bare(next(item for item in get_args(hint) if item is not type(None)))
    return hint
