"""`medtranslate node`."""

from __future__ import annotations

import gc
import sys

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import NodeSettings


def act(settings: NodeSettings, quiet: bool) -> Answer:
    """Run the node until Ctrl-C or SIGTERM, and count the series."""
    from medtranslate.node import run_node

    gc.freeze()  # pynetdicom collects garbage every few seconds; what was imported need not be searched

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    counts = run_node(settings, say=say)
    return Answer(counts, [", ".join(f"{count} {state}" for state, count in counts.items())])


command = SettingsCommand(
    "node",
    NodeSettings,
    act,
    "node",
    help="""Run a DICOM node: take series by C-STORE, translate them by the rules of RULES (YAML), and send
    the results back into their study. Runs until Ctrl-C or SIGTERM; after an end of any kind, the same
    command continues. Needs pip install "medtranslate[node]".""",
    arguments=("rules", "folder"),
    sections={"Machine options": ("workers", "device", "precision")},
)
