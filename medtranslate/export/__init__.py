"""Models for other engines: MONAI bundles and ONNX files, and the way back to model folders.

writing      an export: the files of its kind, and their index
index        the digests of an export's files
bundle       files of a MONAI bundle
monai_parts  network and transforms that a bundle's configuration names
onnx_files   graphs of both generators, and their weights read back
returning    an export to a model folder
"""

from __future__ import annotations

from medtranslate.export.returning import import_model
from medtranslate.export.writing import export_model

__all__ = ["export_model", "import_model"]
