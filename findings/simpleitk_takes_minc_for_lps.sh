#!/usr/bin/env bash
# SimpleITK 2.5.7 and nibabel 5.4.2 put the same MINC 2 file in places that are half a turn about the long axis apart. MINC's
# world has x to the right and y to the front; nibabel reads it so. SimpleITK takes the numbers for its own, x to the left
# and y to the back, and writes them in the same way, so that its own round trip shows nothing.
#
# A head of the MNI, read for a registration, has left and right, and front and back, exchanged.
#
#     bash findings/simpleitk_takes_minc_for_lps.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 nibabel==5.4.2 h5py==3.16.0 numpy==2.2.6 pydicom==3.0.2
python - <<'PYTHON'
import nibabel
import numpy as np
import SimpleITK
from valid_dicom import settle

image = SimpleITK.Image([6, 7, 8], SimpleITK.sitkInt16)
image.SetSpacing((1, 1.5, 2))
image.SetOrigin((8, 9, -20))
image[5, 3, 2] = 100
meant = np.array(image.TransformIndexToPhysicalPoint((5, 3, 2))) * [-1, -1, 1]
places = {}
for suffix in ("nii", "mnc"):
    SimpleITK.WriteImage(image, f"a.{suffix}")
    other = nibabel.load(f"a.{suffix}")
    brightest = np.unravel_index(np.argmax(np.asarray(other.dataobj)), other.shape)
    places[suffix] = (other.affine @ [*brightest, 1])[:3]
    back = SimpleITK.ReadImage(f"a.{suffix}").GetOrigin()
    print(f".{suffix}: meant RAS {meant.tolist()}, nibabel {places[suffix].tolist()}; SimpleITK reads origin {back} again")
settle(np.allclose(places["nii"], meant) and np.allclose(places["mnc"], meant * [-1, -1, 1]))
PYTHON
