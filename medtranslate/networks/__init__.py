"""Networks by name: a new one is a file here and a line in its dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from medtranslate import plugins
from medtranslate.config import NetworkSettings
from medtranslate.networks.gate import HIGHEST, KINDS, MODALITIES, SliceGate, pooled, shrink
from medtranslate.networks.generator import (
    Generated,
    Posterior,
    Told,
    VariationalGenerator,
    beside_itself,
)

if TYPE_CHECKING:
    from medtranslate.networks.discriminator import MultiScaleDiscriminator


def _multiscale(settings: NetworkSettings) -> MultiScaleDiscriminator:
    from medtranslate.networks.discriminator import MultiScaleDiscriminator  # and MONAI with it

    return MultiScaleDiscriminator(settings)


GENERATORS: Mapping[str, Callable[[NetworkSettings], VariationalGenerator]] = plugins.load(
    "medtranslate.generators", {"vae": VariationalGenerator}
)
DISCRIMINATORS: Mapping[str, Callable[[NetworkSettings], MultiScaleDiscriminator]] = plugins.load(
    "medtranslate.discriminators", {"multiscale": _multiscale}
)

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "HIGHEST",
    "KINDS",
    "MODALITIES",
    "Generated",
    "MultiScaleDiscriminator",
    "Posterior",
    "SliceGate",
    "Told",
    "VariationalGenerator",
    "beside_itself",
    "pooled",
    "shrink",
]


def __getattr__(name: str) -> Any:
    """Import the discriminator, and MONAI with it, only when it is asked for."""
    if name != "MultiScaleDiscriminator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from medtranslate.networks.discriminator import MultiScaleDiscriminator

    return MultiScaleDiscriminator
