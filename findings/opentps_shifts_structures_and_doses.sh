#!/usr/bin/env bash
# opentps-core 3.0.1 misplaces structures and doses on their way to a DVH.
#
# `ROIContour.get_partial_volume_mask`, and `getBinaryMask`, which calls it: the mask lies (1 - s) / 2 mm beside the
# contours along x and y, where s is the size of a voxel in mm. In the grid of a dose of 3 mm it is 1 mm too far to the
# right and to the front, in one of 5 mm 2 mm, and at 0.5 mm 0.25 mm the other way. At 1 mm it is right. `DVH` and the
# optimiser make their masks so. The mean dose of a region beside a gradient of 2 Gy per mm is 27.6 for 30 Gy.
#
# `readDicomDose`: where the planes of an RT Dose go downwards, as PS3.3 C.8.8.3.2 lets them, the first of the turned
# planes is placed one plane too low. The dose moves by 3 mm, and the mean is 43 for 40 Gy. Upwards it is right.
#
# Nothing is raised; a warning of deprecation has no word on either, nor have the docstrings. plastimatch 1.10.0 has
# the structures in their places, within a tenth of a voxel.
#
# A plan is made and judged for a target that is beside the true one, by more the coarser the dose.
#
#     bash findings/opentps_shifts_structures_and_doses.sh
#
# Fails if the behaviour changes. Needs python3 with venv, from 3.11 on, and a package index.
. "$(dirname "$0")/box.sh" plastimatch==1.10.0 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6 scipy==1.16.3 pandas==2.3.3 \
    matplotlib==3.10.8 scikit-image==0.25.2 nibabel==5.4.2 pillow==12.0.0 requests==2.32.5
# it asks for Python 3.12, but runs from 3.11 on, and for packages that are not in use here
pip install --quiet --no-compile --disable-pip-version-check --no-deps --ignore-requires-python opentps-core==3.0.1
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import logging
import subprocess
from importlib.metadata import version

import numpy as np
import SimpleITK
from pydicom.uid import RTDoseStorage, RTPlanStorage, generate_uid
from valid_dicom import AXIAL, fill, instance, numbers, reference, save, series, settle, structures

logging.disable(logging.WARNING)  # that there is no cupy
from opentps.core.data import DVH
from opentps.core.io.dicomIO import readDicomDose, readDicomStruct

logging.disable(logging.NOTSET)
said = set()
for handler in logging.getLogger().handlers:
    handler.addFilter(lambda record: said.add(record.getMessage()))  # and does not print it

heights = np.arange(-30, 30.5, 3)
images = series("ct", [(-60, -60, z) for z in heights], [np.zeros((121, 121), "<i2")] * len(heights))
angles = np.arange(0, 2 * np.pi, 0.1)
circle = np.c_[12 * np.cos(angles), 12 * np.sin(angles)]
structures("rs.dcm", images, [np.c_[circle, np.full(len(circle), z)] for z in heights[5:16]])
(region,) = readDicomStruct("rs.dcm").contours


def centre(values, origin, spacing):
    """Return the centre of mass of an array `[x, y, z]` in mm."""
    values = values.astype(float)
    index = [(np.indices(values.shape)[axis] * values).sum() / values.sum() for axis in range(3)]
    return [round(float(number), 2) + 0 for number in index * spacing + origin]


seen, doses = {}, {}
print(f"opentps-core {version('opentps-core')}, a cylinder of 24 mm about (0, 0, 0); its middle in masks, in mm:")
for size in (0.5, 1, 2, 3, 5):
    spacing, shape = np.array([size, size, 3.0]), np.array([int(60 / size) + 1] * 2 + [21])
    origin = -(shape - 1) / 2 * spacing
    grid = SimpleITK.Image(shape.tolist(), SimpleITK.sitkInt16)
    grid.SetOrigin(origin.tolist())
    grid.SetSpacing(spacing.tolist())
    SimpleITK.WriteImage(grid, "grid.nrrd")
    command = ["plastimatch", "convert", "--input", "rs.dcm", "--fixed", "grid.nrrd"]
    command += ["--output-prefix", "p", "--prefix-format", "nrrd"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    masks = {
        "partial": region.get_partial_volume_mask(origin, shape, spacing).imageArray,
        "binary": region.getBinaryMask(origin, shape, spacing).imageArray,
        "plastimatch": SimpleITK.GetArrayFromImage(SimpleITK.ReadImage("p/a.nrrd")).T,
    }
    seen[size] = {name: centre(mask, origin, spacing) for name, mask in masks.items()}
    print(f"  voxels of {size:g} mm: " + "; ".join(f"{name} {place}" for name, place in seen[size].items()))

places = np.arange(-60, 60.5, 3)
for name, planes, along_y, along_z, middle in (
    ("2 Gy per mm along y", heights, 2, 0, 30),
    ("1 Gy per mm along z", heights, 0, 1, 40),
    ("the same, planes downwards", heights[::-1], 0, 1, 40),
):
    dose = instance(RTDoseStorage, "RTDOSE", images[0].StudyInstanceUID, images[0].FrameOfReferenceUID)
    del dose.BodyPartExamined
    dose.PatientPosition = "HFS"
    level = middle + along_z * planes[:, None, None] + np.clip(along_y * places, -30, 30)[None, :, None]
    fill(dose, (100 * np.broadcast_to(level, (len(planes), len(places), len(places)))).round().astype("<u2"))
    dose.NumberOfFrames, dose.FrameIncrementPointer = len(planes), 0x3004000C
    dose.GridFrameOffsetVector, dose.PixelSpacing, dose.SliceThickness = numbers(planes - planes[0]), ["3", "3"], ""
    dose.ImageOrientationPatient, dose.ImagePositionPatient = numbers(AXIAL), numbers([-60, -60, planes[0]])
    dose.DoseUnits, dose.DoseType, dose.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dose.DoseGridScaling = "0.01"
    dose.ReferencedRTPlanSequence = [reference(RTPlanStorage, generate_uid())]
    save(dose, "rd.dcm")
    read = readDicomDose("rd.dcm")
    (fresh,) = readDicomStruct("rs.dcm").contours
    inside = np.hypot(places[:, None], places) <= 12
    true = np.broadcast_to(level, (len(planes), len(places), len(places)))[abs(planes) < 16][:, inside].mean()
    doses[name] = [float(read.origin[2]), planes.min(), round(float(DVH(fresh, read).Dmean), 1), round(true, 1)]
    print("{}: lowest plane at {:g} mm, where it is at {:g}; mean {:g} Gy, where it is {:g}".format(name, *doses[name]))
print("logged:", sorted(said))
off = {size: (1 - size) / 2 for size in seen}
settle(
    all(
        abs(places["partial"][axis] - off[size]) < 0.1
        and abs(places["binary"][axis] - off[size]) < 0.51
        and abs(places["plastimatch"][axis]) < 0.1 * size
        for size, places in seen.items()
        for axis in (0, 1)
    )
    and doses
    == {
        "2 Gy per mm along y": [-30, -30, 27.6, 30],
        "1 Gy per mm along z": [-30, -30, 40, 40],
        "the same, planes downwards": [-33, -30, 43, 40],
    }
    and all("deprecated" in text for text in said)
)
PYTHON
