#!/usr/bin/env bash
# A NIfTI with scl_slope 0 has no scaling (nifti1.h: "if the scl_slope field is nonzero, then each voxel value should be
# scaled"). SimpleITK 2.5.7 adds scl_inter all the same: with -1024 every value is 1024 lower than in nibabel 5.4.2.
#
# A CT written by a tool that fills the intercept and leaves the slope at 0 is in HU for one half of a pipeline and 1024
# HU off for the other; nobody warns.
#
#     bash findings/nifti_intercept_without_slope.sh
#
# Fails if either behaviour changes. Needs python3 with venv, and a package index.
set -euo pipefail
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
python3 -m venv "$box/venv"
"$box/venv/bin/pip" install --quiet SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
cd "$box"
"$box/venv/bin/python" - <<'PYTHON'
import struct
import sys

import nibabel
import numpy as np
import SimpleITK

print(f"SimpleITK {SimpleITK.Version.VersionString()}, nibabel {nibabel.__version__}")
stored = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
content = bytearray(nibabel.Nifti1Image(stored, np.eye(4)).to_bytes())
ranges = {}
for slope, intercept in ((0.0, -1024.0), (1.0, -1024.0), (0.0, 0.0)):
    struct.pack_into("<2f", content, 112, slope, intercept)  # scl_slope, scl_inter
    with open("ct.nii", "wb") as file:
        file.write(content)
    one = np.asarray(nibabel.load("ct.nii").dataobj)
    other = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage("ct.nii"))
    ranges[slope, intercept] = [(float(each.min()), float(each.max())) for each in (one, other)]
    print(
        f"scl_slope {slope:g}, scl_inter {intercept:g}: {one.min():g} to {one.max():g} (nibabel),"
        f" {other.min():g} to {other.max():g} (SimpleITK)"
    )
seen = (
    ranges[0.0, -1024.0] == [(0, 999), (-1024, -25)]
    and ranges[1.0, -1024.0] == [(-1024, -25)] * 2
    and ranges[0.0, 0.0] == [(0, 999)] * 2
)
print("as described" if seen else "the behaviour has changed")
sys.exit(not seen)
PYTHON
