"""Names of formats, networks, losses, profiles and views that settings take.

The built-in names stand here, so that settings and `--help` need neither torch nor the rooms that hold the
parts; a test compares them with those rooms. Other packages add names by entry points
(`medtranslate.plugins`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from medtranslate import plugins

BUILTIN: dict[str, tuple[str, ...]] = {
    "medtranslate.formats": ("dicom", "nifti", "mha", "nrrd", "mgh", "png"),
    "medtranslate.generators": ("vae",),
    "medtranslate.discriminators": ("multiscale",),
    "medtranslate.losses": (
        *("adversarial", "cycle", "identity", "kl", "structure"),
        *("anchor", "edges", "contrast", "agreement", "limit"),
    ),
    "medtranslate.profiles": ("image", "synthrad2023", "synthrad2025"),
    "medtranslate.views": ("html", "pdf", "csv", "cases", "json", "methods", "dicom"),
}
"""Built-in names by group of entry points, in the order of `--help`."""


@dataclass(frozen=True)
class OneOf:
    """Annotates a string that has to be a name of a group.

    Attributes:
        group: group of entry points.
        also: a second group, of which the names of other packages are taken, too.
        foreign: take the names of other packages alone, not the built-in ones.
    """

    group: str
    also: str | None = None
    foreign: bool = False

    def names(self) -> tuple[str, ...]:
        """List the names that are allowed.

        Raises:
            RunFailed: an installed package offers a name that is taken or not allowed.
        """
        builtin = BUILTIN[self.group]
        known = plugins.names(self.group, builtin)[len(builtin) if self.foreign else 0 :]
        others = plugins.names(self.also, ()) if self.also else ()
        return tuple(dict.fromkeys((*known, *others)))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, name: str) -> str:
        if name not in (known := self.names()):
            names = ", ".join(known) or "no installed package offers any"
            raise PydanticCustomError("one_of", "has to be one of: {names}", {"names": names})
        return name


FormatName = Annotated[str, OneOf("medtranslate.formats")]
GeneratorName = Annotated[str, OneOf("medtranslate.generators")]
DiscriminatorName = Annotated[str, OneOf("medtranslate.discriminators")]
OtherLossName = Annotated[str, OneOf("medtranslate.losses", foreign=True)]
ProfileName = Annotated[str, OneOf("medtranslate.profiles")]
ViewName = Annotated[str, OneOf("medtranslate.views", also="medtranslate.translation_views")]
