"""The file formats: one entry each, by the name that `--format` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medtranslate.io import dicom_files, dicom_read, dicom_write, metaimage, mgh, nifti, nrrd, png
from medtranslate.io.facts import Facts
from medtranslate.io.volume import Volume
from medtranslate.records import Derivation

Read = Callable[[Path, str | None, int | None], Volume]
ReadFacts = Callable[[Path, int | None], Facts]
Write = Callable[[Volume, Path, Volume | None, Derivation | None], None]


@dataclass(frozen=True)
class Format:
    """How a format is told by its first bytes, read, and written.

    Attributes:
        suffixes: of an output in this format, the usual one last; "" is a folder.
        folder_from: slices from which a path without a suffix becomes a folder with a file for each;
            None for a format that holds any number in one file.
        right_angled: whether the axes of what it holds have to be at right angles.
        facts: what `read` would find, by the header alone; None where `inventory` tells it by itself.
        voxel_file: name of the file beside a header that holds the voxels; None where they follow it.
    """

    recognise: Callable[[bytes], bool]
    read: Read
    write: Write
    suffixes: tuple[str, ...]
    folder_from: int | None = None
    right_angled: bool = False
    facts: ReadFacts | None = None
    voxel_file: Callable[[Path], str | None] | None = None


FORMATS: dict[str, Format] = {
    "dicom": Format(dicom_files.recognise, dicom_read.read, dicom_write.write, ("",), 1, right_angled=True),
    "nifti": Format(
        nifti.recognise,
        nifti.read,
        nifti.write,
        (".nii", ".nii.gz"),
        facts=nifti.read_facts,
        voxel_file=nifti.voxel_file,
    ),
    "mha": Format(
        metaimage.recognise,
        metaimage.read,
        metaimage.write,
        (".mha",),
        right_angled=True,
        facts=metaimage.read_facts,
        voxel_file=metaimage.voxel_file,
    ),
    "nrrd": Format(
        nrrd.recognise,
        nrrd.read,
        nrrd.write,
        (".nrrd",),
        facts=nrrd.read_facts,
        voxel_file=nrrd.voxel_file,
    ),
    "mgh": Format(
        mgh.recognise, mgh.read, mgh.write, (".mgh", ".mgz"), right_angled=True, facts=mgh.read_facts
    ),
    "png": Format(png.recognise, png.read, png.write, (".jpg", ".jpeg", ".png"), folder_from=2),
}
