#!/usr/bin/env bash
# rt-utils 1.2.7: the contours that it makes of a mask go through the centres of the outer pixels, so that a region loses half
# a pixel on every side: 10 x 10 pixels of 1 mm become a square of 9 x 9 mm, a single pixel becomes one point. It reads its
# own contours back without loss, as it counts every pixel that a contour touches; from the contours of others it thus
# makes masks that are too large: a square of exactly 10 x 10 pixels comes back with 11 x 11. plastimatch 1.10.0 rasterises by
# the pixels' centres: 100 of the second square, 81 of the first.
#
# Structures that a network draws are planned on with 19 % less area here, and others train it with 21 % more.
#
#     bash findings/rt_utils_draws_through_pixel_centres.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" rt-utils==1.2.7 plastimatch==1.10.0 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import subprocess
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom import dcmread
from rt_utils import RTStructBuilder
from valid_dicom import series, settle, structures

heights = [3 * index for index in range(5)]
images = series("ct", [(-20, -20, height) for height in heights], [np.zeros((40, 40), "<i2")] * 5)


def masks(path: str) -> tuple[int, int]:
    """Voxels of region `a` in the middle slice, by rt-utils and by plastimatch."""
    mask = RTStructBuilder.create_from("ct", path).get_roi_mask_by_name("a")
    out = Path(path).parent / "mask"
    command = ["plastimatch", "convert", "--input", path, "--referenced-ct", "ct", "--output-prefix", str(out)]
    subprocess.run([*command, "--prefix-format", "nrrd"], check=True, stdout=subprocess.DEVNULL)
    other = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(out / "a.nrrd")))
    return int(mask[:, :, 2].sum()), int(other[2].sum())


mask = np.zeros((40, 40, 5), bool)
mask[15:25, 15:25, 1:4] = True  # 10 x 10 pixels of 1 mm: from -5.5 to 4.5 mm
made = RTStructBuilder.create_new("ct")
made.add_roi(mask=mask, name="a")
Path("own").mkdir()
made.save("own/rs.dcm")
contour = dcmread("own/rs.dcm").ROIContourSequence[0].ContourSequence[0].ContourData
points = np.array(contour, float).reshape(-1, 3)
sides = (points.max(0) - points.min(0))[:2].tolist()
own = masks("own/rs.dcm")
print(f"mask of 10 x 10 mm: contour of {sides} mm; read back {own[0]} pixels (rt-utils), {own[1]} (plastimatch)")

square = np.array([(-5.5, -5.5), (4.5, -5.5), (4.5, 4.5), (-5.5, 4.5)])  # along the borders of pixels
contours = [np.c_[square, np.full(4, height)] for height in heights[1:4]]
structures("other/rs.dcm", images, contours)
other = masks("other/rs.dcm")
print(f"contour of 10 x 10 mm: {other[0]} pixels (rt-utils), {other[1]} (plastimatch)")
settle(sides == [9, 9] and own == (100, 81) and other == (121, 100))
PYTHON
