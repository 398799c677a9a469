#!/usr/bin/env bash
# dcm2niix 1.0.20260724 splits a series of two echoes into two files. Of the same images brought into one enhanced
# object (Legacy Converted Enhanced MR Image, here by highdicom 0.28.2; dciodvfy has no error) it makes one volume whose slices alternate
# between the echoes, 1.2 mm apart where they lie 3 mm apart, and says nothing. highdicom files what differs between
# the frames in UnassignedPerFrameConvertedAttributesSequence, which is where PS3.3 has it for this object; whoever
# looks for EchoTime in MREchoSequence alone does not see that there are two. SimpleITK 2.5.7 stacks the echoes one
# behind the other, six slices at 3 mm.
#
# Archives make such objects of old series, and PD/T2 is the commonest old series of heads.
#
#     bash findings/dcm2niix_mixes_echoes_of_legacy_enhanced_mr.sh
#
# Fails if a behaviour changes. Needs python3 with venv, and a package index.
set -euo pipefail
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
python3 -m venv "$box/venv"
"$box/venv/bin/pip" install --quiet dcm2niix==1.0.20260724 highdicom==0.28.2 pydicom==3.0.2 nibabel==5.4.2 \
    SimpleITK==2.5.7 numpy==2.2.6
mkdir "$box/single" "$box/enhanced" "$box/out"
cd "$box"
PATH="$box/venv/bin:$PATH" python -W ignore - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

print(", ".join(f"{name} {version(name)}" for name in ("dcm2niix", "highdicom", "pydicom", "SimpleITK")))
study, series, frame, images = generate_uid(), generate_uid(), generate_uid(), []
for index in range(6):  # three places, each with an echo of 20 ms (all voxels 100) and one of 90 ms (200)
    echo, place = divmod(index, 3)
    image, image.file_meta = Dataset(), FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID, image.Modality = MRImageStorage, generate_uid(), "MR"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
    image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = "TEST^CASE", "T1", "", "O"
    image.StudyDate, image.StudyTime, image.StudyID = "20200102", "101112", "1"
    image.AccessionNumber, image.ReferringPhysicianName, image.PositionReferenceIndicator = "", "", ""
    image.Manufacturer, image.BodyPartExamined, image.Laterality = "TEST", "HEAD", ""
    image.SeriesNumber, image.AcquisitionNumber, image.InstanceNumber = 1, 1, index + 1
    image.ImageType, image.PatientPosition = ["ORIGINAL", "PRIMARY", "M"], "HFS"
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "SE", "NONE", ""
    image.MRAcquisitionType, image.RepetitionTime, image.EchoTrainLength = "2D", "3000", 1
    image.EchoTime, image.EchoNumbers = ("20", "90")[echo], echo + 1
    image.Rows, image.Columns, image.PixelSpacing, image.SliceThickness = 16, 16, ["1", "1"], "3"
    image.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    image.ImagePositionPatient = ["0", "0", str(3 * place)]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.WindowCenter, image.WindowWidth = "150", "300"
    image.PixelData = np.full((16, 16), 100 * (echo + 1), "<u2").tobytes()
    image["PixelData"].VR = "OW"
    image.save_as(f"single/{index}.dcm", enforce_file_format=True)
    images.append(image)
uids = {"series_instance_uid": generate_uid(), "sop_instance_uid": generate_uid()}
enhanced = LegacyConvertedEnhancedMRImage(images, series_number=2, instance_number=1, **uids)
enhanced.save_as("enhanced/all.dcm", enforce_file_format=True)
first = enhanced.PerFrameFunctionalGroupsSequence[0]
unassigned = first.UnassignedPerFrameConvertedAttributesSequence[0].EchoTime
print(f"enhanced: EchoTime {unassigned} is in UnassignedPerFrameConvertedAttributesSequence;", end=" ")
print(f"MREchoSequence is {'there' if 'MREchoSequence' in first else 'not there'}")


def converted(folder: str) -> list[tuple[list[float], float]]:
    """Value of each slice, and mm between slices, of every file that dcm2niix makes."""
    command = ["dcm2niix", "-z", "n", "-b", "n", "-f", f"{folder}", "-o", "out", folder]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = []
    for path in sorted(Path("out").glob(f"{folder}*.nii")):
        volume = nibabel.load(path)
        values = [float(value) for value in np.asarray(volume.dataobj)[0, 0].ravel()]
        found.append((values, round(float(volume.header.get_zooms()[2]), 3)))
        print(f"dcm2niix of {folder}: {path.name}, slices of {values}, {found[-1][1]:g} mm apart")
    for line in said.splitlines():
        if "arning" in line:
            print(f"    {line}")
    return found


single, together = converted("single"), converted("enhanced")
itk = SimpleITK.ReadImage("enhanced/all.dcm")
stacked = [itk[0, 0, index] for index in range(itk.GetSize()[2])]
print(f"SimpleITK of enhanced: slices of {stacked}, {itk.GetSpacing()[2]:g} mm apart")
seen = (
    single == [([100.0] * 3, 3.0), ([200.0] * 3, 3.0)]
    and together == [([100.0, 200.0] * 3, 1.2)]
    and stacked == [100] * 3 + [200] * 3
    and "MREchoSequence" not in first
)
print("as described" if seen else "the behaviour has changed")
sys.exit(not seen)
PYTHON
