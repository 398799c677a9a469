"""Makes the inputs of the commands: heads of ellipsoids, as files that medtranslate did not write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

SHAPE = (72, 84, 20)
"""Voxels of a volume, [X, Y, Z]."""

SPACING = (2.6, 2.6, 6.0)
"""Its spacing in mm."""

TISSUES = {"ct": (-1000, 40, 900, 34, 8), "mr": (3, 620, 40, 480, 150)}
"""Values of air, scalp, skull, brain and ventricles by modality: HU, arbitrary units."""

Voxels = NDArray[np.int16]


@dataclass(frozen=True)
class Slice:
    """Place of one DICOM slice in LPS+ mm: of its first voxel, and the directions of its rows and columns."""

    position: tuple[float, float, float]
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0)


def head(modality: str, seed: int = 0, shift: float = 0.0) -> Voxels:
    """Make a head [X, Y, Z] in RAS+, with noise.

    Args:
        modality: "ct" or "mr".
        seed: of the noise.
        shift: mm by which the head lies further right to left.
    """
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    air, scalp, skull, brain, ventricles = TISSUES[modality]
    values = np.full(SHAPE, air, np.float64)
    parts = (
        ((0, 0, 0), (78, 96, 74), scalp),
        ((0, 92, -20), (14, 18, 16), scalp),  # the nose, so that front, top and left can be told
        ((0, 0, 0), (72, 90, 68), skull),
        ((0, 0, 0), (66, 84, 62), brain),
        ((-30, 70, -35), (16, 16, 14), air),
        ((0, -5, 10), (16, 30, 18), ventricles),
        ((-38, -30, 20), (14, 10, 12), skull),
    )
    for centre, radii, value in parts:
        away = zip((x - shift, y, z), centre, radii, strict=True)
        values[sum(((axis - middle) / radius) ** 2 for axis, middle, radius in away) < 1] = value
    values += np.random.default_rng(seed).normal(0, 6, SHAPE)
    return values.round().clip(-1024 if modality == "ct" else 0, 3000).astype(np.int16)


def affine(tilt: float = 0.0) -> NDArray[np.float64]:
    """Map voxels to RAS+ mm, the grid's middle at the origin; `tilt` degrees about the x axis."""
    angle = np.deg2rad(tilt)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(SPACING)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return matrix


def make_inputs(folder: Path) -> None:
    """Write every input below a folder that does not exist."""
    folder.mkdir(parents=True)
    ct, mr = head("ct"), head("mr", 1)
    _volumes(folder, ct, mr)
    _series(folder, ct, mr)
    _pictures(folder, ct, mr)
    _pairs(folder, ct)
    _refused(folder, ct)


def _volumes(folder: Path, ct: Voxels, mr: Voxels) -> None:
    for name, values in (("ct", ct), ("mr", mr)):
        nib.Nifti1Image(values, affine()).to_filename(folder / f"{name}.nii.gz")
        image = SimpleITK.GetImageFromArray(values.T)
        image.SetSpacing(SPACING)
        image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        image.SetOrigin([*-affine()[:2, 3], affine()[2, 3]])
        for suffix in ("mha", "nrrd"):
            SimpleITK.WriteImage(image, folder / f"{name}.{suffix}", useCompression=suffix == "nrrd")
        nib.MGHImage(values, affine().astype(np.float32)).to_filename(folder / f"{name}.mgz")
    nib.Nifti1Image(mr.astype(np.float32) / 7, affine(12)).to_filename(folder / "mr-oblique.nii")
    four = np.stack([mr, head("mr", 2)], axis=-1)
    nib.Nifti1Image(four, affine()).to_filename(folder / "two-volumes.nii.gz")


def _series(folder: Path, ct: Voxels, mr: Voxels) -> None:
    left = tuple(-(n - 1) / 2 * mm for n, mm in zip(SHAPE, SPACING, strict=True))

    def straight(index: int) -> Slice:
        return Slice((left[0], left[1], left[2] + index * SPACING[2]))

    def uneven(index: int) -> Slice:
        return Slice((left[0], left[1], left[2] + index * SPACING[2] + (3 if index > 10 else 0)))

    def tilted(index: int) -> Slice:
        c, s = np.cos(np.deg2rad(15)), np.sin(np.deg2rad(15))
        return Slice((left[0], left[1], left[2] + index * SPACING[2]), (1, 0, 0, 0, float(c), float(s)))

    _write_series(folder / "ct-series", ct, "ct", 1, straight)
    _write_series(folder / "mr-series", mr, "mr", 2, straight)
    _write_series(folder / "ct-tilted", ct, "ct", 3, tilted)
    _write_series(folder / "ct-uneven", ct, "ct", 4, uneven)
    _write_series(folder / "two-series", ct[:, :, :4], "ct", 5, straight)
    _write_series(folder / "two-series", ct[:, :, 4:8], "ct", 6, straight)
    _write_series(folder / "gap", ct, "ct", 7, straight, left_out=(8,))
    _write_series(folder / "mr-sagittal", np.transpose(mr, (1, 2, 0)), "mr", 8, _sagittal)


def _sagittal(index: int) -> Slice:
    x, y, z = ((n - 1) / 2 * mm for n, mm in zip(SHAPE, SPACING, strict=True))
    return Slice((-x + index * SPACING[0], -y, z), (0, 1, 0, 0, 0, -1))


def _write_series(
    folder: Path,
    values: Voxels,
    modality: str,
    number: int,
    place: Callable[[int], Slice],
    left_out: tuple[int, ...] = (),
) -> None:
    """Write the slices of [X, Y, Z], whose x and y are a picture's columns and rows, as DICOM files."""
    folder.mkdir(exist_ok=True)
    spacing = [SPACING[2], SPACING[1]] if modality == "mr" and number == 8 else [SPACING[1], SPACING[0]]
    for index in range(values.shape[2]):
        if index in left_out:
            continue
        header, meta = Dataset(), FileMetaDataset()
        header.file_meta, meta.TransferSyntaxUID = meta, ExplicitVRLittleEndian
        header.SOPClassUID = CTImageStorage if modality == "ct" else MRImageStorage
        header.SOPInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.{number}.{index + 1}")
        header.StudyInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.{number}.1000")
        header.SeriesInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.{number}.2000")
        header.FrameOfReferenceUID = UID(f"1.2.826.0.1.3680043.8.498.{number}.3000")
        header.Modality, header.InstanceNumber, header.SeriesNumber = modality.upper(), index + 1, number
        header.PatientName, header.PatientID = "Example^Head", f"E{number}"
        header.PatientBirthDate, header.PatientSex, header.StudyDate = "19500102", "F", "20200304"
        header.StudyTime, header.StudyID, header.AccessionNumber = "101112", "7", "A7"
        header.SeriesDescription, header.Manufacturer = f"head {number}", "Example"
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.SliceThickness, header.PixelSpacing = SPACING[2], spacing
        at = place(index)
        header.ImageOrientationPatient = [round(number, 8) for number in at.orientation]
        header.ImagePositionPatient = [round(number, 6) for number in at.position]
        header.Columns, header.Rows, header.SamplesPerPixel = values.shape[0], values.shape[1], 1
        header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 1
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
        if modality == "ct":
            header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, 0, "HU"
            header.KVP, header.ConvolutionKernel = 120, "H31s"
        else:
            header.EchoTime, header.RepetitionTime, header.MagneticFieldStrength = 12, 500, 1.5
            header.ScanningSequence, header.SequenceVariant, header.ScanOptions = "SE", "NONE", ""
        # Rows run from front to back and columns from right to left: LPS.
        pixels = values[:, :, index][::-1, ::-1].T if number != 8 else values[:, ::-1, index][::-1].T
        header.add_new("PixelData", "OW", np.ascontiguousarray(pixels).astype("<i2").tobytes())
        header.save_as(folder / f"{number}-{index:03}.dcm", enforce_file_format=True)


def _pictures(folder: Path, ct: Voxels, mr: Voxels) -> None:
    def picture(values: Voxels, low: float, high: float, index: int) -> Image.Image:
        plane = (values[:, ::-1, index].T - low) / (high - low)
        return Image.fromarray((plane.clip(0, 1) * 255).astype(np.uint8)).resize((160, 186))

    for name in ("mr-pictures", "ct-pictures"):
        (folder / name).mkdir()
    for index in (8, 9, 10, 11):
        picture(mr, 0, 700, index).save(folder / "mr-pictures" / f"head {index}.png")
        picture(ct, -20, 100, index).save(folder / "ct-pictures" / f"head {index}.png")
    picture(mr, 0, 700, 10).save(folder / "mr.png")
    picture(mr, 0, 700, 10).convert("RGB").save(folder / "mr.jpg", quality=92)
    picture(ct, -20, 100, 10).save(folder / "ct.png")


def _pairs(folder: Path, ct: Voxels) -> None:
    for name in ("predictions", "references"):
        (folder / name).mkdir()
    for index in range(3):
        truth = head("ct", 10 + index)
        made = (truth * 0.9 + 20 * np.sin(np.arange(SHAPE[2]))).astype(np.int16)
        nib.Nifti1Image(truth, affine()).to_filename(folder / "references" / f"case{index}.nii.gz")
        nib.Nifti1Image(made, affine()).to_filename(folder / "predictions" / f"case{index}.nii.gz")
    mask = (ct > -400).astype(np.uint8)
    nib.Nifti1Image(mask, affine()).to_filename(folder / "mask.nii.gz")
    nib.Nifti1Image(np.abs(ct).astype(np.float32) / 20 + 5, affine()).to_filename(folder / "sd.nii.gz")
    moved = affine()
    moved[:3, 3] += (6, -4, 3)
    nib.Nifti1Image(head("ct", 12, shift=2), moved).to_filename(folder / "moved.nii.gz")


def _refused(folder: Path, ct: Voxels) -> None:
    (folder / "text.png").write_text("no picture\n")
    (folder / "short.nii.gz").write_bytes((folder / "ct.nii.gz").read_bytes()[:4000])
    holes = ct.astype(np.float32)
    holes[3:9, 3:9, 3:9] = np.nan
    nib.Nifti1Image(holes, affine()).to_filename(folder / "nan.nii.gz")
    (folder / "empty").mkdir()
    (folder / "settings.yaml").write_text("command: translate\nunknown: 1\n")
