"""Writes an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from medtranslate import __version__
from medtranslate.checkpoint import Model, find_model, load_model
from medtranslate.config import ExportSettings, plain
from medtranslate.export.bundle import write_bundle
from medtranslate.export.index import Index, write_index
from medtranslate.export.onnx_files import require_onnx, write_onnx
from medtranslate.runtime import check_free, require_apart, whole_output

_WRITERS: Mapping[str, Callable[[Model, Path, Path], None]] = {"bundle": write_bundle, "onnx": write_onnx}
"""Writer of each kind, from a model and its folder into an empty folder."""


def export_model(settings: ExportSettings) -> Index:
    """Write a model for another engine.

    Raises:
        ModelRefused: there is no such model, its files are not those that it declares, or it makes MR of one
            contrast alone, and one is given.
        OutputExists: the output is there, and `overwrite` is not set.
        RunFailed: the packages for the kind are not installed, or the written network gives other values.
    """
    folder = find_model(settings.model)
    require_apart([settings.output], [folder])
    check_free(settings.output, overwrite=settings.overwrite)
    if settings.to == "onnx":
        require_onnx()
    model = load_model(str(folder), contrast=settings.contrast)
    known = model.description
    with whole_output(settings.output, overwrite=settings.overwrite, folder=True) as fresh:
        _WRITERS[settings.to](model, folder, fresh)
        about = {"kind": settings.to, "model": known.name, "sha256": known.sha256}
        return write_index(fresh, {**about, "medtranslate": __version__, "settings": plain(settings)})
