"""A volume as a DICOM series: derived from a source series, or a phantom's own study.

The modules are those of the CT Image and MR Image IODs (PS3.3 A.3 and A.4); `dicom_header` has those
that say who, how and from what, this one has pixels and planes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from monai.data.meta_tensor import MetaTensor
from numpy.typing import ArrayLike, NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from medtranslate.errors import GeometryRefused, UsageError
from medtranslate.geometry import POSITION_MM, Stack, spacing, stack_slices, swap_lps_ras
from medtranslate.io.dicom_header import SOURCE_TAGS, derived_header, phantom_header, refer_to, uid
from medtranslate.io.dicom_series import read_headers, without_comment
from medtranslate.result import Derivation

Stored = NDArray[np.int16] | NDArray[np.uint16]

AIR_TO_BONE_HU = (-1000.0, 1000.0)
"""What a model's CT must be able to hold before dose may be computed on it: air, which has no density,
and dense bone. A CT that saturates inside gives wrong densities without looking wrong."""
WINDOWED = "WINDOWED, NOT FOR DOSE"
CT_LIMITS = (-1024.0, 3071.0)
"""HU that 12 bits hold with the usual intercept."""
MR_LIMIT = 4095.0
"""Largest value of 12 bits without sign."""
SOFT_TISSUE = (-160.0, 240.0)
"""HU that a full-range CT is first shown with."""


@without_comment()
def write(volume: MetaTensor, path: Path, like: MetaTensor | None, derivation: Derivation | None) -> None:
    """Write one file a slice, IM0001.dcm and on, in the order of the slices along their normal.

    With `like` the series is derived: same patient, study, frame of reference and slices as the source
    series, whose headers are read again. Without, it is a phantom's own study (PHANTOM^HEAD) of the
    modality in the volume's meta. Equal voxels that one model made from one series get equal UIDs;
    anything else gets others.

    A CT is in HU, clipped to `CT_LIMITS`, only if the model reaches from air to bone (`AIR_TO_BONE_HU`).
    Otherwise RescaleType is US and the descriptions say `WINDOWED`, and nothing can ask for less. An MR
    has 12 bits and no rescale: values are kept if their range ends between 255 and `MR_LIMIT`, else
    stretched to `MR_LIMIT`.

    Args:
        volume: [1, X, Y, Z].
        path: an empty folder.
        like: the source as it was read; its meta says where the series is.
        derivation: how the volume was made; goes with `like`.

    Raises:
        UsageError: one of `like` and `derivation` is missing, or there is no DICOM source or modality.
        InputRefused: the source's headers are gone, changed, or not on the volume's grid.
    """
    values = volume.numpy(force=True)[0]
    digest = hashlib.sha256(np.ascontiguousarray(values.T).data).hexdigest()
    sources: list[FileDataset] = []
    if like is None and derivation is None and volume.meta.get("modality") in ("ct", "mr"):
        stack = _stack_of(volume, path)
        values = values[..., stack.order]
        key = f"{digest}/{volume.meta['modality']}"
        header = phantom_header(volume.meta["modality"], key, volume.meta.get("study", key))
        limits = AIR_TO_BONE_HU if header.Modality == "CT" else (0.0, float(values.max()))
    elif like is not None and derivation is not None and like.meta.get("format") == "dicom":
        sources, stack = read_headers(Path(like.meta["path"]), like.meta["series"], SOURCE_TAGS)
        _check_grid(volume, stack, len(sources), path)
        key = f"{digest}/{like.meta['digest']}/{like.meta['series']}/{derivation}"
        header = derived_header(sources, derivation, key)
        limits = derivation.model.output_range
    else:
        raise UsageError(
            f"{path}: DICOM is written from a DICOM source and the model that translated it, or for a"
            " phantom; write .nii.gz instead"
        )
    describe = _describe_ct if header.Modality == "CT" else _describe_mr
    stored = describe(header, values, *limits)
    _describe_plane(header, stack, sources)
    _write_slices(path, header, stored, stack, sources)


def _stack_of(volume: MetaTensor, path: Path) -> Stack:
    """The slices of a volume along DICOM's normal; its last axis has to be orthogonal to the others."""
    lps = swap_lps_ras(volume.affine.numpy())
    positions = (lps[:3, 3:] + lps[:3, 2:3] * np.arange(volume.shape[3])).T
    row, column, step = spacing(lps)
    names = [f"{path}: slice {index}" for index in range(len(positions))]
    return stack_slices(positions, _orientation(lps), (column, row), names, single_gap=step)


def _orientation(lps: ArrayLike) -> NDArray[np.float64]:
    """ImageOrientationPatient of an LPS affine."""
    axes = np.asarray(lps)[:3, :2]
    return np.ravel((axes / np.linalg.norm(axes, axis=0)).T)


def _check_grid(volume: MetaTensor, stack: Stack, count: int, path: Path) -> None:
    corners = np.array(np.meshgrid(*[(0, length - 1) for length in volume.shape[1:]])).reshape(3, -1)
    apart = (volume.affine.numpy() - stack.affine)[:3] @ np.vstack([corners, np.ones(8)])
    if volume.shape[3] != count or not (abs(apart) <= POSITION_MM).all():
        raise GeometryRefused(
            f"{path}: the volume ({volume.shape[3]} slices) is not on the grid of its source ({count} slices,"
            f" up to {abs(apart).max():.2f} mm apart); bring it back to the source's grid"
        )


def _describe_ct(header: Dataset, values: NDArray[np.float32], low: float, high: float) -> Stored:
    """CT image, image pixel and VOI LUT modules; the voxels [Z, Y, X] as they are stored.

    The one place that says what a CT's numbers mean, from the range that its maker declares.
    """
    _describe_pixels(header, bits=16, signed=True)
    header.KVP = None
    header.RescaleSlope, header.RescaleIntercept = "1", "0"
    if low <= AIR_TO_BONE_HU[0] and high >= AIR_TO_BONE_HU[1]:
        header.RescaleType = "HU"
        _show(header, *SOFT_TISSUE)
    else:
        header.RescaleType = "US"
        header.SeriesDescription = f"{WINDOWED}; {header.SeriesDescription}"
        saturates = f"{WINDOWED}: saturates at {low:g} and {high:g} HU"
        header.DerivationDescription = f"{saturates}. {header.DerivationDescription}"
        _show(header, low, high)
    stored: Stored = np.rint(values.T.clip(*CT_LIMITS)).astype(np.int16)
    return stored


def _describe_mr(header: Dataset, values: NDArray[np.float32], low: float, high: float) -> Stored:
    """MR image, image pixel and VOI LUT modules; the voxels [Z, Y, X] as they are stored."""
    _describe_pixels(header, bits=12, signed=False)
    header.ScanningSequence, header.SequenceVariant = "RM", "NONE"
    for keyword in ("ScanOptions", "MRAcquisitionType", "EchoTime", "RepetitionTime", "EchoTrainLength"):
        setattr(header, keyword, None)
    stretch = 1.0 if 255 <= high <= MR_LIMIT or high <= 0 else MR_LIMIT / high
    _show(header, 0, high * stretch)
    stored: Stored = np.rint((values.T * np.float32(stretch)).clip(0, MR_LIMIT)).astype(np.uint16)
    return stored


def _describe_pixels(header: Dataset, bits: int, signed: bool) -> None:
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, bits, bits - 1
    header.PixelRepresentation = int(signed)
    header.AcquisitionNumber = None


def _show(header: Dataset, low: float, high: float) -> None:
    """The window a viewer opens with."""
    header.WindowCenter = format_number_as_ds((low + high) / 2)
    header.WindowWidth = format_number_as_ds(max(high - low, 1.0))


def _describe_plane(header: Dataset, stack: Stack, sources: Sequence[FileDataset]) -> None:
    """Image plane module but for the position; a source's own numbers are taken over as they are."""
    lps = swap_lps_ras(stack.affine)
    row, column, step = spacing(lps)
    given: Dataset = sources[0] if sources else Dataset()
    orientation = given.get("ImageOrientationPatient", _orientation(lps))
    header.ImageOrientationPatient = [format_number_as_ds(float(cosine)) for cosine in orientation]
    header.PixelSpacing = [
        format_number_as_ds(float(size)) for size in given.get("PixelSpacing", (column, row))
    ]
    header.setdefault("SliceThickness", format_number_as_ds(float(step)))


def _write_slices(
    path: Path,
    header: Dataset,
    stored: Stored,
    stack: Stack,
    sources: Sequence[FileDataset],
) -> None:
    """Write the slices through one header, in which only what differs between slices is changed."""
    lps = swap_lps_ras(stack.affine)
    header.Rows, header.Columns = stored.shape[1:]
    header.SeriesDescription = header.SeriesDescription[:64]
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    for index, plane in enumerate(stored):
        header.SOPInstanceUID = uid(header.SeriesInstanceUID, str(index))
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.InstanceNumber = index + 1
        position = lps[:3, 3] + index * lps[:3, 2]
        if sources:
            position = sources[index].ImagePositionPatient
            refer_to(header, sources[index])
        header.ImagePositionPatient = [format_number_as_ds(float(number)) for number in position]
        header.PixelData = plane.astype(plane.dtype.newbyteorder("<")).tobytes()
        header.save_as(path / f"IM{index + 1:04d}.dcm", enforce_file_format=True)
