#!/usr/bin/env bash
# dcm2niix 1.0.20260724: a DICOM Parametric Map with integer voxels has its unit in a Real World Value Mapping alone; the
# object has no RescaleSlope. dcm2niix writes the stored integers without the slope, and nothing says so. A map of
# floats has the same mapping with a slope of 1 and comes out right, and so does each in highdicom 0.28.2.
#
# A diffusion coefficient of 0.0015 mm2/s reads 1500, a fraction of 0.4 reads 400.
#
#     bash findings/dcm2niix_ignores_the_unit_of_integer_parametric_maps.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dcm2niix==1.0.20260724 highdicom==0.28.2 nibabel==5.4.2 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import os
import subprocess

import highdicom
import nibabel
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from valid_dicom import series, settle

images = series("mr", [(0, 0, 3 * index) for index in range(4)], [np.zeros((8, 8), "<u2")] * 4, modality="MR")
stored = np.broadcast_to(500 * np.arange(4, dtype=np.uint16)[:, None, None], (4, 8, 8)).copy()
found = {}
for name, voxels, slope in (("integer", stored, 0.001), ("float", (stored * 0.001).astype(np.float32), 1.0)):
    span = (0, 65535) if name == "integer" else (0.0, 65.535)
    unit = RealWorldValueMapping("fraction", "fraction", codes.UCUM.NoUnits, span, slope=slope, intercept=0)
    made = ParametricMap(
        images, voxels, generate_uid(), 2, generate_uid(), 1, "TEST", "TEST", "1", "1", False, [unit], 1, 2
    )
    os.mkdir(name)
    made.save_as(f"{name}/a.dcm")
    subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-f", "a", name], check=True, stdout=subprocess.DEVNULL)
    converted = nibabel.load(f"{name}/a.nii").get_fdata()[4, 4].tolist()
    own = sorted(round(float(frame[4, 4]), 6) for frame in highdicom.imread(f"{name}/a.dcm").get_frames())
    found[name] = converted, own
    print(f"{name}: dcm2niix {converted}, highdicom {own}")
true = [0.0, 0.5, 1.0, 1.5]
settle(
    found["integer"] == ([0.0, 500.0, 1000.0, 1500.0], true)
    and np.allclose(found["float"][0], true)
    and found["float"][1] == true
)
PYTHON
