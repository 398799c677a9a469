"""Translation between CT and MR images of the same anatomy, learnt from unpaired data.

    import medtranslate as mt

    mr = mt.read("study/mr")
    ct = mt.translate(mr, to="ct")
    mt.write(ct, "synthetic-ct")
    print(mt.score(ct, mt.read("study/ct")).volume)

Each name is imported when it is first used, so that `import medtranslate` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from medtranslate._version import __version__
except ImportError:  # a checkout that was never built
    __version__ = "0.1.0.dev0"

_HOMES = {
    "Volume": "io",
    "convert": "api",
    "digital_head": "api",
    "errors": "",
    "load": "api",
    "models": "api",
    "read": "api",
    "score": "api",
    "train": "api",
    "translate": "api",
    "view": "notebook",
    "write": "api",
}
"""Module of each public name; "" for one that is a module itself."""

if TYPE_CHECKING:
    from medtranslate import errors as errors
    from medtranslate.api import convert as convert
    from medtranslate.api import digital_head as digital_head
    from medtranslate.api import load as load
    from medtranslate.api import models as models
    from medtranslate.api import read as read
    from medtranslate.api import score as score
    from medtranslate.api import train as train
    from medtranslate.api import translate as translate
    from medtranslate.api import write as write
    from medtranslate.io import Volume as Volume
    from medtranslate.notebook import view as view

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    found = import_module(f"{__name__}.{home or name}")
    return getattr(found, name) if home else found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
