#!/usr/bin/env bash
# pyvista 0.49.1 (VTK 9.7.2), `pyvista.read` of a NIfTI file: the first voxel lies at 0, x, y and z are the axes of
# storage, and the values are the stored integers. If the axes are left-handed, such as left, front, up, the slices
# come in reverse order, too. Saved again, the file has neither qform nor sform nor scaling. Nothing is raised or
# printed. nifti1.h gives a voxel the value scl_slope * x + scl_inter, and its place by qform or sform. The
# documentation of `read` and of the reader has no word on either. VTK's class has methods for slope and matrices,
# which `read` does not hand on. The place, not the values, is reported as issue 3805 of pyvista.
#
# A surface at 300 HU of a CT with an intercept of -1024 is drawn at -724 HU. A mask that was cleaned there and saved
# lies elsewhere than its head.
#
#     bash findings/pyvista_leaves_nifti_files_without_a_place.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" pyvista==0.49.1 vtk==9.7.2 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2
python - <<'PYTHON'
import nibabel
import numpy as np
import pyvista
from valid_dicom import settle

found = {}
for name, to_the_right in (("RAS", 1.0), ("LAS", -1.0)):
    affine = np.diag([to_the_right, 2.0, 3.0, 1.0])
    affine[:3, 3] = -10 * to_the_right, -40, -60
    stored = np.full((20, 30, 40), 24, np.int16)
    stored[4, 6, 8] = 2024  # one voxel of bone, 1000 HU
    ct = nibabel.Nifti1Image(stored, affine)
    ct.set_sform(affine, 1)
    ct.set_qform(affine, 1)
    ct.header.set_slope_inter(1, -1024)
    nibabel.save(ct, "ct.nii.gz")
    true = nibabel.load("ct.nii.gz")
    place, value = (true.affine @ [4, 6, 8, 1])[:3].tolist(), float(true.get_fdata()[4, 6, 8])

    image = pyvista.read("ct.nii.gz")
    brightest = int(np.argmax(image.active_scalars))
    read = [float(each) for each in image.points[brightest]], float(image.active_scalars[brightest])
    image.save("again.nii.gz")
    again = nibabel.load("again.nii.gz")
    voxel = np.unravel_index(np.argmax(again.get_fdata()), again.shape)
    codes = int(again.header["sform_code"]), int(again.header["qform_code"])
    found[name] = place, value, read, (float(again.get_fdata()[voxel]), *codes)
    print(f"{name}: bone of {value:g} HU at RAS {place} (nibabel); pyvista {read[1]:g} at {read[0]}")
    print(f"    saved again by pyvista: {found[name][3][0]:g}, sform and qform codes {codes}")
settle(
    found
    == {
        "RAS": ([-6, -28, -36], 1000, ([4, 12, 24], 2024), (2024, 0, 0)),
        "LAS": ([6, -28, -36], 1000, ([4, 12, 93], 2024), (2024, 0, 0)),
    }
)
PYTHON
