#!/usr/bin/env bash
# SimpleITK 2.5.7 (GDCM): an RT Dose has no RescaleSlope, its unit comes by DoseGridScaling. SimpleITK returns the stored
# integers, of a type for integers, where it applies the slope of a CT, MR or PET unasked. plastimatch 1.10.0 gives Gy.
#
# Doses of a plan on CT and of one on synthetic CT have different scalings: their difference is no dose at all.
#
#     bash findings/simpleitk_reads_dose_without_its_scaling.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 plastimatch==1.10.0 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import subprocess

import numpy as np
import SimpleITK
from pydicom.uid import RTDoseStorage, generate_uid
from valid_dicom import AXIAL, fill, instance, item, numbers, save, settle

found = {}
for scaling in (0.01, 0.002):
    dose = instance(RTDoseStorage, "RTDOSE", generate_uid(), generate_uid())
    del dose.BodyPartExamined
    fill(dose, np.full((4, 8, 8), round(20 / scaling), "<u2"))  # 20 Gy everywhere
    dose.NumberOfFrames, dose.FrameIncrementPointer = 4, 0x3004000C
    dose.GridFrameOffsetVector, dose.PixelSpacing, dose.SliceThickness = numbers([0, 3, 6, 9]), ["2", "2"], ""
    dose.ImageOrientationPatient, dose.ImagePositionPatient = numbers(AXIAL), numbers([0, 0, 0])
    dose.DoseUnits, dose.DoseType, dose.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dose.DoseGridScaling = str(scaling)
    plan = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.481.5", ReferencedSOPInstanceUID=generate_uid())
    dose.ReferencedRTPlanSequence = [plan]
    save(dose, f"{scaling}/a.dcm")
    itk = SimpleITK.ReadImage(f"{scaling}/a.dcm")
    command = ["plastimatch", "convert", "--input", f"{scaling}/a.dcm", "--output-dose-img", "dose.nrrd"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    in_gy = round(float(SimpleITK.ReadImage("dose.nrrd")[4, 4, 0]), 4)
    found[scaling] = itk[4, 4, 0], in_gy
    kind = itk.GetPixelIDTypeAsString()
    print(f"20 Gy, DoseGridScaling {scaling}: SimpleITK {itk[4, 4, 0]:g} ({kind}), plastimatch {in_gy:g}")
settle(found == {0.01: (2000, 20), 0.002: (10000, 20)})
PYTHON
