#!/usr/bin/env bash
# TPTBox 1.1.0, `NII.apply_center_crop`: the voxels are cut out of the middle, and the affine stays that of the whole
# image. So the first voxel that is left gets the place of the first voxel that was cut off: here the head moves by 64
# mm along x and y, and by 32 mm along z. Where the shape that is asked for is larger, voxels are added on both sides,
# the head moves the other way, and what is added is 0 HU, which is water. Nothing is raised or printed. TPTBox's own
# `apply_crop` and `apply_pad` move the affine, and `apply_pad` fills with the least value of the image.
#
# The docstring speaks of cropping and padding about the middle, and names no affine.
#
# Labels or contours that are found in the crop, and are laid over the scan, lie centimetres off.
#
#     bash findings/tptbox_centre_crops_keep_the_first_place.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" TPTBox==1.1.0 SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2
python - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np
import SimpleITK
from TPTBox import NII
from valid_dicom import settle

affine = np.diag([2.0, 2.0, 4.0, 1.0])
affine[:3, 3] = -120, -130, -60  # the place of the first voxel, in mm
voxels = np.full((120, 120, 40), -1000, np.int16)
voxels[10:110, 10:110] = 40
lesion = 64, 70, 22
voxels[lesion] = 1000
nibabel.save(nibabel.Nifti1Image(voxels, affine), "head.nii.gz")
head = NII.load("head.nii.gz", seg=False)
middle = slice(32, 88), slice(32, 88), slice(8, 32)  # 56 x 56 x 24 voxels

made = {
    "the whole": head,
    "apply_crop": head.apply_crop(middle),
    "apply_center_crop": head.apply_center_crop((56, 56, 24)),
    "apply_pad": head.apply_pad(((20, 20), (20, 20), (5, 5)), verbose=False),
    "apply_center_crop, larger": head.apply_center_crop((160, 160, 50)),
}
print(f"TPTBox {version('TPTBox')}; the lesion lies at {(affine @ [*lesion, 1])[:3].tolist()} mm")
seen = {}
for name, image in made.items():
    image.save("made.nii.gz", verbose=False)
    index = np.argwhere(image.get_array() == 1000)[0]
    by_nibabel = (nibabel.load("made.nii.gz").affine @ [*index, 1])[:3]
    by_itk = SimpleITK.ReadImage("made.nii.gz").TransformIndexToPhysicalPoint([int(place) for place in index])
    assert np.allclose(by_nibabel, np.array(by_itk) * [-1, -1, 1], atol=1e-3)
    seen[name] = image.shape, by_nibabel.round(2).tolist(), int(image.get_array()[0, 0, 0])
    print("  {}: {} voxels, the lesion at {} mm; the corner is {} HU".format(name, *seen[name]))
true = [8, 10, 28]
settle(
    seen
    == {
        "the whole": ((120, 120, 40), true, -1000),
        "apply_crop": ((56, 56, 24), true, 40),
        "apply_center_crop": ((56, 56, 24), [-56, -54, -4], 40),
        "apply_pad": ((160, 160, 50), true, -1000),
        "apply_center_crop, larger": ((160, 160, 50), [48, 50, 48], 0),
    }
)
PYTHON
