"""Lists what differs between two manifests."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from PIL import Image

from benchmarks.outputs.canonical import canonical, plain

MOST = 6
"""Lines of a difference that are shown."""

ALIKE = 2
"""Files of one folder that are shown, of those whose names differ by numbers alone."""


def compare(before: Path, after: Path) -> int:
    """Print every difference; return 0 where there is none, else 1."""
    one, two = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
    print(f"before: {one['checkout']} at {one['commit']}\nafter:  {two['checkout']} at {two['commit']}")
    count = 0
    for name in dict.fromkeys([*one["commands"], *two["commands"]]):
        found = list(differences(name, one, two))
        count += bool(found)
        if found:
            print(f"\n{name}")
            print("\n".join(f"    {line}" for line in found))
    total = len(one["commands"].keys() | two["commands"].keys())
    print(f"\n{count} of {total} commands differ")
    return int(count > 0)


def differences(name: str, one: dict[str, Any], two: dict[str, Any]) -> Iterator[str]:
    """Yield lines on one command."""
    first, second = one["commands"].get(name), two["commands"].get(name)
    if first is None or second is None:
        yield f"runs only {'after' if first is None else 'before'}"
        return
    if first["arguments"] != second["arguments"]:
        yield f"arguments: {first['arguments']} -> {second['arguments']}"
    if first["exit"] != second["exit"]:
        yield f"exit code: {first['exit']} -> {second['exit']}"
    shown: Counter[str] = Counter()
    for path in dict.fromkeys([*first["files"], *second["files"]]):
        digests = first["files"].get(path), second["files"].get(path)
        if digests[0] == digests[1]:
            continue
        like = re.sub(r"\d+", "N", path)
        shown[like] += 1
        if shown[like] > ALIKE:
            continue
        if None in digests:
            yield f"{path}: only {'after' if digests[0] is None else 'before'}"
        else:
            place = f"logs/{name}.{path[3:]}" if path in ("stdout", "stderr") else path
            for line in in_file(place, Path(one["work"]), Path(two["work"])):
                yield f"{path}: {line}"
    yield from (f"{like}: {count - ALIKE} more" for like, count in shown.items() if count > ALIKE)


def in_file(place: str, one: Path, two: Path) -> list[str]:
    """Describe how a file differs, by its kind."""
    paths = one / place, two / place
    if not all(path.is_file() for path in paths):
        return ["differs; an output is gone"]
    name = place.lower()
    if name.endswith(".json"):
        values = [plain(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
        return _few([*in_json("", *values)]) or ["differs"]
    found = [*_in_voxels(*paths)]
    if name.endswith((".nii", ".nii.gz", ".mgz", ".png", ".mha", ".nrrd", ".jpg")):
        return found or ["the header or texts differ"]
    before, after = (
        canonical(path, folder).decode("utf-8", "replace").splitlines()
        for path, folder in zip(paths, (one, two), strict=True)
    )
    lines = [
        line[:220]
        for line in difflib.unified_diff(before, after, lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    return found + _few(lines)


def in_json(key: str, one: Any, two: Any) -> Iterator[str]:
    """Yield keys whose values differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for name in dict.fromkeys([*one, *two]):
            if name not in one or name not in two:
                yield f"{key}.{name}: only {'after' if name not in one else 'before'}"
            else:
                yield from in_json(f"{key}.{name}", one[name], two[name])
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, pair in enumerate(zip(one, two, strict=True)):
            yield from in_json(f"{key}[{index}]", *pair)
    elif one != two:
        yield f"{key}: {str(one)[:100]} -> {str(two)[:100]}"


def _in_voxels(one: Path, two: Path) -> Iterator[str]:
    a, b = voxels(one), voxels(two)
    if a is None or b is None:
        return
    if a.shape != b.shape:
        yield f"shape {a.shape} -> {b.shape}"
    elif not np.array_equal(a, b, equal_nan=True):
        away = np.abs(a - b)
        yield f"voxels differ by up to {np.nanmax(away):.6g}, in {np.count_nonzero(away)} of {away.size}"
    if one.suffix in (".nii", ".gz", ".mgz"):
        headers: list[Any] = [nib.load(path).header for path in (one, two)]
        for key in headers[0]:
            before, after = (header[key].tolist() if key in header else None for header in headers)
            if str(before) != str(after):
                yield f"header {key}: {before} -> {after}"


def voxels(path: Path) -> NDArray[np.float64] | None:
    """Read the values of an image; None where it is none."""
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz", ".mgz")):
        volume: Any = nib.load(path)
        return np.asarray(volume.dataobj, np.float64)
    if name.endswith(".png"):
        return np.asarray(Image.open(path), np.float64)
    if name.endswith((".mha", ".nrrd")):
        return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)), np.float64)
    if pydicom.misc.is_dicom(path):
        header = pydicom.dcmread(path)
        return np.asarray(header.pixel_array, np.float64) if "PixelData" in header else None
    return None


def _few(lines: list[str]) -> list[str]:
    return [*lines[:MOST], *([f"... {len(lines) - MOST} more"] if len(lines) > MOST else [])]
