"""Rigid registration of a reference to a translated image, by mutual information (SimpleITK).

It finds a motion and never resamples: a moved volume is the same array with another affine. So it is
interpolated only once, when it is brought onto a grid.
"""

from __future__ import annotations

from medtranslate.registration.rigid import moved, register

__all__ = ["moved", "register"]
