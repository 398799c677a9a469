#!/usr/bin/env bash
# MONAI 1.6.1, RandSimulateLowResolution with its own settings: it samples down by "nearest", which takes the voxel at
# the lower corner of each block, and up by "trilinear", which goes by the blocks' centres. The result is not only
# coarser but shifted, by (1 / zoom - 1) / 2 voxels along every axis: half a voxel at a zoom of 0.5, one and a half at
# 0.25. The affine stays, and so do the label or the target. With downsample_mode="area" nothing moves.
#
# A network that is trained on pairs, of image and label or of MR and CT, is taught the shift.
#
#     bash findings/monai_low_resolution_augmentation_shifts_the_image.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" monai==1.6.1 torch==2.13.0 numpy==2.2.6 pydicom==3.0.2
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import monai
import torch
from monai.transforms import RandSimulateLowResolution
from valid_dicom import settle

axis = torch.arange(64.0)
ramp = (axis[:, None, None] + 0 * axis[None, :, None] + 0 * axis[None, None, :])[None]  # value = index along x
found = {}
for zoom in (0.5, 0.25):
    for mode in ("nearest", "area"):
        lower = RandSimulateLowResolution(prob=1, zoom_range=(zoom, zoom), downsample_mode=mode)(ramp)
        inside = (lower - ramp)[0, 16:48, 16:48, 16:48]
        found[zoom, mode] = round(float(inside.mean()), 3)
        print(
            f"MONAI {monai.__version__}, zoom {zoom}, downsample_mode={mode!r}: the content lies"
            f" {abs(found[zoom, mode]):g} voxels further up the axis"
        )
default = RandSimulateLowResolution(prob=1, zoom_range=(0.5, 0.5))(ramp)
same = torch.equal(default, RandSimulateLowResolution(1, "nearest", zoom_range=(0.5, 0.5))(ramp))
print(f"the default is 'nearest': {same}")
settle(
    same
    and found
    == {(0.5, "nearest"): -0.5, (0.5, "area"): 0, (0.25, "nearest"): -1.5, (0.25, "area"): 0}
)
PYTHON
