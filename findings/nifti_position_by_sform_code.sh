#!/usr/bin/env bash
# One NIfTI file, two places: SimpleITK 2.5.7 goes by the sform where its code is 1 and by the qform where it is 2, 3
# or 4; nibabel 5.4.2 goes by the sform always. nifti1.h leaves the choice to the reader, and neither says which it took.
#
# Templates and registered heads have codes 2 to 4. A mask drawn in ITK-SNAP or Slicer, or a transform of ANTs, then lies
# elsewhere than the image that MONAI or nilearn loads from the same file, by as much as both forms differ.
#
#     bash findings/nifti_position_by_sform_code.sh
#
# Fails if either behaviour changes. Needs python3 with venv, and a package index.
set -euo pipefail
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
python3 -m venv "$box/venv"
"$box/venv/bin/pip" install --quiet SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
cd "$box"
"$box/venv/bin/python" - <<'PYTHON'
import sys

import nibabel
import numpy as np
import SimpleITK

print(f"SimpleITK {SimpleITK.Version.VersionString()}, nibabel {nibabel.__version__}")
scanner = np.diag([2.0, 2.0, 2.0, 1.0])
scanner[:3, 3] = -40, -50, -60
angle = np.radians(10)
turn = np.eye(4)
turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
voxel = (39, 49, 59)
apart = {}
for code in (1, 2, 3, 4):
    image = nibabel.Nifti1Image(np.zeros((40, 50, 60), np.int16), None)
    image.header.set_xyzt_units("mm")
    image.set_qform(scanner, 1)
    image.set_sform(turn @ scanner, code)  # a rigid motion of 10 degrees, as registration writes it
    nibabel.save(image, "head.nii")
    one = (nibabel.load("head.nii").affine @ [*voxel, 1])[:3]
    lps = SimpleITK.ReadImage("head.nii").TransformIndexToPhysicalPoint(voxel)
    other = np.array(lps) * [-1, -1, 1]
    apart[code] = float(np.linalg.norm(one - other))
    print(
        f"sform code {code}, qform code 1: voxel {voxel} at RAS {one.round(2)} (nibabel), {other.round(2)} (SimpleITK):"
        f" {apart[code]:.2f} mm apart"
    )
seen = apart[1] < 0.01 and all(10 < apart[code] < 11 for code in (2, 3, 4))
print("as described" if seen else "the behaviour has changed")
sys.exit(not seen)
PYTHON
