#!/usr/bin/env bash
# dcm2niix 1.0.20260724: for a CT of single slices it warns of a missing slice and adds a file with even slices (`_Eq`), and
# it corrects a tilted gantry in a file of its own (`_Tilt`). Of the same slices in one Enhanced CT it spreads uneven
# ones evenly, 6 mm instead of 5, and says nothing of it; and its corrected file of a tilted one keeps
# the step along the table, 5 mm, where the slices lie 5 cos(15 degrees) = 4.83 mm apart along their normal.
#
# Beyond a gap every slice lies in the wrong place, and a tilted head is 3.5 % too long.
#
#     bash findings/dcm2niix_corrects_single_slices_but_not_frames.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dcm2niix==1.0.20260724 nibabel==5.4.2 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import subprocess
from pathlib import Path

import nibabel
import numpy as np
from valid_dicom import AXIAL, enhanced, series, settle, tilted

found = {}
for name, heights, orientation in (
    ("gap", (0, 5, 10, 20, 25, 30), AXIAL),
    ("tilt", (0, 5, 10, 15, 20, 25), tilted(15)),
):
    positions = [(0, 0, height) for height in heights]
    pixels = [np.full((8, 8), 100 * index, "<i2") for index in range(6)]
    series(f"{name}-single", positions, pixels, orientation=orientation, thickness=5)
    enhanced(f"{name}-frames/a.dcm", positions, pixels, orientation=orientation, modality="CT")
    for kind in ("single", "frames"):
        folder = f"{name}-{kind}"
        command = ["dcm2niix", "-b", "n", "-z", "n", "-f", "a", folder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        sizes = {path.name: nibabel.load(path).header.get_zooms()[2] for path in Path(folder).glob("*.nii")}
        warned = any(word in said for word in ("nterslice", "gantry tilt", "not equidistant"))
        found[folder] = {file: round(float(size), 2) for file, size in sorted(sizes.items())}, warned
        print(f"{folder}: mm between slices {found[folder][0]}, {'warned' if warned else 'no word of it'}")
        print("".join(f"    {line}\n" for line in said.splitlines() if warned and "arning" in line), end="")
settle(
    found["gap-single"][1]
    and "a_Eq_1.nii" in found["gap-single"][0]
    and found["gap-frames"] == ({"a.nii": 6.0}, False)
    and found["tilt-single"][0]["a_Tilt_1.nii"] == 4.83
    and found["tilt-frames"][0]["a_Tilt_1.nii"] == 5.0
)
PYTHON
