"""One file format into another: voxels stay where they are, and nothing is lost in silence.

NIfTI and NRRD hold any volume exactly, MetaImage and MGH any whose axes are at right angles. Pictures hold
256 grey levels and no place, so the user says which values they show. DICOM needs a patient, a study and a
modality; a file that has none gets a study of its own, which says so.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from medtranslate.config import ConvertSettings, nan_value, plain, stack_spacing
from medtranslate.config.types import ends_of
from medtranslate.errors import GeometryRefused, SettingsError, UsageError
from medtranslate.io import (
    FORMATS,
    Volume,
    detect_format,
    output_format,
    read_volume,
    require_fit,
    write_volume,
)
from medtranslate.io.deidentify import FACES
from medtranslate.io.dicom_modules import AIR_TO_BONE_HU, MR_LIMIT, WINDOWED
from medtranslate.io.dicom_write import CT_LIMITS, write_deidentified
from medtranslate.io.layout import to_axial
from medtranslate.records import Conversion, write_result
from medtranslate.runtime import check_free, require_apart, require_input, whole_output

_KEPT = ("dicom", "png")
"""Formats whose slices are shown as they are; others say nothing of slices and are laid out axially."""


def convert(settings: ConvertSettings) -> Conversion:
    """Write one volume in another format, with its record.

    A folder gets `conversion.json` inside; a file `x.mha` gets `x.mha.conversion.json` beside it.

    Raises:
        InputRefused: the input is refused, or has no place in the output's format; nothing is written.
        OutputExists: the output is there and `overwrite` is not set.
        UsageError: the output is the input, or a setting is missing or does not fit the format.
    """
    require_input(settings.input, settings.output)
    require_apart([settings.output], [settings.input])
    name = _format(settings)
    check_free(settings.output, overwrite=settings.overwrite)
    shown = _shown(settings, name)
    source = read_volume(
        settings.input,
        series=settings.series,
        select=settings.select,
        volume=settings.volume,
        modality=settings.modality,
        regular=settings.regrid,
        stack=stack_spacing(settings),
        nan_to=nan_value(settings.nan_to, settings.modality, str(settings.input)),
        advice="leave --modality away, which the file says itself",
    )
    require_fit(source, name, settings.input)
    if settings.deidentify:
        source = source.with_meta(files=())
    if name == "png" and settings.output.suffix and source.shape[2] > 1:
        raise GeometryRefused(
            f"{settings.output}: a picture holds one slice, and {settings.input} has {source.shape[2]};"
            " name a folder with --format png"
        )
    # A de-identified series keeps its pixels, byte for byte.
    resent = settings.deidentify and name == source.meta.format == "dicom"
    volume, notes = source, list[str]()
    if name == "png":
        volume, notes = as_pictures(source, shown)
    elif name == "dicom" and not resent:
        volume, notes = as_dicom(source)
    if source.meta.format == "png" and not settings.stack:
        notes.append("a picture does not say the size of its pixels: taken as 1 mm")
    notes += [FACES] if settings.deidentify else []
    done = Conversion(
        source=replace(source.source(), digest=None if settings.deidentify else source.meta.digest),
        output=settings.output.name,
        format=name,
        range=shown,
        settings=plain(settings),
        warnings=[*source.meta.warnings, *notes],
    )
    _write(done, None if resent else volume, source, settings)
    return done


def _write(done: Conversion, volume: Volume | None, source: Volume, settings: ConvertSettings) -> None:
    """Write the volume, or the source's own files without identity, and the record; both or none."""
    as_folder = not settings.output.suffix
    with ExitStack() as outputs:

        def whole(path: Path, *, folder: bool = False) -> Path:
            return outputs.enter_context(whole_output(path, overwrite=settings.overwrite, folder=folder))

        fresh = whole(settings.output, folder=as_folder)
        beside = settings.output.with_name(f"{settings.output.name}.conversion.json")
        record = fresh / "conversion.json" if as_folder else whole(beside)
        like = source if done.format == source.meta.format else None
        if volume is None:
            write_deidentified(source, fresh)
        else:
            write_volume(volume, fresh, like=like, format=done.format, overwrite=True)
        write_result(done, record)


def as_pictures(source: Volume, shown: tuple[float, float] | None) -> tuple[Volume, list[str]]:
    """Slices with grey values 0 to 255, and what is lost.

    Args:
        shown: the values that become black and white, linear between them (PS3.3 C.11.2.1.3.2); None keeps
            values, which have to be whole numbers from 0 to 255.

    Raises:
        UsageError: `shown` is needed.
    """
    path, format = source.where, source.meta.format
    volume = source if format in _KEPT else to_axial(source)
    notes = [] if format == "png" else [f"pictures hold no geometry: voxels are {_sizes(volume)} mm"]
    if shown is None:
        low, high = float(volume.values.min()), float(volume.values.max())
        if low < 0 or high > 255 or not _whole(volume):
            raise UsageError(
                f"{path}: values from {low:g} to {high:g} do not fit into pictures of 256 grey levels;"
                " give --window LEVEL WIDTH or --range LOW HIGH"
            )
        return volume, notes
    low, high = shown
    notes.append(f"pictures show values from {low:g} to {high:g} in 256 steps")
    with np.errstate(over="ignore", invalid="ignore"):  # `write_volume` refuses what is not finite
        grey = (volume.values - np.float32(low)) * np.float32(255 / (high - low))
    return volume.with_values(grey), notes


def as_dicom(source: Volume) -> tuple[Volume, list[str]]:
    """Prepare a volume to become a DICOM study of its own; give notes on what is lost.

    Raises:
        UsageError: it is DICOM already, or its modality is not given.
        GeometryRefused: it is made of pictures.
    """
    path, modality, values = source.where, source.meta.modality, source.values
    if source.meta.format == "dicom":
        raise UsageError(
            f"{path}: is DICOM already; copy the files, name another format, or give --deidentify"
        )
    if source.meta.format == "png":
        raise GeometryRefused(
            f"{path}: pictures have neither measured values nor a place, as DICOM would claim; write .nii.gz"
        )
    if modality is None:
        raise UsageError(f"{path}: DICOM has to say what it holds; give --modality ct or --modality mr")
    lowest, highest = float(values.min()), float(values.max())
    limits = CT_LIMITS if modality == "ct" else (0.0, float("inf"))
    notes = ["no patient and no study in the input: written as a study of its own, of unknown origin"]
    outside = int(((values < limits[0]) | (values > limits[1])).sum())
    if outside:
        notes.append(f"{outside} of {values.size} voxels outside {limits[0]:g} to {limits[1]:g} clipped")
    if modality == "ct" and not (lowest <= AIR_TO_BONE_HU[0] and highest >= AIR_TO_BONE_HU[1]):
        notes.append(f"values from {lowest:g} to {highest:g} HU do not reach from air to bone: {WINDOWED}")
    if modality == "mr" and highest > 0 and not 255 <= highest <= MR_LIMIT:
        notes.append(f"MR values multiplied so that the largest ({highest:g}) is {MR_LIMIT:g}")
    elif not _whole(source):
        notes.append("values rounded to whole numbers")
    return to_axial(source), notes


def _format(settings: ConvertSettings) -> str:
    output = settings.output
    if settings.format is None and not output.suffix:
        raise UsageError(
            f"{output}: give a name with a suffix (.nii.gz, .mha, .nrrd, .png), or --format dicom or png"
        )
    name = output_format(output, settings.format) or "dicom"
    if name == "dicom" and settings.regrid and detect_format(settings.input) == "dicom":
        raise UsageError("--regrid: a DICOM series keeps its own slices; name a file such as out.nii.gz")
    if FORMATS[name].folder_from is None and not output.suffix:
        raise UsageError(f"{output}: {name} is one file; end its name in {FORMATS[name].suffixes[-1]}")
    return name


def _shown(settings: ConvertSettings, name: str) -> tuple[float, float] | None:
    given = [option for option in ("window", "range") if getattr(settings, option) is not None]
    if given and name != "png":
        raise SettingsError(f"--{given[0]}: only pictures need it, {name} holds the values as they are")
    if len(given) > 1:
        raise SettingsError("--window and --range say the same; give one of them")
    if settings.window:
        return ends_of(settings.window)
    if settings.range and not settings.range[0] < settings.range[1]:
        raise SettingsError(f"--range {settings.range[0]:g} {settings.range[1]:g}: give the lower end first")
    return settings.range


def _whole(volume: Volume) -> bool:
    return all(bool((plane == np.rint(plane)).all()) for plane in volume.values.T)


def _sizes(volume: Volume) -> str:
    return " x ".join(f"{length:g}" for length in volume.spacing)
