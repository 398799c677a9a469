"""Model folders: weights, their description, and digests that bind the two.

A folder holds

    model.json           schema, name, network and scale settings, digest of the weights, calibration
    weights.safetensors  both generators in half precision, and the mean training slices
    gate.safetensors     the input gate, where the model has one
    card.md              for people: use, data, scores, limits
    notice.md            the terms of the weights, where they are not the code's

Nothing is unpickled. Models that ship are folders in `medtranslate/models`.

description  model.json and the digests of files; needs no torch
parent       settings and terms that a model hands on to one that starts from it; needs no torch
card         the card and the facts of a model; needs no torch
folder       weights to networks and back
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medtranslate.checkpoint.card import facts, read_card
from medtranslate.checkpoint.description import (
    FILES,
    MAX_TEXT,
    MAX_WEIGHTS,
    SCHEMA,
    SHIPPED,
    Description,
    Parent,
    describe,
    find_model,
    list_models,
    list_run,
)
from medtranslate.checkpoint.parent import as_parent, inherit

if TYPE_CHECKING:
    from medtranslate.checkpoint.folder import (
        Model,
        load_model,
        save_calibration,
        save_gate,
        save_model,
    )

__all__ = [
    "FILES",
    "MAX_TEXT",
    "MAX_WEIGHTS",
    "SCHEMA",
    "SHIPPED",
    "Description",
    "Model",
    "Parent",
    "as_parent",
    "describe",
    "facts",
    "find_model",
    "inherit",
    "list_models",
    "list_run",
    "load_model",
    "read_card",
    "save_calibration",
    "save_gate",
    "save_model",
]


def __getattr__(name: str) -> Any:
    """Import `folder`, and torch with it, only when one of its names is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("medtranslate.checkpoint.folder"), name)
