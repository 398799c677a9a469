"""Rigid alignment of a reference with what was translated, by mutual information (SimpleITK).

It finds a motion and never resamples: a moved volume is the same array with another affine, so that it
is interpolated once, where it is brought onto a grid.
"""

from __future__ import annotations

from medtranslate.registration.rigid import moved, register

__all__ = ["moved", "register"]
