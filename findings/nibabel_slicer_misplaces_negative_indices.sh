#!/usr/bin/env bash
# nibabel 5.4.2, `image.slicer[...]`: it cuts an image and moves its affine with the cut. With a start that counts from
# the end (`[..., -20:]`) or an axis that is reversed (`[..., ::-1]`) the voxels are right and the affine is not: the start
# is put into it as it was written, -20, or 0 where there is none. The image lies beside its place by the whole length
# of the axis. Nothing is raised.
#
# "The last twenty slices" of a head then lie below the patient; a mask of them, too.
#
#     bash findings/nibabel_slicer_misplaces_negative_indices.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2
python - <<'PYTHON'
import nibabel
import numpy as np
from valid_dicom import settle

affine = np.diag([1.0, 1.0, 3.0, 1.0])
affine[2, 3] = -30
heights = np.broadcast_to(affine[2, 3] + 3.0 * np.arange(20), (4, 4, 20))  # each voxel has its z in mm as its value
image = nibabel.Nifti1Image(heights.astype(np.float32), affine)
apart = {}
for name, cut in {
    "15:": np.s_[:, :, 15:],
    "-5:": np.s_[:, :, -5:],
    "::2": np.s_[:, :, ::2],
    "19::-1": np.s_[:, :, 19::-1],
    "::-1": np.s_[:, :, ::-1],
}.items():
    part = image.slicer[cut]
    true = part.get_fdata()[0, 0]
    claimed = part.affine[2, 2] * np.arange(len(true)) + part.affine[2, 3]
    apart[name] = float(np.abs(true - claimed).max())
    print(f"nibabel {nibabel.__version__}, slicer[:, :, {name}]: first slice of z {true[0]:g} mm at {claimed[0]:g} mm")
settle(apart == {"15:": 0, "-5:": 60, "::2": 0, "19::-1": 0, "::-1": 57})
PYTHON
