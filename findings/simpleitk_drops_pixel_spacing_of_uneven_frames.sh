#!/usr/bin/env bash
# SimpleITK 2.5.7 (GDCM): where the frames of an enhanced object are not evenly spaced in the order of the file, every
# spacing is lost, that of the pixels within a slice too: voxels are 1 x 1 x 1 mm. One missing slice is enough, or
# frames that are stored in another order than along the stack, which the standard allows. The same slices
# as single files keep their 0.5 mm pixels.
#
# A head of 0.5 mm pixels becomes twice as wide, and nothing is said.
#
#     bash findings/simpleitk_drops_pixel_spacing_of_uneven_frames.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import numpy as np
import SimpleITK
from valid_dicom import enhanced, series, settle

pixels = [np.full((8, 8), 100 * index, "<u2") for index in range(6)]
spacings = {}
for name, heights in {
    "even": (0, 5, 10, 15, 20, 25),
    "one slice missing": (0, 5, 10, 20, 25, 30),
    "in another order": (15, 0, 25, 5, 20, 10),
}.items():
    positions = [(0, 0, height) for height in heights]
    enhanced(f"{name}.dcm", positions, pixels, spacing=(0.5, 0.5), in_stack=[height // 5 + 1 for height in heights])
    series(name, positions, pixels, modality="MR", spacing=(0.5, 0.5), thickness=5)
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(name)
    spacings[name] = [SimpleITK.ReadImage(path).GetSpacing() for path in (f"{name}.dcm", files)]
    print(f"{name}: enhanced {spacings[name][0]}, single files {spacings[name][1]}")
settle(
    spacings["even"] == [(0.5, 0.5, 5)] * 2
    and all(spacings[name][0] == (1, 1, 1) for name in ("one slice missing", "in another order"))
    and all(spacings[name][1][:2] == (0.5, 0.5) for name in spacings)
)
PYTHON
