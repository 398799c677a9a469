"""Atomic outputs, pipelines, worker processes, journals, locks, progress on stderr, and signals."""

from __future__ import annotations

from medtranslate.runtime.error_text import advice, reason
from medtranslate.runtime.journal import Journal, journal, read_journal
from medtranslate.runtime.outputs import (
    RECORDS,
    check_free,
    is_disk_full,
    require_apart,
    require_input,
    whole_output,
    whole_outputs,
)
from medtranslate.runtime.parallel import cores, end_if_imported
from medtranslate.runtime.pipeline import staged
from medtranslate.runtime.progress import few, gathered, one_line, progress, warn
from medtranslate.runtime.signals import stop_requests
from medtranslate.runtime.worker_pool import crew

__all__ = [
    "RECORDS",
    "Journal",
    "advice",
    "check_free",
    "cores",
    "crew",
    "end_if_imported",
    "few",
    "gathered",
    "is_disk_full",
    "journal",
    "one_line",
    "progress",
    "read_journal",
    "reason",
    "require_apart",
    "require_input",
    "staged",
    "stop_requests",
    "warn",
    "whole_output",
    "whole_outputs",
]
