#!/usr/bin/env bash
# plastimatch 1.10.0: of 16 allocated bits it takes all, where BitsStored says 12. The sign of a signed value is then bit 11,
# not bit 15 (PS3.5 8.1.1): -100 HU stored as 0F9C reads 3996. In older CT an overlay may lie in bit 12 (retired in 2004): the
# value below reads 4096 too much wherever the overlay is drawn. SimpleITK 2.5.7, dcm2niix 1.0.20260724 and pydicom 3.0.2
# read both rightly. (Orthanc 1.10.1 has the same two values in what its `numpy` routes give.)
#
# Fat and lung become denser than bone.
#
#     bash findings/plastimatch_reads_bits_beyond_those_stored.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" plastimatch==1.10.0 SimpleITK==2.5.7 dcm2niix==1.0.20260724 nibabel==5.4.2 pydicom==3.0.2 \
    numpy==2.2.6
python - <<'PYTHON'
import subprocess

import nibabel
import numpy as np
import SimpleITK
from pydicom import dcmread
from valid_dicom import series, settle

found = {}
for name, stored, attributes in (
    ("signed", np.full((8, 8), 0x0F9C, "<i2"), {}),
    ("overlay", np.full((8, 8), 0x1000 | 924, "<u2"), {"RescaleIntercept": "-1024"}),
):
    series(name, [(0, 0, 3 * index) for index in range(4)], [stored] * 4, bits=12, **attributes)
    command = ["plastimatch", "convert", "--input", name, "--output-img", f"{name}.nrrd"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-f", "a", name], check=True, stdout=subprocess.DEVNULL)
    image = dcmread(f"{name}/000.dcm")
    found[name] = {
        "plastimatch": float(SimpleITK.ReadImage(f"{name}.nrrd")[4, 4, 0]),
        "SimpleITK": float(SimpleITK.ReadImage(f"{name}/000.dcm")[4, 4, 0]),
        "dcm2niix": float(nibabel.load(f"{name}/a.nii").get_fdata()[4, 4, 0]),
        "pydicom": float(image.pixel_array[4, 4]) + float(image.RescaleIntercept),
    }
    print(f"{name}, true -100 HU: " + ", ".join(f"{tool} {value:g}" for tool, value in found[name].items()))
settle(
    found["signed"].pop("plastimatch") == found["overlay"].pop("plastimatch") == 3996
    and all(value == -100 for tools in found.values() for value in tools.values())
)
PYTHON
