#!/usr/bin/env bash
# dcm2niix 1.0.20260724: a DICOM Segmentation need not store frames in which a segment is absent, and most writers leave
# them out (highdicom 0.28.2 does). dcm2niix stacks the frames that there are as if they were neighbours, with the distance
# of the first two places: two lesions 9 mm apart touch one another. Its warnings speak of 1-bit voxels alone.
# dcmqi 1.5.7 leaves room for the missing frames.
#
# The mask has other places than the image that it was drawn on, with the right size of voxels.
#
#     bash findings/dcm2niix_closes_the_gaps_of_segmentations.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dcm2niix==1.0.20260724 dcmqi==1.5.7 highdicom==0.28.2 nibabel==5.4.2 pydicom==3.0.2 \
    numpy==2.2.6
python - <<'PYTHON'
import os
import subprocess
from pathlib import Path

import highdicom
import nibabel
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from valid_dicom import series, settle

heights = [3 * index for index in range(6)]
images = series("ct", [(0, 0, height) for height in heights], [np.zeros((8, 8), "<i2")] * 6)
mask = np.zeros((6, 8, 8), bool)
mask[1, 2:4, 2:4] = mask[4, 2:4, 2:4] = True  # z = 3 mm and z = 12 mm
algorithm = highdicom.AlgorithmIdentificationSequence("a", codes.DCM.ArtificialIntelligence, "1")
lesion = SegmentDescription(1, "lesion", codes.SCT.Tissue, codes.SCT.Lesion, "AUTOMATIC", algorithm)
segmentation = Segmentation(
    images, mask, "BINARY", [lesion], generate_uid(), 2, generate_uid(), 1, "TEST", "TEST", "1", "1"
)
os.mkdir("seg")
segmentation.save_as("seg/a.dcm")
os.mkdir("dcmqi")
quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-f", "a", "seg"], **quiet)
subprocess.run(
    ["segimage2itkimage", "--inputDICOM", "seg/a.dcm", "--outputDirectory", "dcmqi", "--outputType", "nifti"], **quiet
)
found = {}
for tool, path in (("dcm2niix", Path("seg/a.nii")), ("dcmqi", Path("dcmqi/1.nii.gz"))):
    image = nibabel.load(path)
    filled = [index for index in range(image.shape[2]) if image.dataobj[..., index].any()]
    found[tool] = [float(image.affine[2, 2] * index + image.affine[2, 3]) for index in filled]
    print(f"{tool}: {image.shape[2]} slices, lesions at z {found[tool]} mm (true: 3 and 12)")
settle(found == {"dcm2niix": [3, 6], "dcmqi": [3, 12]})
PYTHON
