#!/usr/bin/env bash
# dicompyler-core 0.5.6, `dvhcalc.get_dvh`: all contours of a region count with one thickness, the smallest distance
# of two of its planes. Where a CT has slices of 3 and then of 6 mm, or only every second slice was drawn for a while,
# the part with wide planes counts too little: the volume is too small, and the DVH is that of the narrow part.
# Nothing is printed, and the DVH has no notes. PS3.3 C.8.8.6 does not ask for even planes. The documentation has
# `thickness` as an option, one number for all planes, and nothing on uneven ones.
#
# Studies judge a synthetic CT by the DVH of a plan on it. Here a quarter of the volume is lost, and the mean is 23.3
# Gy for 30.
#
#     bash findings/dicompyler_counts_uneven_planes_alike.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" pydicom==3.0.2 numpy==2.2.6
python -m venv reader  # dicompyler-core cannot be imported with pydicom 3
reader/bin/pip install --quiet --no-compile --disable-pip-version-check \
    dicompyler-core==0.5.6 pydicom==2.4.5 numpy==2.2.6
python - <<'PYTHON'
import json
import subprocess

import numpy as np
from pydicom.uid import RTDoseStorage, generate_uid
from valid_dicom import AXIAL, fill, instance, item, numbers, save, series, settle, structures

drawn = {"even": [1.5 + 3 * index for index in range(16)]}  # one box from z = 0 to 48 mm, 20 x 20 mm
drawn["uneven"] = [*drawn["even"][:8], 27.0, 33.0, 39.0, 45.0]
square = np.array([(-10.0, -10.0), (10.0, -10.0), (10.0, 10.0), (-10.0, 10.0)])
for name, heights in drawn.items():
    around = [heights[0] - 3, *heights, heights[-1] + 6]
    slices = [np.zeros((60, 60), "<i2")] * len(around)
    images = series(f"{name}/ct", [(-29.5, -29.5, z) for z in around], slices, thickness=3)
    structures(f"{name}/rs.dcm", images, [np.c_[square, np.full(4, z)] for z in heights])
    planes = np.arange(0, 49.5, 1.5)
    dose = instance(RTDoseStorage, "RTDOSE", images[0].StudyInstanceUID, images[0].FrameOfReferenceUID)
    del dose.BodyPartExamined
    dose.PatientPosition = "HFS"
    fill(dose, np.stack([np.full((20, 20), 1000 if z < 24 else 5000, "<u2") for z in planes]))  # 10 Gy, then 50 Gy
    dose.NumberOfFrames, dose.FrameIncrementPointer = len(planes), 0x3004000C
    dose.GridFrameOffsetVector, dose.PixelSpacing, dose.SliceThickness = numbers(planes), ["2", "2"], ""
    dose.ImageOrientationPatient, dose.ImagePositionPatient = numbers(AXIAL), numbers([-19, -19, 0])
    dose.DoseUnits, dose.DoseType, dose.DoseSummationType, dose.DoseGridScaling = "GY", "PHYSICAL", "PLAN", "0.01"
    plan = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.481.5", ReferencedSOPInstanceUID=generate_uid())
    dose.ReferencedRTPlanSequence = [plan]
    save(dose, f"{name}/rd.dcm")

reader = """
import json, sys
from dicompylercore import dvhcalc
dvh = dvhcalc.get_dvh(sys.argv[1], sys.argv[2], 1)
share = float(dvh.volume_constraint(49, "Gy").value) / float(dvh.volume)
print(json.dumps([round(float(each), 2) for each in (dvh.volume, dvh.mean, share)] + [dvh.notes]))
"""
found = {}
for name in drawn:
    command = ["reader/bin/python", "-c", reader, f"{name}/rs.dcm", f"{name}/rd.dcm"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found[name] = json.loads(done.stdout), done.stderr
    volume, mean, share, notes = found[name][0]
    print(
        f"{name} planes, {len(drawn[name])} of them: {volume:g} ml, mean {mean:g} Gy, {share:.0%} above 49 Gy,"
        f" notes {notes!r} (true: 19.2 ml, 30 Gy, 50%)"
    )
settle(found == {"even": ([19.2, 30.0, 0.5, None], ""), "uneven": ([14.4, 23.34, 0.33, None], "")})
PYTHON
