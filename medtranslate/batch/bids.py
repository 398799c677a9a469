"""Tells which images of a BIDS dataset are translated, and names what a derivative of it holds.

Names and files as in the Brain Imaging Data Structure 1.10 (Common principles; Derivatives). CT has no names
there yet; those of its extension proposal 24 are used: the folder `ct` and the suffix `_ct` (`_CT` is read,
too). `.bidsignore` names them, as the standard wants of names that it does not have, so that its validator
passes the derivative.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from medtranslate.config import Modality
from medtranslate.runtime import whole_outputs

DESCRIPTION = "dataset_description.json"
IGNORE, README = ".bidsignore", "README"
_VERSION = "1.10.0"
SUFFIXES = {"mr": "T1w|T2w|PDw|T2starw|FLAIR", "ct": "ct|CT"}
_FOLDERS = {"mr": "anat", "ct": "ct"}
_OURS = (
    *(
        "*.translation.json",
        "*.preview.png",
        "batch*.jsonl",
        "overview*.html",
        "summary*.csv",
        "settings*.yaml",
    ),
    *("**/ct", "*_MR.*"),
)
"""What the standard has no names for. `**/ct/` would leave the folders themselves as errors."""
_NO_ANATOMY = ("phase", "real", "imag")
"""What the entity `part` may say that an image shows in place of its magnitude (`mag`)."""


def is_dataset(path: Path) -> bool:
    """Check if a path is the folder of a BIDS dataset."""
    return (path / DESCRIPTION).is_file()


def derived(path: Path, modality: Modality) -> Path | None:
    """Name the translation of an image in the derivative; None for other files.

    Phase, real and imaginary parts are no anatomy, and count among the others. The contrast of a made MR is
    the model's own, so its suffix is `_MR` and none of BIDS's contrasts.

    Args:
        path: within the dataset.
        modality: of the images that are translated.
    """
    *above, folder, name = ("", "", *path.parts)[-4:] if len(path.parts) in (3, 4) else ("", "", "", "")
    pattern = rf"(sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*)_({SUFFIXES[modality]})(\.nii(?:\.gz)?)"
    match = re.fullmatch(pattern, name)
    places = [part for part in above if part]
    if not match or folder not in ("anat", "ct") or not places or not places[0].startswith("sub-"):
        return None
    if part_of(path) in _NO_ANATOMY:
        return None
    entities, suffix, ending = match.groups()
    entities, _, former = entities.partition("_desc-")
    word = f"{former}From{suffix}" if former else f"from{suffix}"
    to = {"mr": "ct", "ct": "MR"}[modality]
    target = _FOLDERS["ct" if modality == "mr" else "mr"]
    return Path(*places, target, f"{entities}_desc-{word}_{to}{ending}")


def part_of(path: Path) -> str:
    """Read the entity `part` of an image; empty without one."""
    found = re.search(r"_part-([A-Za-z0-9]+)_", path.name)
    return found[1] if found else ""


def passed_over(source: Path) -> list[str]:
    """List images of a dataset that are phase, real or imaginary parts, and so are not translated."""
    found = (path for path in source.glob("sub-*/**/*.nii*") if part_of(path) in _NO_ANATOMY)
    return sorted(path.relative_to(source).as_posix() for path in found)


def write_description(source: Path, out: Path, model: str, to: Modality) -> None:
    """Write dataset_description.json and README of a derivative, and .bidsignore for the validator.

    A README that is there is left alone.
    """
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
    texts = {DESCRIPTION: json.dumps(told, indent=2) + "\n", IGNORE: "".join(f"{name}\n" for name in _OURS)}
    if not (out / README).exists():
        texts[README] = (
            f"Synthetic {to.upper()} images, translated from those of the dataset {name} by the model {model}"
            " of medtranslate. They were not acquired by a scanner, and are not for diagnosis, treatment or"
            " dose. The record beside each image (*.translation.json) says how it was made and what speaks"
            " against it.\n"
        )
    # Whole, for batches of other participants may write or read them.
    with whole_outputs({out / name: False for name in texts}, overwrite=True) as fresh:
        for name, text in texts.items():
            fresh[out / name].write_text(text, encoding="utf-8")


def sidecar(source: Path, origin: str, to: Modality) -> str:
    """Make the JSON beside a translated image, which lies on the grid of its source.

    An image whose name has a space must say what that space refers to (Derivatives, Spatial references):
    what its source says, else the source itself.

    Args:
        source: the dataset.
        origin: path of the image within it.
    """
    told: dict[str, object] = {
        "Description": f"Synthetic {to.upper()}: translated by a network, not acquired",
        "Sources": [f"bids:raw:{origin}"],
    }
    if "_space-" in Path(origin).name:
        told["SpatialReference"] = _metadata(source / origin).get("SpatialReference", f"bids:raw:{origin}")
    return json.dumps(told, indent=2) + "\n"


def _metadata(image: Path) -> dict[str, object]:
    """Read the JSON beside an image; empty where there is none that can be read."""
    with suppress(OSError, ValueError):
        told = json.loads(image.with_name(f"{image.name.partition('.')[0]}.json").read_text(encoding="utf-8"))
        return told if isinstance(told, dict) else {}
    return {}
