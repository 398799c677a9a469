#!/usr/bin/env bash
# dicom2nifti 2.6.2: `convert_directory` names a file after SeriesNumber and SeriesDescription, which series of two
# studies share: the protocol is the same, and so are its numbers. The later one overwrites the earlier without a word.
# Which one is left depends on the order of the file system. dcm2niix 1.0.20260724 writes both.
#
# A baseline is lost, and the follow-up stands in its place, or the other way round.
#
#     bash findings/dicom2nifti_overwrites_series_of_the_same_name.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dicom2nifti==2.6.2 dcm2niix==1.0.20260724 nibabel==5.4.2 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import os
import subprocess
from pathlib import Path

import dicom2nifti
import nibabel
import numpy as np
from valid_dicom import series, settle

heights = [3 * index for index in range(5)]
for study, value in (("baseline", 100), ("follow-up", 200)):
    pixels = [np.full((16, 16), value, "<u2")] * 5
    name = {"SeriesNumber": 2, "SeriesDescription": "T1"}
    series(f"in/{study}", [(0, 0, height) for height in heights], pixels, modality="MR", **name)

for folder in ("dicom2nifti", "dcm2niix"):
    os.mkdir(folder)
dicom2nifti.convert_directory("in", "dicom2nifti", compression=False)
command = ["dcm2niix", "-b", "n", "-z", "n", "-f", "%s_%d", "-o", "dcm2niix", "in"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
found = {}
for folder in ("dicom2nifti", "dcm2niix"):
    images = {path.name: float(nibabel.load(path).get_fdata().mean()) for path in Path(folder).iterdir()}
    found[folder] = sorted(images.values())
    print(f"{folder}: {images} (two series, of values 100 and 200)")
settle(len(found["dicom2nifti"]) == 1 and found["dcm2niix"] == [100, 200])
PYTHON
