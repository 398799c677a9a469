"""Settings of every command: frozen, validated, unknown keys refused, kept as YAML.

A command's options are the fields of its settings class (`medtranslate.cli.options` makes them), a
pipeline file holds the same names, and the settings that a command ran with are written beside its
output. The string under a field is its help text.
"""

from __future__ import annotations

from medtranslate.config.batches import UNTOLD, BatchSettings
from medtranslate.config.commands import (
    COMMANDS,
    ConvertSettings,
    InfoSettings,
    TranslateSettings,
    stack_spacing,
)
from medtranslate.config.making import DemoSettings, PhantomSettings, PrepareSettings
from medtranslate.config.names import (
    BUILTIN,
    DiscriminatorName,
    FormatName,
    GeneratorName,
    OneOf,
    ProfileName,
    ViewName,
)
from medtranslate.config.scoring import CalibrateSettings, CycleSettings, EvaluateSettings, ReportSettings
from medtranslate.config.training import (
    AugmentSettings,
    LossSettings,
    NetworkSettings,
    ScaleSettings,
    TrainSettings,
)
from medtranslate.config.types import (
    EXISTING,
    PATIENTS,
    RARE,
    Anatomy,
    Device,
    Ends,
    Fraction,
    FrameName,
    Modality,
    ModelName,
    NanTo,
    PhantomContrast,
    Positive,
    Precision,
    Spacing,
    StreamContrast,
    Weight,
    nan_value,
)
from medtranslate.config.values import build, plain, read_yaml, write_yaml

__all__ = [
    "BUILTIN",
    "COMMANDS",
    "EXISTING",
    "PATIENTS",
    "RARE",
    "UNTOLD",
    "Anatomy",
    "AugmentSettings",
    "BatchSettings",
    "CalibrateSettings",
    "ConvertSettings",
    "CycleSettings",
    "DemoSettings",
    "Device",
    "DiscriminatorName",
    "Ends",
    "EvaluateSettings",
    "FormatName",
    "Fraction",
    "FrameName",
    "GeneratorName",
    "InfoSettings",
    "LossSettings",
    "Modality",
    "ModelName",
    "NanTo",
    "NetworkSettings",
    "OneOf",
    "PhantomContrast",
    "PhantomSettings",
    "Positive",
    "Precision",
    "PrepareSettings",
    "ProfileName",
    "ReportSettings",
    "ScaleSettings",
    "Spacing",
    "StreamContrast",
    "TrainSettings",
    "TranslateSettings",
    "ViewName",
    "Weight",
    "build",
    "nan_value",
    "plain",
    "read_yaml",
    "stack_spacing",
    "write_yaml",
]
