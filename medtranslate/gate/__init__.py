"""Is an input what the model knows? Pass, warn, refuse.

wrong  pictures that are no axial head, to learn from
brain  where the brain is in a slice
scans  pictures of heads that are no anatomical MR or CT, likewise
heads  digital heads in other planes and without skull, likewise
fit    the gate of a model, on what the model was trained on; needs what trains, so it is not imported here
judge  what the gate says of an input
"""

from __future__ import annotations

from medtranslate.gate.judge import judge, look

__all__ = ["judge", "look"]
