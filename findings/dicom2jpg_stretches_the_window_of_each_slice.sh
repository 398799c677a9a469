#!/usr/bin/env bash
# dicom2jpg 0.1.10: pictures of slices with one window in their headers show one tissue in different greys. After the
# window, the values of each slice are stretched until its own least value is black and its own greatest is white. A
# slice that holds air and bone reaches both ends anyway, and is right. In a slice through the brain alone, or one of
# an MR whose brightest tissue is dimmer, the window is another one. With level 40 and width 80, brain of 35 HU is
# 111 of 255 beside air and bone, 120 beside fluid and blood, and white beside fluid alone. pydicom 3.0.2 applies the
# header's window to all three alike. Nothing is raised or printed.
#
# Its documentation says that it applies Modality, VOI and Presentation LUT, and that its pictures look like those of
# viewers.
#
# Who trains on such pictures, or measures in them, has other HU at the vertex than at the base of one series.
#
#     bash findings/dicom2jpg_stretches_the_window_of_each_slice.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dicom2jpg==0.1.10 opencv-python==4.12.0.88 pydicom==3.0.2 numpy==2.2.6
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import dicom2jpg
import numpy
import pydicom
from pydicom.pixels import apply_windowing
from valid_dicom import series, settle

BRAIN = 35
BESIDE = {"air and bone": (-1000, 1200), "fluid and blood": (8, 65), "fluid": (8, 8)}


def slice_of(first, second):
    """Return a slice of brain with two squares of other HU."""
    pixels = numpy.full((64, 64), BRAIN, numpy.int16)
    pixels[:20, :20], pixels[40:, 40:] = first, second
    return pixels


positions = [(0, 0, 5 * index) for index in range(len(BESIDE))]
pixels = [slice_of(*others) for others in BESIDE.values()]
series("ct", positions, pixels, thickness=5, WindowCenter="40", WindowWidth="80")
found = {}
for index, name in enumerate(BESIDE):
    header = pydicom.dcmread(f"ct/{index:03}.dcm")
    ours = apply_windowing(header.pixel_array, header)
    ends = numpy.iinfo(numpy.int16)
    right = round(float(ours[30, 30] - ends.min) / (ends.max - ends.min) * 255)
    made = int(dicom2jpg.dicom2img(f"ct/{index:03}.dcm")[30, 30])
    found[name] = made, right
    print(f"dicom2jpg {dicom2jpg.__version__}, brain of {BRAIN} HU beside {name}: {made} of 255; pydicom {right}")
settle(found == {"air and bone": (111, 113), "fluid and blood": (120, 113), "fluid": (255, 113)})
PYTHON
