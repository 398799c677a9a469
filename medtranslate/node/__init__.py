"""DICOM node: series arrive by C-STORE, are translated by rules, and their results are sent back.

`inbox` keeps what arrives, `receiver` speaks to callers, `worker` translates in processes, `delivery` and
`stow` send, `commitment` and `confirmation` are the two sides of storage commitment, `run` joins them.
"""

from __future__ import annotations

from medtranslate.errors import UsageError

try:
    from medtranslate.node.run import run_node
except ImportError as error:
    if error.name != "pynetdicom":
        raise
    raise UsageError(
        'node: the package pynetdicom is not installed; pip install "medtranslate[node]"'
    ) from error

__all__ = ["run_node"]
