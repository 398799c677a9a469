"""Transforms from physical units on any grid to framed axial slices in [-1, 1], and back.

A volume is [1, X, Y, Z]. Laid out axially, its slices are [Z, 1, Y, X]. One step a file; `dictionary` holds
the steps as MONAI transforms.
"""

from __future__ import annotations

import lazy_loader

# Names are imported when they are first asked for; the stub beside this file lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
