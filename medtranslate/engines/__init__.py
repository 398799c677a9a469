"""Entries for engines that exist: each turns an engine's calling convention into a batch.

`mercure` is called with two folders and a `task.json`, `bids_app` with a BIDS dataset.
"""

from __future__ import annotations
