"""A volume as a DICOM series: derived from a source series, or a phantom's own study.

The modules are those of the CT Image and MR Image IODs (PS3.3 A.3 and A.4); `dicom_header` has those
that say who, how and from what, this one has pixels and planes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO, DicomIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from medtranslate.errors import GeometryRefused, UsageError
from medtranslate.geometry import POSITION_MM, Stack, spacing, stack_slices, swap_lps_ras
from medtranslate.io.bounds import MAX_BYTES
from medtranslate.io.deidentify import deidentified
from medtranslate.io.dicom_files import file_of, read_dicom, refusing_damage, without_comment
from medtranslate.io.dicom_header import (
    SOURCE_TAGS,
    derived_header,
    phantom_header,
    refer_to,
    uid,
    unknown_header,
)
from medtranslate.io.dicom_modules import (
    AIR_TO_BONE_HU,
    MR_LIMIT,
    Stored,
    decimals,
    describe_ct,
    describe_mr,
    describe_plane,
)
from medtranslate.io.dicom_stack import read_again
from medtranslate.io.dicom_texts import check_named, check_uids, valid, with_bytes
from medtranslate.io.volume import Volume
from medtranslate.records import Derivation

CT_LIMITS = (-1024.0, 3071.0)
"""HU that 12 bits hold with the usual intercept."""
_PIXEL_DATA = b"\xe0\x7f\x10\x00OW\x00\x00"
"""Tag and VR of uncompressed PixelData in explicit VR (PS3.5 7.1.2); the length follows."""


@without_comment()
def write(volume: Volume, path: Path, like: Volume | None, derivation: Derivation | None) -> None:
    """Write one file per slice, in the order of their normal.

    With `like` and `derivation` the volume, on the grid of `like`, becomes a series derived from that
    series, whose headers are read again; each slice takes the position and orientation of its own source
    as they are. Without, it is a study of its own of the modality in the volume's meta: a phantom's
    (PHANTOM^HEAD) where meta names its study, else one of unknown origin, whose CT is in HU only if its
    values reach from air to bone. Equal voxels that one model made from one series get equal UIDs;
    anything else gets others.

    A CT is in HU, clipped to `CT_LIMITS`, only if the model reaches from air to bone (`AIR_TO_BONE_HU`).
    Otherwise RescaleType is US and the descriptions say `WINDOWED`, and nothing can ask for less. An MR
    has 12 bits and no rescale: values are kept if their range ends between 255 and `MR_LIMIT`, else
    stretched to `MR_LIMIT`.

    Args:
        volume: HU, or arbitrary units.
        path: an empty folder.
        like: the source as it was read; its meta says where the series is.
        derivation: how the volume was made; goes with `like`.

    Raises:
        UsageError: one of `like` and `derivation` is missing, or there is no DICOM source or modality.
        InputRefused: the source's headers are gone, changed, or not on the volume's grid.
    """
    planes = volume.values.T
    sources: Sequence[Dataset] = []
    if like is None and derivation is None and volume.meta.modality:
        modality, stack = volume.meta.modality, _stack_of(volume, path)
        limits = (float(planes.min()), float(planes.max()))
        stored = _store(planes[stack.order], modality, limits[1])
        key = f"{_digest(stored)}/{modality}"
        if volume.meta.study:
            header = phantom_header(modality, key, volume.meta.study)
            limits = AIR_TO_BONE_HU
        else:
            header = unknown_header(modality, key)
    elif like is not None and derivation is not None and like.meta.format == "dicom":
        modality, limits = derivation.model.to, derivation.model.output_range
        sources, stack = sources_of(like, deidentify=derivation.deidentify)
        check_grid(volume, stack, len(sources), path)
        stored = _store(planes, modality, limits[1])
        key = f"{_digest(stored)}/{like.meta.digest}/{sources[0].SeriesInstanceUID}/{derivation}"
        header = derived_header(sources, derivation, key)
    else:
        raise UsageError(
            f"{path}: DICOM is written from a DICOM source and the model that translated it, or for a"
            " phantom; write .nii.gz instead"
        )
    if modality == "ct":
        describe_ct(header, *limits)
    else:
        describe_mr(header, stored)
    describe_plane(header, stack, sources)
    compress = derivation is not None and derivation.compress
    _write_slices(path, header, stored, stack, sources, compress=compress)


@without_comment()
def write_deidentified(like: Volume, path: Path) -> None:
    """Write the files of a series with de-identified headers (`deidentify`) and pixels as they are stored.

    Args:
        like: the series as it was read; its meta says where it is.
        path: an empty folder.

    Raises:
        InputRefused: a file is gone or damaged.
    """
    headers = read_again(like.meta).planes
    for index, (file, frames) in enumerate(Counter(map(file_of, headers)).items(), start=1):
        with refusing_damage(file):
            image = read_dicom(file, None, pixels=True, limit=MAX_BYTES)
            if frames != int(image.get("NumberOfFrames") or 1):
                raise UsageError(f"{file}: --select takes {frames} of its frames; name an output as .nii.gz")
            check_named(image)
            clean = deidentified(image)
        clean.file_meta = FileMetaDataset()
        clean.file_meta.TransferSyntaxUID = image.file_meta.TransferSyntaxUID
        clean.save_as(path / f"IM{index:04d}.dcm", enforce_file_format=True)


def sources_of(like: Volume, *, deidentify: bool) -> tuple[Sequence[Dataset], Stack]:
    """Headers of a series that was read, in the order of its slices, without identity if that is asked for.

    Raises:
        InputRefused: a file is gone or changed, or an identifier is no UID.
    """
    headers, stack, *_ = read_again(like.meta, SOURCE_TAGS)
    check_uids(headers)
    with_bytes(headers[0])
    return [deidentified(header) for header in headers] if deidentify else headers, stack


def _digest(stored: Stored) -> str:
    return hashlib.sha256(stored.data).hexdigest()


def _stack_of(volume: Volume, path: Path) -> Stack:
    """Order the slices of a volume along DICOM's normal; the last axis has to be orthogonal to the others."""
    lps = swap_lps_ras(volume.affine)
    positions = (lps[:3, 3:] + lps[:3, 2:3] * np.arange(volume.shape[2])).T
    row, column, step = spacing(lps)
    names = [f"{path}: slice {index}" for index in range(len(positions))]
    return stack_slices(positions, _orientation(lps), (column, row), names, single_gap=step)


def _orientation(lps: ArrayLike) -> NDArray[np.float64]:
    """ImageOrientationPatient of an LPS affine."""
    axes = np.asarray(lps)[:3, :2]
    return np.ravel((axes / np.linalg.norm(axes, axis=0)).T)


def check_grid(volume: Volume, stack: Stack, count: int, path: Path) -> None:
    """Refuse a volume that does not lie on the slices of its source.

    Raises:
        GeometryRefused: says by how much.
    """
    corners = np.array(np.meshgrid(*[(0, length - 1) for length in volume.shape])).reshape(3, -1)
    apart = (volume.affine - stack.affine)[:3] @ np.vstack([corners, np.ones(8)])
    if volume.shape[2] != count or not (abs(apart) <= POSITION_MM).all():
        raise GeometryRefused(
            f"{path}: the volume ({volume.shape[2]} slices) is not on the grid of its source ({count} slices,"
            f" up to {abs(apart).max():.2f} mm apart); bring it back to the source's grid"
        )


def _store(planes: NDArray[np.float32], modality: str, high: float) -> Stored:
    """Store the voxels [Z, Y, X]: HU in 16 bits, or an MR's range in 12 bits without sign."""
    factor, (lower, upper), kind = 1.0, CT_LIMITS, "<i2"
    if modality == "mr":
        factor = 1.0 if 255 <= high <= MR_LIMIT or high <= 0 else MR_LIMIT / high
        lower, upper, kind = 0.0, MR_LIMIT, "<u2"
    stored: Stored = np.empty(planes.shape, np.dtype(kind))
    for plane, into in zip(planes, stored, strict=True):
        scaled = np.clip(plane * np.float32(factor), lower, upper)
        np.rint(scaled, out=into, casting="unsafe")
    return stored


def _write_slices(
    path: Path, header: Dataset, stored: Stored, stack: Stack, sources: Sequence[Dataset], *, compress: bool
) -> None:
    """Write the slices: what they have in common is encoded once, and beside it what is a slice's own."""
    lps = swap_lps_ras(stack.affine)
    header.Rows, header.Columns = stored.shape[1:]
    header.SeriesDescription = header.SeriesDescription[:64]
    common, meta = _encoded(header), FileMetaDataset()
    meta.TransferSyntaxUID = JPEGLSLossless if compress else ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    for index, plane in enumerate(stored):
        position, orientation = lps[:3, 3] + index * lps[:3, 2], _orientation(lps)
        own = Dataset()
        if sources:
            source = sources[index]
            position, orientation = source.ImagePositionPatient, source.ImageOrientationPatient
            own.SliceThickness = valid(source, "SliceThickness") or header.SliceThickness
            refer_to(own, source)
        own.ImagePositionPatient = decimals(position)
        own.ImageOrientationPatient = decimals(orientation)
        own.SOPInstanceUID = uid(header.SeriesInstanceUID, str(index))
        own.InstanceNumber = index + 1
        meta.MediaStorageSOPInstanceUID = own.SOPInstanceUID
        pixels: list[bytes | memoryview] = [_PIXEL_DATA, plane.nbytes.to_bytes(4, "little"), plane.data]
        if compress:
            header.compress(JPEGLSLossless, plane, generate_instance_uid=False)
            own.add(header["PixelData"])
            pixels = []
        elements = common | _encoded(own)
        with (path / f"IM{index + 1:04d}.dcm").open("wb") as file:
            file.write(bytes(128) + b"DICM")
            write_file_meta_info(DicomIO(file), meta)
            file.writelines([*(elements[tag] for tag in sorted(elements)), *pixels])


def _encoded(header: Dataset) -> dict[BaseTag, bytes]:
    """Encode the elements of a header one by one (explicit VR, little-endian)."""
    encoded = {}
    for tag in header.keys():  # noqa: SIM118 - a data set gives its elements, decoded
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_data_element(buffer, header.get_item(tag))
        encoded[tag] = buffer.getvalue()
    return encoded
