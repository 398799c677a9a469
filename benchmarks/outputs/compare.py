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

from benchmarks.outputs.canonical import canonical

MOST = 6
"""Lines on a file that are shown."""

ALIKE = 2
"""Files of one folder that are shown, of those whose names differ by numbers alone."""


def compare(before: Path, after: Path, ignore: str = "") -> int:
    """Print every difference, each that several commands share once; return 0 where there is none, else 1.

    Args:
        before: manifest of a run.
        after: that of another.
        ignore: pattern of differences that are expected, such as "nan_to|picture_hu"; empty for none.
    """
    one, two = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
    print(f"before: {one['checkout']} at {one['commit']}\nafter:  {two['checkout']} at {two['commit']}")
    expected = re.compile(ignore) if ignore else None
    names = dict.fromkeys([*one["commands"], *two["commands"]])
    said: set[str] = set()
    count = 0
    for name in names:
        found = list(differences(name, one, two, expected))
        count += bool(found)
        fresh = [(path, line) for path, line in found if line not in said]
        said |= {line for _, line in fresh}
        if found:
            print(f"\n{name}: {len(found) - len(fresh)} differences as above" if not fresh else f"\n{name}")
        for path, line in _few_of_each(fresh):
            print(f"    {path}: {line}")
    print(f"\n{count} of {len(names)} commands differ")
    return int(count > 0)


def differences(
    name: str, one: dict[str, Any], two: dict[str, Any], expected: re.Pattern[str] | None
) -> Iterator[tuple[str, str]]:
    """Yield the differences of one command: file, or other part, and a line."""
    first, second = one["commands"].get(name), two["commands"].get(name)
    if first is None or second is None:
        yield "command", f"only {'after' if first is None else 'before'}"
        return
    for part in ("arguments", "exit"):
        if first[part] != second[part]:
            yield part, f"{first[part]} -> {second[part]}"
    for path in dict.fromkeys([*first["files"], *second["files"]]):
        digests = first["files"].get(path), second["files"].get(path)
        if digests[0] == digests[1]:
            continue
        if None in digests:
            lines = [f"only {'after' if digests[0] is None else 'before'}"]
        else:
            place = f"logs/{name}.{path[3:]}" if path in ("stdout", "stderr") else path
            lines = in_file(place, Path(one["work"]), Path(two["work"]))
        yield from ((path, line) for line in lines if not (expected and expected.search(f"{path}: {line}")))


def _few_of_each(found: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the first lines on a file; of files whose names differ by numbers alone, on the first ones."""
    files: dict[str, list[str]] = {}
    lines: Counter[str] = Counter()
    for path, line in found:
        alike = files.setdefault(re.sub(r"\d+", "N", path), [])
        if path not in alike:
            alike.append(path)
        lines[path] += 1
        if alike.index(path) < ALIKE and lines[path] <= MOST:
            yield path, line
    for path, number in lines.items():
        alike = files[re.sub(r"\d+", "N", path)]
        if alike.index(path) < ALIKE and number > MOST:
            yield path, f"{number - MOST} more lines"
    yield from ((like, f"{len(paths) - ALIKE} more files") for like, paths in files.items() if paths[ALIKE:])


def in_file(place: str, one: Path, two: Path) -> list[str]:
    """Describe how a file differs, by its kind."""
    paths = one / place, two / place
    if not all(path.is_file() for path in paths):
        return ["differs; an output is gone"]
    before, after = (
        canonical(path, folder).decode("utf-8", "replace")
        for path, folder in zip(paths, (one, two), strict=True)
    )
    name = place.lower()
    if name.endswith(".json"):
        return [*in_json("", json.loads(before), json.loads(after))] or ["differs"]
    found = [*_in_voxels(*paths)]
    if name.endswith((".nii", ".nii.gz", ".mgz", ".png", ".mha", ".nrrd", ".jpg")):
        return found or ["the header or texts differ"]
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    shown = ("".join(c if c.isprintable() else "?" for c in line[:220]) for line in lines)
    return found + [line for line in shown if not line.startswith(("---", "+++", "@@"))]


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
