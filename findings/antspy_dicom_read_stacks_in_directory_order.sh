#!/usr/bin/env bash
# ANTsPy 0.6.3, `ants.dicom_read(folder)`: slices come in the order in which the file system lists the files, neither by
# position nor by number, and lie 1 mm apart whatever their positions are. The image has the origin of whichever slice
# was listed first. Nothing is raised or printed.
#
# A CT of 5 mm slices becomes a head of a fifth of its height with its slices mixed. A volume of it in ml is wrong by
# the same factor, and a registration starts from nonsense.
#
#     bash findings/antspy_dicom_read_stacks_in_directory_order.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" antspyx==0.6.3 pydicom==3.0.2 SimpleITK==2.5.7 numpy==2.2.6
python - <<'PYTHON'
import os

import ants
import numpy as np
import SimpleITK
from valid_dicom import series, settle

heights = [5 * index for index in range(12)]
pixels = [np.full((8, 8), height, "<i2") for height in heights]  # each voxel has its z in mm as its value
series("ct", [(0, 0, height) for height in heights], pixels, thickness=5)
for index in range(12):  # names that do not say the order, as those by SOPInstanceUID
    os.rename(f"ct/{index:03}.dcm", f"ct/{index * 7 % 12:03}-{index * 5 % 12}.dcm")

listed = [SimpleITK.ReadImage(f"ct/{name}")[4, 4, 0] for name in os.listdir("ct")]
image = ants.dicom_read("ct")
values = [int(value) for value in image.numpy()[4, 4]]
names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames("ct")
oracle = SimpleITK.ReadImage(names)
print(f"ANTsPy {ants.__version__}: z in mm slice by slice {values}, slices {image.spacing[2]:g} mm apart")
print(f"SimpleITK: {[oracle[4, 4, index] for index in range(12)]}, slices {oracle.GetSpacing()[2]:g} mm apart")
settle(values == listed and image.spacing[2] == 1 and oracle.GetSpacing()[2] == 5)
PYTHON
