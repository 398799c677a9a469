"""Whole outputs, work in stages and in processes, what was done before, progress on stderr, signals."""

from __future__ import annotations

from medtranslate.jobs.advice import advice, reason
from medtranslate.jobs.crew import crew
from medtranslate.jobs.journal import Journal, journal
from medtranslate.jobs.outputs import (
    RECORDS,
    check_free,
    is_disk_full,
    require_apart,
    require_input,
    whole_output,
    whole_outputs,
)
from medtranslate.jobs.parallel import cores, in_processes
from medtranslate.jobs.progress import few, gathered, one_line, progress, warn
from medtranslate.jobs.signals import stop_requests
from medtranslate.jobs.stages import staged

__all__ = [
    "RECORDS",
    "Journal",
    "advice",
    "check_free",
    "cores",
    "crew",
    "few",
    "gathered",
    "in_processes",
    "is_disk_full",
    "journal",
    "one_line",
    "progress",
    "reason",
    "require_apart",
    "require_input",
    "staged",
    "stop_requests",
    "warn",
    "whole_output",
    "whole_outputs",
]
