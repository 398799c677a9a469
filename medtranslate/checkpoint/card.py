"""The card of a model, for people, and its facts, for programs. Without torch."""

from __future__ import annotations

import hashlib
from math import prod
from pathlib import Path
from typing import Any

from medtranslate.checkpoint.description import (
    FILES,
    Description,
    check_meaning,
    describe,
    find_model,
    header_of,
    read_declared,
    read_text,
)
from medtranslate.config import plain
from medtranslate.errors import ModelRefused
from medtranslate.modality import UNITS

FRAMES = {"head": "framed to the head", "slice": "whole"}
"""Frames of slices, in words."""

_NO_HEAD = (
    "- It was trained on images that show no heads: nothing outside the body is set to air, and the"
    " plausibility of a translation is not measured.\n"
)


def read_card(name_or_folder: str) -> str:
    """Read a model's card, Markdown.

    Raises:
        ModelRefused: there is no such model, or it has no card.
    """
    path = find_model(name_or_folder) / "card.md"
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise ModelRefused(f"{path}: the model's card cannot be read ({error}); get the model anew") from None


def facts(name_or_folder: str) -> dict[str, Any]:
    """List what a model declares, as JSON-like values, with the digests of its files checked.

    Raises:
        ModelRefused: there is no such model, its files are not those that it declares, or it has no card.
    """
    folder = find_model(name_or_folder)
    description = describe(folder)
    scale = description.scale
    return {
        "name": description.name,
        "summary": description.summary,
        "anatomy": description.anatomy,
        "input": {
            "ct": {"range": scale.ct_window, "unit": UNITS["ct"]},
            "mr": {"lowest": 0, "highest": f"percentile {scale.mr_percentile:g} of the foreground"},
        },
        "output": {
            "ct": {"range": scale.ct_window, "unit": UNITS["ct"]},
            "mr": {"range": scale.mr_range, "unit": UNITS["mr"]},
        },
        "network": plain(description.network),
        "parameters": _parameters(folder, description),
        "digests": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in FILES
            if name != "log.csv" and (folder / name).is_file()
        },
        "gate": description.gate is not None,
        "calibrated": {to: known.on for to, known in (description.limits or description.calibration).items()},
        "training": description.training,
        "parent": None if description.parent is None else plain(description.parent),
        "licence": description.licence,
        "foreign": sorted(path.name for path in folder.iterdir() if path.name not in FILES),
        "card": read_card(str(folder)),
    }


def draft_card(description: Description) -> str:
    """Write the card of a model that was just trained."""
    training = "".join(f"- {key}: {value}\n" for key, value in description.training.items())
    if parent := description.parent:
        training += (
            f"- started from: {parent.name}, SHA-256 {parent.sha256}, licence"
            f" {parent.licence or 'not stated'}; its terms are in notice.md\n"
        )
    lower, upper = description.scale.ct_window
    low, high = description.scale.mr_range
    return (
        f"# {description.name}\n\n{description.summary}\n\n"
        "Research use only; not for diagnosis, dose or treatment.\n\n"
        f"## Output\n\n- CT: {lower:g} to {upper:g} HU; nothing outside can come out.\n"
        f"- MR: {low:g} to {high:g} arbitrary units.\n"
        f"- Slices of {description.network.size} x {description.network.size} pixels,"
        f" {FRAMES[description.network.frame]}.\n"
        f"{_NO_HEAD if description.anatomy == 'other' else ''}\n"
        f"## Training\n\n{training}- weights: SHA-256 {description.sha256}\n"
    )


def _parameters(folder: Path, description: Description) -> dict[str, int]:
    """Count the parameters of each generator in the header of the weights, whose digest is checked."""
    path = folder / "weights.safetensors"
    header = header_of(read_declared(path, description.sha256), path)
    check_meaning(header, description, path)
    if description.gate is not None:
        read_declared(folder / "gate.safetensors", description.gate)
    return {
        to: sum(
            prod(tensor["shape"]) for name, tensor in header.items() if name.startswith(f"generators.{to}.")
        )
        for to in ("to_ct", "to_mr")
    }
