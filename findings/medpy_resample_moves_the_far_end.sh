#!/usr/bin/env bash
# MedPy 0.5.2, `medpy.filter.resample`: the first and the last voxel of the resampled image show what the first and the
# last voxel of the image show. The header gets the spacing that was asked for, which does not fit them. From 1 to 5 mm,
# the far end of a head of 240 mm lies 4 mm from where the header has it, and its middle 2 mm. Nothing is raised.
#
# An atlas or a dose that is brought to another spacing no longer fits the scan that it belongs to.
#
#     bash findings/medpy_resample_moves_the_far_end.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" medpy==0.5.2 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6 scipy==1.16.3
python - <<'PYTHON'
import numpy as np
import SimpleITK
from medpy.filter import resample
from medpy.io import load, save
from valid_dicom import settle

# A voxel's value is its own place in mm.
places = np.broadcast_to(np.arange(240, dtype="f4"), (4, 4, 240))
SimpleITK.WriteImage(SimpleITK.GetImageFromArray(places), "ramp.mha")
values, header = resample(*load("ramp.mha"), (5.0, 1.0, 1.0), bspline_order=1)
save(values, "thick.mha", header)

image = SimpleITK.ReadImage("thick.mha")
off = []
for index in (0, image.GetSize()[0] // 2, image.GetSize()[0] - 1):
    told, shown = image.TransformIndexToPhysicalPoint((index, 0, 0))[0], image[index, 0, 0]
    off.append(shown - told)
    print(f"voxel {index}: at {told:.0f} mm by the header, shows what lies at {shown:.1f} mm")
settle(np.allclose(off, [0, 2, 4], atol=0.1) and image.GetSpacing()[0] == 5)
PYTHON
