"""Reading and writing volumes: `read_volume`, `write_volume`, and the dict of formats.

A `Volume` holds values [X, Y, Z] float32 in physical units (HU for CT, arbitrary for MR), a float64 affine
from array index to RAS+ millimetres, and `Meta`: typed facts, never a patient's header.

To add a format, write one module with `recognise`, `read` and `write`
and add one entry to `formats.FORMATS`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from natsort import natsorted

from medtranslate.errors import Diverged, InputRefused, Unreadable, UsageError
from medtranslate.io import dicom_read, png
from medtranslate.io.dicom_files import is_archive, visible_files
from medtranslate.io.folders import several, why_no_image
from medtranslate.io.foreign import describe, head_of
from medtranslate.io.formats import FORMATS as FORMATS
from medtranslate.io.interface import Format as Format
from medtranslate.io.regrid import regrid
from medtranslate.io.shear import describe_shear, require_right_angles
from medtranslate.io.volume import Meta as Meta
from medtranslate.io.volume import Volume as Volume
from medtranslate.modality import Modality
from medtranslate.records import Derivation
from medtranslate.runtime import whole_output

_NAMES: dict[Modality, str] = {"ct": "a CT", "mr": "an MR"}


def read_volume(
    path: Path | str,
    *,
    series: str | None = None,
    select: str | None = None,
    volume: int | None = None,
    modality: Modality | None = None,
    regular: bool = False,
    stack: tuple[float, float, float] | None = None,
    nan_to: float | None = None,
    picture_hu: tuple[float, float] | None = None,
    advice: str = "give the other volume",
) -> Volume:
    """Read one volume of any format, recognised by content.

    Args:
        path: a file, a folder of DICOM, or a .zip of it. One DICOM file is read as one slice, or as all
            its frames.
        series: SeriesInstanceUID, or the end of one, where a folder holds several.
        select: NAME=VALUE of an acquisition, such as "echo=2", where a series holds several
            (`dicom_acquisitions.ATTRIBUTES` lists the names).
        volume: number, from 1, of the one to take where a file holds several.
        modality: "ct" or "mr": what the input has to be. DICOM says so itself and has to agree.
        regular: resample what is tilted, uneven or sheared onto a regular grid (`regrid.regrid`).
        stack: take a folder of pictures as the slices of one volume, in natural order, from feet to head;
            mm between columns, between rows and between pictures, which pictures do not say.
        nan_to: value for voxels that are NaN; None refuses them.
        picture_hu: slope and offset from a picture's grey values to HU; noted, the values stay.
        advice: what to do where `modality` is not what the input has.

    Returns:
        The volume, with `format`, `path`, `digest` and the format's own facts in its meta.

    Raises:
        UsageError: `select` is not NAME=VALUE, or this is no DICOM.
        InputRefused: or one of its kinds, with one sentence.
        UsageError: `volume` is given, and the format holds one.
    """
    path = Path(path)
    name = detect_format(path)
    if select is not None and name != "dicom":
        raise UsageError(f"{path}: is no DICOM, whose acquisitions --select takes; leave --select away")
    if volume is not None and FORMATS[name].folder_from is not None:
        raise UsageError(f"{path}: --volume takes one of several in a file such as NIfTI; leave it away")
    if stack is not None:
        if not (path.is_dir() and name == "png"):
            raise Unreadable(f"{path}: is no folder of pictures to stack; leave --stack away")
        pictures = png.read_stack(path, list_pictures(path), stack).with_meta(hu=picture_hu)
        return _known(pictures, name, path, modality, advice)
    if path.is_dir() and name != "dicom":
        or_all = ", or all of them with --stack and --spacing" if name == "png" else ""
        files = list_pictures(path) or list_volumes(path)
        raise Unreadable(f"{several(path, name, files)}; name one of them{or_all}")
    read = FORMATS[name].read if select is None else partial(dicom_read.read, select=select)
    facts = FORMATS[name].facts
    scan = read(path, series, volume) if nan_to is None or facts is None else facts(path, volume).read(nan_to)
    if scan.is_picture:
        scan = scan.with_meta(hu=picture_hu)
    return _known(regrid(scan, str(path), modality) if regular else scan, name, path, modality, advice)


def _known(volume: Volume, name: str, path: Path, modality: Modality | None, advice: str) -> Volume:
    """Add facts to a volume that are not in its file."""
    found, warnings = volume.meta.modality or modality, volume.meta.warnings
    if found is not None and modality is not None and found != modality:
        raise InputRefused(f"{path}: is {_NAMES[found]}, not {_NAMES[modality]}; {advice}")
    if volume.meta.slices is None and (sheared := describe_shear(volume.affine)):
        warnings = (*warnings, f"no right angles: {sheared}; --regrid undoes it")
    return volume.with_meta(
        modality=found, warnings=warnings, format=name, path=path, digest=digest_of(volume)
    )


def write_volume(
    volume: Volume,
    path: Path | str,
    *,
    like: Volume | None = None,
    derivation: Derivation | None = None,
    format: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write one volume; the output is whole or absent.

    Args:
        volume: for pictures its values are grey values 0 to 255.
        path: its suffix decides the format (none is a folder of DICOM) unless `format` does. Several
            slices as pictures are a folder.
        like: the source that the volume was made from, as `read_volume` gave it, on the same grid.
        derivation: how it was made; DICOM needs it where `like` is given.
        overwrite: replace an existing output; of folders only those that `jobs.check_free` lets go.

    Raises:
        OutputExists: the output is there and `overwrite` is not set, or is a foreign folder.
        UsageError: no format writes this suffix, or `format` is unknown.
        GeometryRefused: the volume does not fit the format or `like`.
        Diverged: a voxel is NaN or infinite.
    """
    path = Path(path)
    values = volume.values
    # A sum is not finite if any voxel is not; counting them costs far more.
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(values.sum(dtype=np.float64))
    if not whole:
        broken = values.size - int(np.isfinite(values).sum())
        raise Diverged(
            f"{path}: {broken} of {values.size} voxels to write are not finite; nothing is written"
        )
    name = format or format_of_name(path)
    if name not in FORMATS:
        raise UsageError(f"{path}: unknown format {name}; take one of {', '.join(FORMATS)}")
    # Slices of a series stay where their sources are, however they lie.
    if name != "dicom" or like is None:
        require_fit(volume, name, path)
    chosen = FORMATS[name]
    named = any(suffix and path.name.lower().endswith(suffix) for suffix in chosen.suffixes)
    several = chosen.folder_from is not None and volume.shape[2] >= chosen.folder_from
    folder = not named and (several or path.is_dir())
    with whole_output(path, overwrite=overwrite, folder=folder) as fresh:
        chosen.write(volume, fresh, like, derivation)


def require_fit(volume: Volume, format: str, where: Path) -> None:
    """Refuse a volume whose geometry a format cannot hold.

    Args:
        format: a key of FORMATS.
        where: what the message names.

    Raises:
        GeometryRefused: its slices are no regular grid, or it is sheared.
    """
    if format != "dicom":
        volume.require_grid(str(where))
    if FORMATS[format].right_angled and volume.meta.slices is None:
        require_right_angles(volume.affine, str(where))


def detect_format(path: Path | str) -> str:
    """Find the format of a file by its first bytes, or of the files in a folder, as a key of FORMATS.

    A folder with any DICOM file in it, at any depth, is DICOM; otherwise its own files have to be of one
    format. Files of no known format do not count.

    Raises:
        Unreadable: missing, empty, unknown or mixed; the message names what was found.
    """
    path = Path(path)
    if path.is_file():
        name = "dicom" if is_archive(path) else _recognise(path)
        if name is None:
            raise Unreadable(f"{path}: {describe(path)}")
        return name
    if not path.is_dir():
        raise Unreadable(f"{path}: does not exist; check the path")
    own, below = Counter[str | None](), Counter[str | None]()
    for file in visible_files(path):
        kind = _recognise(file)
        if kind == "dicom":
            return kind
        below[kind] += 1
        own[kind] += file.parent == path
    kinds = [kind for kind, count in own.items() if kind and count]
    if len(kinds) == 1:
        return kinds[0]
    raise Unreadable(why_no_image(path, own, below))


def format_of_name(path: Path) -> str:
    """Find the format that writes a path of this suffix; a path without one is a folder of DICOM.

    Raises:
        UsageError: no format writes this suffix.
    """
    suffixes = {suffix: key for key, format in FORMATS.items() for suffix in format.suffixes if suffix}
    found = next((key for suffix, key in suffixes.items() if path.name.lower().endswith(suffix)), None)
    if found is None and path.suffix:
        raise UsageError(
            f"{path}: no format writes {path.suffix}; take {', '.join(suffixes)}, or a name without suffix"
        )
    return found or "dicom"


def output_format(output: Path, format: str | None) -> str | None:
    """Find the format that an output's suffix or --format names; None if neither does.

    Raises:
        UsageError: they differ, or no format writes the suffix.
    """
    named = format_of_name(output) if output.suffix else None
    if format == "dicom" and named:
        raise UsageError(f"{output}: DICOM is a folder with a file for each slice; name it without suffix")
    if format and named and format != named:
        raise UsageError(f"{output}: is named as {named}, and --format is {format}; leave one of them away")
    return format or named


def list_pictures(folder: Path | str) -> list[Path]:
    """List the PNG and JPEG files of a folder, recognised by content, in natural order, without subfolders.

    Raises:
        Unreadable: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Unreadable(f"{folder}: is no folder; check the path")
    files = (file for file in folder.iterdir() if file.is_file() and file.name[0] != ".")
    return natsorted((file for file in files if _recognise(file) == "png"), key=lambda file: file.name)


def is_preview(path: Path) -> bool:
    """Return True for a preview that medtranslate drew of a volume, which is no image to read."""
    return png.is_preview(head_of(path))


def list_volumes(folder: Path) -> list[Path]:
    """List the files of a folder that hold a volume each (NIfTI, MetaImage, NRRD, MGH), in natural order."""
    single = {name for name, format in FORMATS.items() if format.folder_from is None}
    files = (file for file in folder.iterdir() if file.is_file() and file.name[0] != ".")
    return natsorted((file for file in files if _recognise(file) in single), key=lambda file: file.name)


def list_others(folder: Path) -> list[Path]:
    """List the images in a folder of DICOM, at any depth, that are none, in natural order."""
    found = (file for file in visible_files(folder) if _recognise(file) not in (None, "dicom"))
    return natsorted(found, key=str)


def _recognise(path: Path) -> str | None:
    head = head_of(path)
    return next((name for name, format in FORMATS.items() if format.recognise(head)), None)


def digest_of(volume: Volume) -> str:
    """Compute SHA-256 over shape, affine and values, slice by slice (Fortran order), little-endian."""
    digest = hashlib.sha256(repr(volume.values.shape).encode())
    digest.update(volume.affine.astype("<f8").tobytes())
    if volume.meta.slices is not None:
        digest.update(volume.meta.slices.positions.astype("<f8").tobytes())
    digest.update(np.ascontiguousarray(volume.values.T, dtype="<f4").data)
    return digest.hexdigest()
