#!/usr/bin/env bash
# SimpleITK 2.5.7 (ITK 5.4, GDCM) and MONAI 1.6.1 (PydicomReader): a series of reformatted slices whose first image
# shows in another plane where they lie. Consoles put such an image into the series of a reformatted volume. The
# orientation of all slices is taken from this first image, so a coronal volume becomes an axial one of one slice
# more, in which front and top are exchanged. MONAI says nothing. SimpleITK warns of spacing, not of orientation.
# dcm2niix makes two files and says so.
#
# A head lies on its face, and masks, doses and registrations refer to places where nothing is.
#
#     bash findings/reference_images_turn_the_volume.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" monai==1.6.1 torch==2.13.0 pydicom==3.0.2 SimpleITK==2.5.7 numpy==2.2.6 dcm2niix==1.0.20260416
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import subprocess

import monai
import numpy as np
import SimpleITK
from monai.data import PydicomReader
from monai.transforms import LoadImage
from valid_dicom import AXIAL, numbers, series, settle

CORONAL = (1, 0, 0, 0, 0, -1)
fronts = [2.0 * index for index in range(12)]  # y of the coronal slices in LPS, from the front to the back
positions = [(0, 0, 0), *((0, front, 30) for front in fronts)]
pixels = [np.zeros((16, 16), "<i2"), *(np.full((16, 16), front, "<i2") for front in fronts)]
kinds = [["DERIVED", "SECONDARY", "REFORMATTED"], *[["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]] * 12]
each = [
    {"ImageOrientationPatient": numbers(AXIAL if index == 0 else CORONAL), "ImageType": kind}
    for index, kind in enumerate(kinds)
]
series("ct", positions, pixels, thickness=2, each=each)

files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames("ct")
stacked = SimpleITK.ReadImage(files)
turned = stacked.GetSize() == (16, 16, 13) and stacked.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
print(f"SimpleITK {SimpleITK.__version__}: size {stacked.GetSize()}, direction {stacked.GetDirection()}")

image = LoadImage(reader=PydicomReader(), image_only=True)("ct")
down = [float(value) for value in image.affine[:3, 1]]
silent = tuple(image.shape) == (16, 16, 13) and down == [0, -1, 0]
print(f"MONAI {monai.__version__}: shape {tuple(image.shape)}, a row further is {down} mm in RAS; true: [0, 0, -1]")

said = subprocess.run(["dcm2niix", "-f", "%r", "-o", ".", "ct"], capture_output=True, text=True, check=False).stdout
print("dcm2niix: " + next(line for line in said.splitlines() if "orientation varies" in line))
settle(turned and silent)
PYTHON
