#!/usr/bin/env bash
# pydicer 0.2.0, PET to SUV (`convert_dicom_to_nifti_pt`, by which it converts all PET in Bq/ml). It passes over
# DecayCorrection, and takes every image for corrected to the start of the scan (START). One that is corrected to the
# injection (ADMIN) is corrected twice: an hour after F-18 an SUV of 1 becomes 1.46. It takes the injection to be on the
# day of the scan, and passes over RadiopharmaceuticalStartDateTime, which has the date: from 23:30 to 0:30, an SUV of 1
# becomes 0.0001. It passes over the orientation, too: a lesion of a prone patient lies 137 mm off. Nothing is raised or
# printed. START within one day, of a patient on the back, is right.
#
# The README calls PET experimental, and no page says what it takes for granted.
#
# A threshold, such as an SUV of 4 for a lymphoma, then finds other lesions, and scanners seem to differ by half.
#
#     bash findings/pydicer_decays_corrected_pet_again.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
python -m venv reader  # pydicer cannot be used with pydicom 3
reader/bin/pip install --quiet --no-compile --disable-pip-version-check pydicom==2.4.5 SimpleITK==2.5.7 numpy==1.26.4
reader/bin/pip install --quiet --no-compile --disable-pip-version-check --no-deps pydicer==0.2.0
unset PYTHONWARNINGS  # box.sh hides all; here Python's own choice counts
cat > convert.py <<'PYTHON'
"""Convert a folder; the module is loaded by its path, as the package imports much that is not in use here."""
import importlib.util
import sys
from importlib.metadata import distribution
from pathlib import Path

path = distribution("pydicer").locate_file("pydicer/convert/pt.py")
spec = importlib.util.spec_from_file_location("pt", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.convert_dicom_to_nifti_pt(sorted(Path(sys.argv[1]).iterdir()), sys.argv[2])
PYTHON
python - <<'PYTHON'
import subprocess

import numpy as np
import SimpleITK
from pydicom.uid import PositronEmissionTomographyImageStorage, generate_uid
from valid_dicom import AXIAL, fill, instance, item, numbers, save, settle

HALF_LIFE, DOSE, WEIGHT = 6586.2, 300e6, 75.0  # seconds, Bq, kg


def pet(folder, correction, injected, scanned, orientation):
    """Write a PET of eight slices with one bright voxel; its SUV is 10, and 1 all about."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    delay = (np.datetime64(scanned) - np.datetime64(injected)) / np.timedelta64(1, "s")
    left = {"START": 2 ** (-delay / HALF_LIFE), "ADMIN": 1}[correction]  # of the dose, at the time of correction
    stored = np.full((8, 24, 24), 100, "<i2")
    stored[3, 6, 16] = 1000
    at = {name: time.replace("-", "").replace(":", "").split("T") for name, time in (("i", injected), ("s", scanned))}
    for index in range(8):
        image = instance(PositronEmissionTomographyImageStorage, "PT", study, frame)
        image.SeriesInstanceUID, image.InstanceNumber, image.ImageIndex = series, index + 1, index + 1
        for name in ("Series", "Acquisition"):
            setattr(image, name + "Date", at["s"][0])
            setattr(image, name + "Time", at["s"][1])
        image.ImageType, image.SeriesType = ["ORIGINAL", "PRIMARY"], ["STATIC", "IMAGE"]
        image.Units, image.CountsSource, image.NumberOfSlices = "BQML", "EMISSION", 8
        image.CorrectedImage, image.DecayCorrection, image.PatientWeight = ["DECY", "ATTN"], correction, str(WEIGHT)
        image.CollimatorType, image.FrameReferenceTime, image.ActualFrameDuration = "NONE", "0", 600000
        image.RadiopharmaceuticalInformationSequence = [
            item(
                RadionuclideCodeSequence=[
                    item(CodeValue="77004003", CodingSchemeDesignator="SCT", CodeMeaning="^18^Fluorine")
                ],
                Radiopharmaceutical="FDG",
                RadiopharmaceuticalStartTime=at["i"][1],
                RadiopharmaceuticalStartDateTime="".join(at["i"]),
                RadionuclideTotalDose=f"{DOSE:.0f}",
                RadionuclideHalfLife=str(HALF_LIFE),
            )
        ]
        image.PixelSpacing, image.SliceThickness = numbers([4, 4]), "3"
        first = -48 * orientation[0], -48 * orientation[4], -12 + 3 * index
        image.ImageOrientationPatient, image.ImagePositionPatient = numbers(orientation), numbers(first)
        fill(image, stored[index])
        image.RescaleIntercept, image.RescaleSlope = "0", numbers([DOSE * left / (1000 * WEIGHT) / 100])[0]
        image.DecayFactor = numbers([{"START": 1, "ADMIN": 2 ** (delay / HALF_LIFE)}[correction]])[0]
        image.PatientOrientationCodeSequence, image.PatientGantryRelationshipCodeSequence = [], []
        save(image, f"{folder}/{index}.dcm")


PRONE = (-1, 0, 0, 0, -1, 0)
cases = {
    "START": ("START", "2020-01-02T09:00:00", "2020-01-02T10:00:00", AXIAL),
    "ADMIN": ("ADMIN", "2020-01-02T09:00:00", "2020-01-02T10:00:00", AXIAL),
    "START, after midnight": ("START", "2020-01-01T23:30:00", "2020-01-02T00:30:00", AXIAL),
    "START, prone": ("START", "2020-01-02T09:00:00", "2020-01-02T10:00:00", PRONE),
}
seen = {}
for name, case in cases.items():
    pet(name, *case)
    done = subprocess.run(["reader/bin/python", "convert.py", name, "suv.nii.gz"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(name))
    places = []
    for image in (SimpleITK.ReadImage("suv.nii.gz"), reader.Execute()):
        values = SimpleITK.GetArrayFromImage(image)
        brightest = np.unravel_index(values.argmax(), values.shape)[::-1]
        places.append([round(x, 2) + 0 for x in image.TransformIndexToPhysicalPoint([int(i) for i in brightest])])
        if not places[1:]:
            suv = float(f"{np.median(values):.3g}")
    seen[name] = suv, *places, done.stdout + done.stderr
    print("pydicer 0.2.0, {}: SUV {:g}, where it is 1; lesion at {}, by ITK at {}; said {!r}".format(name, *seen[name]))
here, prone = [16.0, -24.0, -3.0], [-16.0, 24.0, -3.0]
settle(
    seen
    == {
        "START": (1, here, here, ""),
        "ADMIN": (1.46, here, here, ""),
        "START, after midnight": (0.000112, here, here, ""),
        "START, prone": (1, [112, 72, -3], prone, ""),
    }
)
PYTHON
