"""Translates many volumes by several processes, and continues where it was interrupted."""

from __future__ import annotations

from medtranslate.batch.items import Item, find_items
from medtranslate.batch.run import run_batch
from medtranslate.batch.worker import open_worker, translate_items

__all__ = ["Item", "find_items", "open_worker", "run_batch", "translate_items"]
