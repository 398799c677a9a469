#!/usr/bin/env bash
# platipy 0.7.2 (`convert_rtstruct`) and dcmrtstruct2nii 5 make masks of a structure set on the grid of a
# series. A contour that lies k slices below the lowest slice is drawn into the k-th slice from the top: its
# index is negative, and Python counts it from the end. Nothing is raised, and no word is said of it. Such
# contours are valid: PS3.3 C.8.8.6 has their points in the patient, by a frame of reference, which series of
# other extents share. The docstring of platipy names no limit; platipy passes over contours above the top
# slice. The page of dcmrtstruct2nii asks for structures within the slices of "the original DICOM"; where some
# lie above the top, it warns and leaves the region out. plastimatch 1.10.0 passes over contours on either
# side. Issue 172 of platipy has the IndexError that comes where k is larger than the number of slices; it is
# closed.
#
# Structures of a planning CT are put on an MR that begins higher up, or on the synthetic CT of it. The spinal
# cord then lies below the vertex, too, and a dose or a HU averaged within it is partly of the wrong place.
#
#     bash findings/structures_below_the_image_appear_at_its_top.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" plastimatch==1.10.0 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
python -m venv reader  # neither tool can be used with pydicom 3
reader/bin/pip install --quiet --no-compile --disable-pip-version-check \
    dcmrtstruct2nii==5 pydicom==2.4.5 SimpleITK==2.5.7 scikit-image==0.24.0 numpy==1.26.4
reader/bin/pip install --quiet --no-compile --disable-pip-version-check --no-deps platipy==0.7.2
unset PYTHONWARNINGS  # box.sh hides all; here Python's own choice counts
python - <<'PYTHON'
import subprocess
from pathlib import Path

import numpy as np
import SimpleITK
from valid_dicom import series, settle, structures

heights = [3 * index for index in range(24)]  # of the CT: 0 to 69 mm
ct = series("ct", [(-30, -30, z) for z in heights], [np.zeros((60, 60), "<i2")] * 24)
square = np.array([(-5.5, -5.5), (4.5, -5.5), (4.5, 4.5), (-5.5, 4.5)])
cord = heights[:8]  # 0 to 21 mm
structures("rs.dcm", ct, [np.c_[square, np.full(4, z)] for z in cord])
shared = {"StudyInstanceUID": ct[0].StudyInstanceUID, "FrameOfReferenceUID": ct[0].FrameOfReferenceUID}
calls = {
    "platipy": "from platipy.dicom.io.rtstruct_to_nifti import convert_rtstruct as f\n"
    "f({0!r}, 'rs.dcm', prefix='platipy_' + {0!r} + '_')",
    "dcmrtstruct2nii": "from dcmrtstruct2nii import dcmrtstruct2nii as f; f('rs.dcm', {0!r}, 'd_' + {0!r})",
}
masks = {
    "platipy": "platipy_{}_a.nii.gz",
    "dcmrtstruct2nii": "d_{}/mask_a.nii.gz",
    "plastimatch": "p_{}/a.nrrd",
}

print(f"contours at {cord} mm")
found, said = {}, {}
for name, covered in {"all": heights[:20], "higher": heights[4:], "short": heights[:6]}.items():
    pixels = [np.zeros((60, 60), "<i2")] * len(covered)
    series(name, [(-30, -30, z) for z in covered], pixels, modality="MR", **shared)
    for tool, call in calls.items():
        command = ["reader/bin/python", "-c", call.format(name)]
        said[name, tool] = subprocess.run(command, check=True, capture_output=True, text=True).stderr.strip()
    command = ["plastimatch", "convert", "--input", "rs.dcm", "--referenced-ct", name]
    command += ["--output-prefix", f"p_{name}", "--prefix-format", "nrrd"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for tool, path in masks.items():
        found[name, tool] = None
        if Path(path.format(name)).exists():
            mask = SimpleITK.ReadImage(path.format(name))
            drawn = np.flatnonzero(SimpleITK.GetArrayFromImage(mask).any((1, 2)))
            found[name, tool] = [round(mask.TransformIndexToPhysicalPoint((0, 0, int(k)))[2]) for k in drawn]
        warned = f"; warnings: {said[name, tool]!r}" if tool in calls else ""
        print(f"MR from {covered[0]} to {covered[-1]} mm, {tool}: {found[name, tool]}{warned}")
inside, astray = cord[4:], [60, 63, 66, 69]
warning = "WARNING:root:Structure a is out of bounds, ignoring contour!"
settle(
    {key: text for key, text in said.items() if text} == {("short", "dcmrtstruct2nii"): warning}
    and found
    == {
        **{("all", tool): cord for tool in masks},
        **{("higher", tool): inside + astray for tool in calls},
        ("higher", "plastimatch"): inside,
        ("short", "platipy"): cord[:6],
        ("short", "dcmrtstruct2nii"): None,
        ("short", "plastimatch"): cord[:6],
    }
)
PYTHON
