"""Checks that an input is an axial head of the model's kind: pass, warn or refuse.

judge      verdict on an input
fit        fit of a gate on training slices and wrong pictures; it imports `data` and is imported by itself
negatives  wrong pictures that show no axial head
scans      wrong pictures that are no anatomical MR or CT
heads      wrong pictures of digital heads in other planes and without skull
variations random changes of pictures during the fit
brain      extraction of the brain from a slice
"""

from __future__ import annotations

from medtranslate.gate.judge import judge, look

__all__ = ["judge", "look"]
