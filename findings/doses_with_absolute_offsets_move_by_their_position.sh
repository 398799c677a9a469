#!/usr/bin/env bash
# pymedphys 0.41.0 (`dicom.zyx_and_dose_from_dataset`) and dicompyler-core 0.5.6 (`dvhcalc.get_dvh`) add each
# value of an RT Dose's GridFrameOffsetVector to the z of its position. PS3.3 C.8.8.3.2 has two meanings of
# the values: relative, with 0 first (a), or, for transverse planes, the z of each plane, with that of the
# position first (b). In a file of the second kind that z counts twice. Nothing is raised or printed. ITK and
# plastimatch 1.10.0 read both kinds alike. The docstrings of neither package have a word on the second kind.
# Issue 284 of dicompyler-core says that it is not checked for; it is open. The script that writes the doses
# of TROTS, open data of radiotherapy, has an option for either kind (pull request 19 there).
#
# A dose on a synthetic CT is compared to that on the CT, or its DVH is taken, with planes that lie elsewhere
# in the patient. Here the dose moves by 30 mm, and the DVH of a region at 60 Gy has a mean of 1 Gy.
#
#     bash findings/doses_with_absolute_offsets_move_by_their_position.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" pymedphys==0.41.0 plastimatch==1.10.0 SimpleITK==2.5.7 pydicom==3.0.2 numpy==1.26.4
python -m venv reader  # dicompyler-core cannot be imported with pydicom 3
reader/bin/pip install --quiet --no-compile --disable-pip-version-check \
    dicompyler-core==0.5.6 pydicom==2.4.5 numpy==2.2.6
unset PYTHONWARNINGS  # box.sh hides all; here Python's own choice counts
python - <<'PYTHON'
import json
import subprocess

import numpy as np
import pymedphys
import SimpleITK
from pydicom import dcmread
from pydicom.uid import RTDoseStorage, RTPlanStorage, generate_uid
from valid_dicom import AXIAL, fill, instance, numbers, reference, save, series, settle, structures

heights = np.arange(-30, 60.5, 3)
images = series("ct", [(-29.5, -29.5, z) for z in heights], [np.zeros((60, 60), "<i2")] * len(heights))
square = np.array([(-10.0, -10.0), (10.0, -10.0), (10.0, 10.0), (-10.0, 10.0)])
target = [9.0, 12.0, 15.0, 18.0, 21.0]  # 60 Gy there, 1 Gy elsewhere
structures("rs.dcm", images, [np.c_[square, np.full(4, z)] for z in target])
for name, offsets in {"relative": heights - heights[0], "absolute": heights}.items():
    dose = instance(RTDoseStorage, "RTDOSE", images[0].StudyInstanceUID, images[0].FrameOfReferenceUID)
    del dose.BodyPartExamined
    dose.PatientPosition = "HFS"
    fill(dose, np.stack([np.full((30, 30), 6000 if z in target else 100, "<u2") for z in heights]))
    dose.NumberOfFrames, dose.FrameIncrementPointer = len(heights), 0x3004000C
    dose.GridFrameOffsetVector, dose.PixelSpacing, dose.SliceThickness = numbers(offsets), ["2", "2"], ""
    dose.ImageOrientationPatient, dose.ImagePositionPatient = numbers(AXIAL), numbers([-29, -29, heights[0]])
    dose.DoseUnits, dose.DoseType, dose.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dose.DoseGridScaling = "0.01"
    dose.ReferencedRTPlanSequence = [reference(RTPlanStorage, generate_uid())]
    save(dose, f"{name}.dcm")


def hot(image: SimpleITK.Image) -> list[float]:
    """Height of each plane that has the highest value."""
    values = SimpleITK.GetArrayFromImage(image).max((1, 2))
    planes = np.flatnonzero(values == values.max())
    return [round(image.TransformIndexToPhysicalPoint((0, 0, int(k)))[2], 3) for k in planes]


reader = """
import json, sys
from dicompylercore import dvhcalc
dvh = dvhcalc.get_dvh("rs.dcm", sys.argv[1], 1)
print(json.dumps([round(float(dvh.volume), 2), round(float(dvh.mean), 2), dvh.notes]))
"""
found = {}
for name in ("relative", "absolute"):
    path = f"{name}.dcm"
    command = ["plastimatch", "convert", "--input-dose-img", path, "--output-dose-img", f"{name}.nrrd"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (z, _, _), dose = pymedphys.dicom.zyx_and_dose_from_dataset(dcmread(path))
    command = ["reader/bin/python", "-c", reader, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found[name] = {
        "ITK": hot(SimpleITK.ReadImage(path)),
        "plastimatch": hot(SimpleITK.ReadImage(f"{name}.nrrd")),
        "pymedphys": z[dose.max((1, 2)) == dose.max()].tolist(),
        "dicompyler-core": json.loads(done.stdout),
    }
    volume, mean, notes = found[name].pop("dicompyler-core")
    print(f"{name} offsets: planes of 60 Gy at {target} mm")
    for tool, planes in found[name].items():
        print(f"    {tool}: {planes} mm")
    print(f"    dicompyler-core, DVH of the region: {volume:g} ml, mean {mean:g} Gy, notes {notes!r}")
    found[name]["DVH"] = mean, notes, done.stderr
right = {"ITK": target, "plastimatch": target, "pymedphys": target, "DVH": (60, None, "")}
moved = {**right, "pymedphys": [z - 30 for z in target], "DVH": (1, None, "")}
settle(found == {"relative": right, "absolute": moved})
PYTHON
