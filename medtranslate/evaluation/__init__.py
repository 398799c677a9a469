"""Scores of pairs, in memory (`score_pair`) and from files (`evaluate`), and views of records (`render`).

These need no torch. `mean_image`, `cycle` and `translate_and_score` run networks, and are imported from the
modules of their names.
"""

from __future__ import annotations

import lazy_loader

# Names are imported when they are first asked for; the stub beside this file lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
