"""`medtranslate export`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import ExportSettings


def act(settings: ExportSettings, quiet: bool) -> Answer:
    """Export one model."""
    from medtranslate.export import export_model
    from medtranslate.export.index import as_json

    index = export_model(settings)
    lines = [f"{name}: SHA-256 {digest}" for name, digest in index.files.items()]
    return Answer(as_json(index), [*lines, f"written: {settings.output}"])


command = SettingsCommand(
    "export",
    ExportSettings,
    act,
    "export",
    help="""Write MODEL for other engines into the folder OUTPUT: as a MONAI bundle, with which `python -m
    monai.bundle run` translates, or as ONNX files, one for each direction, which are compared with the model
    in ONNX Runtime. `medtranslate models import` makes a model of either.""",
    arguments=("model", "output"),
)
