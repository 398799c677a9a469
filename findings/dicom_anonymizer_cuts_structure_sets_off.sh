#!/usr/bin/env bash
# dicom-anonymizer 2.1.0: it gives every image a new UID, but in a structure set of the same run the UIDs within sequences
# stay: the series, the images and the frame of reference that its contours lie in. The structures then belong to images
# that no longer exist; rt-utils 1.2.7 refuses them. The tool keeps one table of new UIDs for all files of a run, and uses it
# for the data set's top level alone.
#
# A shared data set of CT and structures cannot be put together again.
#
#     bash findings/dicom_anonymizer_cuts_structure_sets_off.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dicom-anonymizer==2.1.0 rt-utils==1.2.7 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
from pathlib import Path

import numpy as np
from dicomanonymizer import anonymize_dicom_file
from pydicom import dcmread
from rt_utils import RTStructBuilder
from valid_dicom import series, settle, structures

heights = [3 * index for index in range(4)]
images = series("in/ct", [(-20, -20, height) for height in heights], [np.zeros((40, 40), "<i2")] * 4)
square = np.array([(-5.5, -5.5), (4.5, -5.5), (4.5, 4.5), (-5.5, 4.5)])
before = structures("in/rs/rs.dcm", images, [np.c_[square, np.full(4, height)] for height in heights])
for path in sorted(Path("in").rglob("*.dcm")):  # one run
    out = Path("out") / path.relative_to("in")
    out.parent.mkdir(parents=True, exist_ok=True)
    anonymize_dicom_file(str(path), str(out))

ct = [dcmread(path) for path in sorted(Path("out/ct").glob("*.dcm"))]
after = dcmread("out/rs/rs.dcm")
contours = after.ROIContourSequence[0].ContourSequence
pointed = {contour.ContourImageSequence[0].ReferencedSOPInstanceUID for contour in contours}
frame = after.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
facts = {
    "the study is one": after.StudyInstanceUID == ct[0].StudyInstanceUID != before.StudyInstanceUID,
    "contours point to old images": pointed == {image.SOPInstanceUID for image in images},
    "contours point to new images": bool(pointed & {image.SOPInstanceUID for image in ct}),
    "the region is in the old frame of reference": frame == images[0].FrameOfReferenceUID,
    "the images are in a new one": ct[0].FrameOfReferenceUID != images[0].FrameOfReferenceUID,
}
for fact, holds in facts.items():
    print(f"{fact}: {holds}")
assert RTStructBuilder.create_from("in/ct", "in/rs/rs.dcm").get_roi_mask_by_name("a").any()
try:
    read = str(RTStructBuilder.create_from("out/ct", "out/rs/rs.dcm").get_roi_mask_by_name("a").sum())
except Exception as error:
    read = f"{type(error).__name__}: {error}"
print(f"rt-utils afterwards: {read}")
settle(list(facts.values()) == [True, True, False, True, True] and "not contained in input series" in read)
PYTHON
