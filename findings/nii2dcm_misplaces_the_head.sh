#!/usr/bin/env bash
# nii2dcm 0.1.6: a NIfTI has positions in RAS, DICOM in LPS. nii2dcm turns the directions of rows and columns and leaves
# ImagePositionPatient in RAS, and counts slices from -1: the series lies elsewhere by twice the offset from the scanner's
# centre, and by one slice. Here that is 181 mm. Values are cast to 16 bits without sign: what lies below 1 becomes 0.
# Nothing is raised.
#
# The head looks right by itself. On the scan that it came from, or in a treatment plan, it is in another place.
#
#     bash findings/nii2dcm_misplaces_the_head.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" nii2dcm==0.1.6 SimpleITK==2.5.7 nibabel==5.0.0 pydicom==2.3.0 numpy==1.23.2
python - <<'PYTHON'
import os
import subprocess

import nibabel
import numpy as np
import SimpleITK
from valid_dicom import settle

affine = np.diag([1.0, 1.0, 3.0, 1.0])
affine[:3, 3] = -10, -90, -30
voxel, faint = (4, 6, 9), (8, 6, 9)
values = np.full((20, 24, 12), 10, "f4")
values[voxel], values[faint] = 1500, 0.9
nibabel.save(nibabel.Nifti1Image(values, affine), "mr.nii")
os.mkdir("mr")
subprocess.run(["nii2dcm", "mr.nii", "mr", "-d", "MR"], check=True, stdout=subprocess.DEVNULL)

reader = SimpleITK.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames("mr"))
image = reader.Execute()
stored = SimpleITK.GetArrayFromImage(image)
found = image.TransformIndexToPhysicalPoint([int(index) for index in np.argwhere(stored == 1500)[0][::-1]])
true = (affine @ [*voxel, 1])[:3] * [-1, -1, 1]
off = float(np.linalg.norm(found - true))
print(f"lesion at {[float(x) for x in found]} mm in LPS (true: {true.tolist()}), off by {off:.0f} mm")
print(f"value 0.9 is stored as {stored.min()}")
settle(round(off) == 181 and stored.min() == 0)
PYTHON
