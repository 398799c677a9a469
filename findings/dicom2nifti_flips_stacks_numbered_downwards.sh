#!/usr/bin/env bash
# dicom2nifti 2.6.2: the frames of an enhanced object are put in the order of InStackPositionNumber, but positions are
# taken from the first and the last frame of the file. Where the numbers run against the order in the file, which
# PS3.3 leaves open (the order of frames has no meaning), the head is upside down: top slice where the feet are. Nothing is
# raised. dcm2niix 1.0.20260724 and highdicom 0.28.2 go by the position of each frame.
#
# TotalSegmentator 2.18.0, among others, reads DICOM by dicom2nifti.
#
#     bash findings/dicom2nifti_flips_stacks_numbered_downwards.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dicom2nifti==2.6.2 dcm2niix==1.0.20260724 highdicom==0.28.2 nibabel==5.4.2 pydicom==3.0.2 \
    numpy==2.2.6
python - <<'PYTHON'
import os
import subprocess
from pathlib import Path

import dicom2nifti
import highdicom
import nibabel
import numpy as np
from valid_dicom import enhanced, settle

heights = [5 * index for index in range(6)]
pixels = [np.full((8, 8), height, "<u2") for height in heights]  # each voxel has its z in mm as its value


def upside_down(path: Path) -> bool:
    """True if the voxels of a NIfTI do not lie where their values say."""
    image = nibabel.load(path)
    claimed = image.affine[2, 2] * np.arange(6) + image.affine[2, 3]
    values = image.get_fdata()[4, 4]
    print(f"    {path.parent}: true z {values.tolist()} at {claimed.tolist()}")
    return not np.allclose(values, claimed)


found = {}
for name, numbers in (("up", range(1, 7)), ("down", range(6, 0, -1))):
    print(f"numbers {list(numbers)} in the order of the file")
    enhanced(f"{name}/a.dcm", [(0, 0, height) for height in heights], pixels, in_stack=list(numbers))
    for tool in ("dicom2nifti", "dcm2niix"):
        os.mkdir(f"{name}-{tool}")
    dicom2nifti.convert_directory(name, f"{name}-dicom2nifti", compression=False)
    command = ["dcm2niix", "-b", "n", "-z", "n", "-o", f"{name}-dcm2niix", name]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for tool in ("dicom2nifti", "dcm2niix"):
        found[name, tool] = upside_down(next(Path(f"{name}-{tool}").glob("*.nii")))
    volume = highdicom.imread(f"{name}/a.dcm").get_volume()
    places = [float((volume.affine @ [index, 0, 0, 1])[2]) for index in range(6)]
    print(f"    {name}-highdicom: true z {volume.array[:, 4, 4].tolist()} at {places}")
    found[name, "highdicom"] = not np.allclose(volume.array[:, 4, 4], places)
settle([key for key, wrong in found.items() if wrong] == [("down", "dicom2nifti")])
PYTHON
