#!/usr/bin/env bash
# rt-utils 1.2.7: PixelSpacing is the distance between rows, then between columns (PS3.3 10.7.1.3). rt-utils scales the
# direction of a row by the first, so that the two are swapped. With square pixels nobody sees it. With others a region
# lands elsewhere, in masks that are read and in contours that are written: here by 30 mm. plastimatch 1.10.0 is right.
#
# MR of the spine and old heads have such pixels.
#
#     bash findings/rt_utils_swaps_pixel_spacing.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" rt-utils==1.2.7 plastimatch==1.10.0 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import subprocess

import numpy as np
import SimpleITK
from rt_utils import RTStructBuilder
from valid_dicom import series, settle, structures

between_rows, between_columns, corner = 1.5, 0.75, np.array([-20.0, -20.0])
heights = [3 * index for index in range(5)]
images = series(
    "mr",
    [(*corner, height) for height in heights],
    [np.zeros((40, 60), "<u2")] * 5,
    modality="MR",
    spacing=(between_rows, between_columns),
)
square = np.array([(-2.0, 4.0), (6.0, 4.0), (6.0, 12.0), (-2.0, 12.0)])  # centred at x = 2, y = 8
structures("rs/rs.dcm", images, [np.c_[square, np.full(4, height)] for height in heights[1:4]])

rows, columns = np.nonzero(RTStructBuilder.create_from("mr", "rs/rs.dcm").get_roi_mask_by_name("a")[:, :, 2])
read = corner + [columns.mean() * between_columns, rows.mean() * between_rows]
command = ["plastimatch", "convert", "--input", "rs/rs.dcm", "--referenced-ct", "mr", "--output-prefix", "mask"]
subprocess.run([*command, "--prefix-format", "nrrd"], check=True, stdout=subprocess.DEVNULL)
other = SimpleITK.ReadImage("mask/a.nrrd")
_, rows, columns = np.nonzero(SimpleITK.GetArrayFromImage(other))
right = np.array(other.GetOrigin()[:2]) + [
    columns.mean() * other.GetSpacing()[0],
    rows.mean() * other.GetSpacing()[1],
]
print(f"centre (true: 2, 8 mm): rt-utils {read.round(1).tolist()}, plastimatch {right.round(1).tolist()}")
settle(np.linalg.norm(read - [2, 8]) > 20 and np.linalg.norm(right - [2, 8]) < 1)
PYTHON
