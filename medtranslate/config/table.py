"""Lists the settings class of each command."""

from __future__ import annotations

from medtranslate.config.batches import BatchSettings
from medtranslate.config.commands import ConvertSettings, InfoSettings, TranslateSettings
from medtranslate.config.engines import BidsAppSettings, MercureSettings
from medtranslate.config.making import DemoSettings, PhantomSettings, PrepareSettings
from medtranslate.config.node import NodeSettings
from medtranslate.config.scoring import CalibrateSettings, CycleSettings, EvaluateSettings, ReportSettings
from medtranslate.config.training import TrainSettings

COMMANDS: dict[str, type] = {
    "batch": BatchSettings,
    "bids-app": BidsAppSettings,
    "calibrate": CalibrateSettings,
    "convert": ConvertSettings,
    "cycle": CycleSettings,
    "demo": DemoSettings,
    "evaluate": EvaluateSettings,
    "info": InfoSettings,
    "mercure": MercureSettings,
    "node": NodeSettings,
    "phantom": PhantomSettings,
    "prepare": PrepareSettings,
    "report": ReportSettings,
    "train": TrainSettings,
    "translate": TranslateSettings,
}
"""Commands that `run` can take from a pipeline file, with their settings."""
