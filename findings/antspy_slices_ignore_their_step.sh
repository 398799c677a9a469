#!/usr/bin/env bash
# ANTsPy 0.6.3, `image[start:stop:step]`: the step is passed over. `image[::-1]` is the image as it was, not its
# mirror image, and `image[:, :, ::2]` has all slices. Nothing is raised, although a start from the end is refused,
# and so is a stop before the start: "Reverse indexing is not supported". Where such a slice is assigned to, its step
# counts. The method has no documentation. Its slices without a step are those of numpy, with the right origin. Issue
# 719 of ANTsPy is about faults of its slices, too, and is open.
#
# A head minus its mirror image is 0 everywhere: the bleeding on one side of it is not seen.
#
#     bash findings/antspy_slices_ignore_their_step.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" antspyx==0.6.3 numpy==2.2.6 pydicom==3.0.2
python - <<'PYTHON'
import ants
import numpy as np
from valid_dicom import settle

voxels = np.full((20, 24, 16), 40, np.float32)
voxels[3:6, 8:12, 6:9] = 75  # a bleeding on one side
head = ants.from_numpy(voxels, spacing=(1, 1, 5))

asymmetry = float(np.abs(head.numpy() - head[::-1, :, :].numpy()).max())
true = float(np.abs(voxels - voxels[::-1]).max())
print(f"ANTsPy {ants.__version__}: largest difference to the mirror image {asymmetry:g} HU, of the arrays {true:g} HU")
half = head[:, :, ::2]
print(f"[:, :, ::2]: {half.shape[2]} slices {half.spacing[2]:g} mm apart, of the array {voxels[:, :, ::2].shape[2]}")
cleared = head.clone()
cleared[:, :, ::2] = 0
share = float((cleared.numpy() == 0).mean())
print(f"[:, :, ::2] = 0: {share:g} of the voxels are 0")
part = head[2:18, :, :]
print(f"[2:18] without a step: {part.shape[0]} columns, origin {part.origin[0]:g} mm")
settle(
    (asymmetry, true, half.shape, half.spacing[2], share) == (0, 35, (20, 24, 16), 5, 0.5)
    and (part.shape[0], part.origin[0]) == (16, 2)
)
PYTHON
