"""A model that another one starts from: the settings and terms that it hands on. Without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtranslate.checkpoint.description import Description, Parent, describe, find_model, read_text
from medtranslate.config import plain, read_yaml
from medtranslate.errors import ModelRefused

_NO_DERIVATIVES = re.compile(r"\bBY(-NC)?-ND\b|no[ -]?deriv(ative)?s?\b", re.IGNORECASE)
"""Creative Commons' code and words for terms that forbid works derived from a work."""

_HANDED_ON = ("network", "scale")
"""Groups of settings that weights have a meaning in."""


def inherit(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lay anatomy, network and scale of the model that `from` names below the given values of `train`.

    Without label maps, from which coronal and sagittal slices are cut, a run knows axial slices alone.

    A run that is resumed takes them from its own settings.yaml, so that its parent need not be at hand.

    Raises:
        ModelRefused: there is no such model.
    """
    name = values.get("from", values.get("parent"))
    if not isinstance(name, str):
        return dict(values)
    own = Path(str(values.get("out"))) / "settings.yaml"
    if values.get("resume") and own.is_file():
        known: Mapping[str, Any] = read_yaml(own)
    else:
        known = plain(describe(find_model(name)))
    below = {group: known[group] for group in _HANDED_ON if isinstance(known.get(group), Mapping)}
    if "network" in below and values.get("anchor_labels") is None:
        below["network"] = {**below["network"], "planes": 1}
    given = {group: values.get(group, {}) for group in below}
    merged = {
        group: {**below[group], **settings} if isinstance(settings, Mapping) else settings
        for group, settings in given.items()
    }
    return {"anatomy": known.get("anatomy", "head"), **values, **merged}


def as_parent(folder: Path, description: Description) -> tuple[Parent, str]:
    """Describe a model as a parent, with the notice of terms that its children carry.

    Raises:
        ModelRefused: its terms forbid to derive a model from it, or cannot be read.
    """
    path = folder / "notice.md"
    try:
        terms = read_text(path) if path.exists() else ""
    except (OSError, ValueError) as error:
        raise ModelRefused(
            f"{path}: the model's terms cannot be read ({error}); get the model anew"
        ) from None
    licence = description.licence
    for place, text in (("model.json", licence or ""), ("notice.md", terms)):
        if found := _NO_DERIVATIVES.search(text):
            raise ModelRefused(
                f"{folder / place}: the licence of {description.name} forbids to train on from it"
                f" ({licence or found[0]}); train without --from, or from another model"
            )
    notice = (
        "# The terms of these weights\n\n"
        f"They were trained on from the weights of {description.name} (SHA-256 {description.sha256}), so the"
        f" terms of those hold for these too. Its licence: {licence or 'none is stated'}.\n"
        + (f"\n## The notice of {description.name}\n\n{terms.strip()}\n" if terms.strip() else "")
    )
    return Parent(name=description.name, sha256=description.sha256, licence=licence), notice
