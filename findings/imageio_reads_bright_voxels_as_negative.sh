#!/usr/bin/env bash
# imageio 2.38.1, its own reader of DICOM, to which .dcm files go first: where a file has RescaleSlope and
# RescaleIntercept, both whole, imageio takes the type of a slice from its largest value. If none is negative,
# that is int8 below 256 and int16 below 65536, although int8 ends at 127: 200 is read as -56, and 40000 as
# -25536. A folder, by `volread`, has the type of its first slice. If that one is dark, all slices are folded
# into -128 to 127. Nothing is raised or shown. By PS3.3 C.11.1.1.2 the output is slope * stored + intercept.
# The reader's page has no word on types. Issue 348 of imageio asks why it is np.int8; the answer of 2018
# takes it for a bug, and it is open. 2.38.1 calls this reader deprecated, in a warning that Python does not
# show.
#
# Tutorials read DICOM in this way. An MR whose first slice is dark has other values in every slice. A CT
# between 0 and 255, as a model makes that has learnt a window, is negative above 127. CT with air are right.
#
#     bash findings/imageio_reads_bright_voxels_as_negative.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" imageio==2.38.1 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
unset PYTHONWARNINGS  # box.sh hides all; here Python's own choice counts
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
from pathlib import Path

import imageio.v2
import imageio.v3
import numpy as np
import SimpleITK
from valid_dicom import series, settle

bright = (200, 700, 1500, 40000)  # of each slice, whose background is 0
rescale = {"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}
images = {
    "MR with a rescale": (bright, "<u2", rescale),
    "MR without": (bright, "<u2", {}),
    "CT from 0 to 255": ((60, 120, 200, 240), "<i2", rescale),
    "CT with air": ((60, 120, 200, 1500), "<i2", {**rescale, "RescaleType": "HU"}),
}
found = {}
for name, (values, kind, attributes) in images.items():
    slices = [np.full((8, 8), -1000 if "air" in name else 0, kind) for _ in values]
    for image, value in zip(slices, values, strict=True):
        image[4, 4] = value
    series(name, [(0, 0, 5 * index) for index in range(4)], slices, modality=name[:2], **attributes)
    alone = [imageio.v3.imread(path, progress=False)[4, 4] for path in sorted(Path(name).iterdir())]
    volume = imageio.v2.volread(name, format="DICOM", progress=False)
    itk = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(name))
    itk = SimpleITK.GetArrayFromImage(itk)[:, 4, 4].tolist()
    found[name] = itk == list(values), [int(value) for value in alone], volume[:, 4, 4].tolist()
    print(f"{name}, a bright voxel of {values} (ITK: {itk})")
    print(f"    imageio, slice by slice: {', '.join(f'{value} ({value.dtype})' for value in alone)}")
    print(f"    imageio, the folder: {found[name][2]} ({volume.dtype})")
errors = Path("errors.txt").read_text()
print(f"warnings: {errors!r}")
settle(
    errors == ""
    and found
    == {
        "MR with a rescale": (True, [-56, 700, 1500, -25536], [-56, -68, -36, 64]),
        "MR without": (True, list(bright), list(bright)),
        "CT from 0 to 255": (True, [60, 120, -56, -16], [60, 120, -56, -16]),
        "CT with air": (True, [60, 120, 200, 1500], [60, 120, 200, 1500]),
    }
)
PYTHON
