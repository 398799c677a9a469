"""Networks by name: a new one is a file here and a line in its dict."""

from __future__ import annotations

from collections.abc import Callable

from medtranslate.config import DiscriminatorName, GeneratorName, NetworkSettings
from medtranslate.networks.discriminator import MultiScaleDiscriminator
from medtranslate.networks.gate import HIGHEST, KINDS, MODALITIES, SliceGate, pooled, shrink
from medtranslate.networks.generator import Generated, Posterior, VariationalGenerator

GENERATORS: dict[GeneratorName, Callable[[NetworkSettings], VariationalGenerator]] = {
    "vae": VariationalGenerator,
}
DISCRIMINATORS: dict[DiscriminatorName, Callable[[NetworkSettings], MultiScaleDiscriminator]] = {
    "multiscale": MultiScaleDiscriminator,
}

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
    "VariationalGenerator",
    "pooled",
    "shrink",
]
