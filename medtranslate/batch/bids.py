"""BIDS: which images of a dataset are translated, and what a derivative of it is called.

Names and files as in the Brain Imaging Data Structure 1.10 (Common principles; Derivatives). CT has no names
there yet; those of its extension proposal 24 are used: the folder `ct` and the suffix `_ct` (`_CT` is read,
too).
"""

from __future__ import annotations

import json
import os
import re
from importlib.metadata import version
from pathlib import Path

from medtranslate.config import Modality

DESCRIPTION = "dataset_description.json"
IGNORE = ".bidsignore"
_VERSION = "1.10.0"
_SUFFIXES = {"mr": "T1w|T2w", "ct": "ct|CT"}
_FOLDERS = {"mr": "anat", "ct": "ct"}
_OURS = ("*.translation.json", "batch.jsonl", "overview*.html", "summary.csv", "settings.yaml")


def is_dataset(path: Path) -> bool:
    """Whether a path is the folder of a BIDS dataset."""
    return (path / DESCRIPTION).is_file()


def derived(path: Path, modality: Modality) -> Path | None:
    """What the translation of an image is called in the derivative; None for other files.

    The contrast of a made MR is the model's own, so its suffix is `_MR` and none of BIDS's contrasts.

    Args:
        path: within the dataset.
        modality: of the images that are translated.
    """
    *above, folder, name = ("", "", *path.parts)[-4:] if len(path.parts) in (3, 4) else ("", "", "", "")
    pattern = rf"(sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*)_({_SUFFIXES[modality]})(\.nii(?:\.gz)?)"
    match = re.fullmatch(pattern, name)
    places = [part for part in above if part]
    if not match or folder not in ("anat", "ct") or not places or not places[0].startswith("sub-"):
        return None
    entities, suffix, ending = match.groups()
    entities, _, former = entities.partition("_desc-")
    word = f"{former}From{suffix}" if former else f"from{suffix}"
    to = {"mr": "ct", "ct": "MR"}[modality]
    target = _FOLDERS["ct" if modality == "mr" else "mr"]
    return Path(*places, target, f"{entities}_desc-{word}_{to}{ending}")


def write_description(source: Path, out: Path, model: str, to: Modality) -> None:
    """Write dataset_description.json of a derivative, and .bidsignore with what a batch writes beside it."""
    try:
        raw = json.loads((source / DESCRIPTION).read_text(encoding="utf-8"))
        name = str(raw.get("Name") or source.name)
    except (OSError, ValueError, AttributeError):
        name = source.name
    told = {
        "Name": f"{name}, translated to {to.upper()}",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "medtranslate",
                "Version": version("medtranslate"),
                "Description": f"images translated to {to.upper()} by the model {model}",
            }
        ],
        "DatasetLinks": {"raw": os.path.relpath(source, out)},
    }
    (out / DESCRIPTION).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (out / IGNORE).write_text("".join(f"{name}\n" for name in _OURS), encoding="utf-8")


def sidecar(origin: str, to: Modality) -> str:
    """The JSON beside a translated image."""
    told = {
        "Description": f"Synthetic {to.upper()}: translated by a network, not acquired",
        "Sources": [f"bids:raw:{origin}"],
    }
    return json.dumps(told, indent=2) + "\n"
