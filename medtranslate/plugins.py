"""Finds parts by name: formats, networks, losses, profiles, scores and views, also those of other packages.

Another package offers a part by an entry point of its distribution, in the group of the part's kind:

    [project.entry-points."medtranslate.losses"]
    variation = "my_package:variation"

The groups are `medtranslate.formats`, `.generators`, `.discriminators`, `.losses`, `.profiles`, `.scores`,
`.views` and `.translation_views`. Reading the names imports none of these packages: settings and help
need no more. A part is imported when it is first used.
"""

from __future__ import annotations

import pkgutil
import re
from collections import UserDict
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from medtranslate.errors import RunFailed

Part = TypeVar("Part")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""Names are keys in YAML and JSON, words on the command line and parts of file names."""


def names(group: str, builtin: Iterable[str]) -> tuple[str, ...]:
    """List the names of a kind: the built-in ones, then those of other packages in alphabetical order.

    Args:
        group: the group of entry points, such as `medtranslate.losses`.
        builtin: names that medtranslate has itself.

    Raises:
        RunFailed: a package offers a name that is taken or not allowed.
    """
    own = tuple(builtin)
    return (*own, *_offered(group, own))


def load(group: str, builtin: Mapping[str, Part | str]) -> MutableMapping[str, Part]:
    """Collect the parts of a kind by name; those of other packages are imported when they are first used.

    Args:
        group: the group of entry points.
        builtin: medtranslate's own parts; or their places, "module:attribute", to import these when they are
            first used, too.

    Raises:
        RunFailed: a package offers a name that is taken or not allowed; or, when its part is used, it can't
            be imported.
    """
    return _Parts({**builtin, **_offered(group, builtin)})


class _Parts(UserDict[str, Any]):
    """Parts by name, some of them as places until they are used."""

    def __getitem__(self, name: str) -> Any:
        part = super().__getitem__(name)
        if isinstance(part, EntryPoint):
            part = self.data[name] = _import(part)
        if isinstance(part, str):
            part = self.data[name] = pkgutil.resolve_name(part)
        return part


def _offered(group: str, taken: Collection[str]) -> dict[str, EntryPoint]:
    """Look up the entry points of other packages by name, in alphabetical order."""
    offered: dict[str, EntryPoint] = {}
    for entry in found(group):
        if not _NAME.fullmatch(entry.name):
            raise RunFailed(
                f"{_owner(entry)}: the name has to be lower-case letters, digits and _, at most 32"
            )
        if entry.name in taken:
            raise RunFailed(f"{_owner(entry)}: medtranslate has this name itself; rename or uninstall it")
        if entry.name in offered:
            raise RunFailed(f"{_owner(entry)}: {_owner(offered[entry.name])}, too; uninstall one of them")
        offered[entry.name] = entry
    return offered


@cache
def found(group: str) -> tuple[EntryPoint, ...]:
    """Find the entry points of a group in the packages that are installed."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


def _import(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise RunFailed(
            f"{_owner(entry)}: {entry.value} can't be imported ({reason}); mend or uninstall it"
        ) from error


def _owner(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist else "a package"
    return f"{package} offers {entry.name!r} in {entry.group}"
