"""Makes the inputs of `benchmarks.speed.commands`, in a process of its own.

Run as `python -m benchmarks.speed.command_inputs FOLDER [DATA]`. DATA is a folder of real images, whose
series of 28 slices is taken.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage
from scipy import ndimage

from benchmarks.outputs.inputs import SHAPE, SPACING, head

SERIES = "ct-skull-philips"
"""The real series of 28 slices."""


def main() -> None:
    folder, data = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if data:
        with tarfile.open(data / "dicom" / f"{SERIES}.tar.xz") as archive:
            archive.extractall(folder / "short", filter="data")
    else:
        write_series(folder / "short", larger("ct", (512, 512, 28)), "ct")
    write_series(folder / "ct", larger("ct", (512, 512, 200)), "ct")
    write_series(folder / "mr", larger("mr", (512, 512, 200)), "mr")
    truth = larger("ct", (192, 192, 60))
    made = (0.95 * truth + np.random.default_rng(1).normal(0, 20, truth.shape)).astype(np.int16)
    for name, values in (("truth", truth), ("made", made)):
        nib.Nifti1Image(values, spacing_of(values)).to_filename(folder / f"{name}.nii.gz")
        np.save(folder / f"{name}.npy", values.astype(np.float32))
    plane = larger("mr", (256, 256, SHAPE[2]))[:, ::-1, SHAPE[2] // 2].T / 700.0
    Image.fromarray((255 * plane.clip(0, 1)).astype(np.uint8)).save(folder / "mr.png")


def larger(modality: str, shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """Make a head [X, Y, Z] of another number of voxels, with noise that no compression takes away."""
    values = ndimage.zoom(head(modality), np.array(shape) / SHAPE, order=1).astype(np.int16)
    noise = np.random.default_rng(0).integers(-20, 21, shape, np.int16)
    made: NDArray[np.int16] = np.maximum(values + noise, -1024 if modality == "ct" else 0).astype(np.int16)
    return made


def spacing_of(values: NDArray[np.int16]) -> NDArray[np.float64]:
    """Make an affine that gives a volume the size of the head."""
    return np.diag([*(n * mm / m for n, mm, m in zip(SHAPE, SPACING, values.shape, strict=True)), 1.0])


def write_series(folder: Path, values: NDArray[np.int16], modality: str) -> None:
    """Write axial slices of [X, Y, Z] as DICOM files."""
    folder.mkdir()
    x, y, z = np.diag(spacing_of(values))[:3]
    for index in range(values.shape[2]):
        image, meta = Dataset(), FileMetaDataset()
        image.file_meta, meta.TransferSyntaxUID = meta, ExplicitVRLittleEndian
        image.SOPClassUID = CTImageStorage if modality == "ct" else MRImageStorage
        image.SOPInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.9.{index + 1}")
        for number, name in enumerate(("Study", "Series")):
            setattr(image, f"{name}InstanceUID", UID(f"1.2.826.0.1.3680043.8.498.9.0.{number}"))
        image.FrameOfReferenceUID = UID("1.2.826.0.1.3680043.8.498.9.0.2")
        image.Modality, image.InstanceNumber = modality.upper(), index + 1
        image.PatientName, image.PatientID, image.StudyDate = "Example^Head", "E1", "20200304"
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.SliceThickness, image.PixelSpacing = round(z, 6), [round(y, 6), round(x, 6)]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient = [-90, -110, round(index * z, 6)]
        image.Columns, image.Rows, image.SamplesPerPixel = values.shape[0], values.shape[1], 1
        image.PhotometricInterpretation, image.PixelRepresentation = "MONOCHROME2", 1
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        if modality == "ct":
            image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "HU"
        else:
            image.ScanningSequence, image.SequenceVariant, image.EchoTime = "SE", "NONE", 12
        pixels = np.ascontiguousarray(values[::-1, ::-1, index].T, "<i2")
        image.add_new("PixelData", "OW", pixels.tobytes())
        image.save_as(folder / f"{index:03}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    main()
