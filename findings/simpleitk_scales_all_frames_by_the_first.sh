#!/usr/bin/env bash
# SimpleITK 2.5.7 (GDCM): an enhanced object may have a slope and an intercept for each frame (Pixel Value Transformation
# in the Per-Frame Functional Groups). The first frame's are applied to all frames, and nothing is said. highdicom 0.28.2 and dcm2niix 1.0.20260724 take each frame's own.
#
# Slices of a map come out in units that differ from slice to slice.
#
#     bash findings/simpleitk_scales_all_frames_by_the_first.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 highdicom==0.28.2 dcm2niix==1.0.20260724 nibabel==5.4.2 pydicom==3.0.2 \
    numpy==2.2.6
python - <<'PYTHON'
import subprocess

import highdicom
import nibabel
import numpy as np
import SimpleITK
from valid_dicom import enhanced, settle

pixels = [np.full((8, 8), 1000, "<u2")] * 4
rescale = [(1, 0), (0.5, -100), (2, 0), (1, -2000)]
enhanced("mr/a.dcm", [(0, 0, 5 * index) for index in range(4)], pixels, rescale=rescale)
true = [1000 * slope + intercept for slope, intercept in rescale]
itk = SimpleITK.ReadImage("mr/a.dcm")
first = [float(itk[4, 4, index]) for index in range(4)]
own = [float(frame[4, 4]) for frame in highdicom.imread("mr/a.dcm").get_frames()]
subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-f", "a", "mr"], check=True, stdout=subprocess.DEVNULL)
converted = [float(value) for value in nibabel.load("mr/a.nii").get_fdata()[4, 4]]
print(f"true {true}\nSimpleITK {SimpleITK.Version.VersionString()}: {first}")
print(f"highdicom {highdicom.__version__}: {own}\ndcm2niix: {converted}")
settle(first == [1000.0] * 4 and own == converted == true)
PYTHON
