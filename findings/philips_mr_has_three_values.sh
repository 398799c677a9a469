#!/usr/bin/env bash
# A voxel of a Philips MR has three values, each by the book: that of RescaleSlope, that of the Real World Value
# Mapping, and the "precise" one of the private scale slope (2005,100E). SimpleITK 2.5.7 takes the first, highdicom 0.28.2
# the second where there is a mapping, dcm2niix 1.0.20260724 the third. For one stored 1000 they differ by a factor of
# 25000 here. No reader warns; dcm2niix tells it in its JSON, and `-p n` makes it take the first.
#
# The scale slope differs from series to series: scans of one patient have another ratio in each tool.
#
#     bash findings/philips_mr_has_three_values.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 highdicom==0.28.2 dcm2niix==1.0.20260724 nibabel==5.4.2 pydicom==3.0.2 \
    numpy==2.2.6
python - <<'PYTHON'
import subprocess

import highdicom
import nibabel
import numpy as np
import SimpleITK
from pydicom import dcmread
from valid_dicom import item, series, settle

pixels = [np.full((8, 8), 1000, "<u2")] * 4
unit = item(CodeValue="1", CodingSchemeDesignator="UCUM", CodeMeaning="no units")
mapping = item(RealWorldValueFirstValueMapped=0, RealWorldValueLastValueMapped=4095, LUTLabel="a")
mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept, mapping.LUTExplanation = 0.01, 0.0, "a"
mapping.MeasurementUnitsCodeSequence = [unit]
scaled = {"RescaleSlope": "2.5", "RescaleIntercept": "0", "RescaleType": "normalized"}
scaled |= {"Manufacturer": "Philips Medical Systems", "RealWorldValueMappingSequence": [mapping]}
for index, _ in enumerate(series("mr", [(0, 0, 3 * n) for n in range(4)], pixels, modality="MR", **scaled)):
    image = dcmread(f"mr/{index:03}.dcm")
    private = image.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    private.add_new(0x0E, "FL", 0.004)  # scale slope
    private.add_new(0x0D, "FL", 0.0)  # scale intercept
    image.save_as(f"mr/{index:03}.dcm")

found = {"SimpleITK": float(SimpleITK.ReadImage("mr/000.dcm")[4, 4, 0])}
found["highdicom"] = float(highdicom.imread("mr/000.dcm").get_frame(1)[4, 4])
for name, options in (("dcm2niix", []), ("dcm2niix -p n", ["-p", "n"])):
    command = ["dcm2niix", "-b", "n", "-z", "n", "-w", "1", "-f", "a", *options, "mr"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found[name] = float(nibabel.load("mr/a.nii").get_fdata()[4, 4, 0])
print("stored 1000:", ", ".join(f"{name} {value:g}" for name, value in found.items()))
want = {"SimpleITK": 2500, "highdicom": 10, "dcm2niix": 250000, "dcm2niix -p n": 2500}
settle(all(np.isclose(found[name], value) for name, value in want.items()))
PYTHON
