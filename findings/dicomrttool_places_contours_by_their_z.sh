#!/usr/bin/env bash
# DicomRTTool 6.2.0, `DicomReaderWriter.get_images_and_mask`, makes masks of a structure set on the slices of its series.
# It puts each point of a contour into the slice whose ImagePositionPatient has the nearest z. That is the slice of the
# contour where slices are axial. In a tilted slice, z changes along its columns, too, so a region 60 mm from the first
# row comes out 12 mm off along the stack at 15 degrees. In a sagittal series all slices have one z, and the mask is
# empty. Two contours that are nearest to one slice cancel each other, since overlaps count as holes: a region that is
# drawn every 1.5 mm leaves nothing on slices of 3 mm. Nothing is raised, and the log warns of none of this.
# SimpleITK finds each contour's slice by the geometry of the series.
#
# MR of the head is tilted to the corpus callosum or acquired in sagittal planes as a rule. Regions for the scores of a
# synthetic CT, or for a training set, then lie in other tissue, or are missing.
#
#     bash findings/dicomrttool_places_contours_by_their_z.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" DicomRTTool==6.2.0 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import logging

import numpy as np
import SimpleITK
from DicomRTTool import DicomReaderWriter
from valid_dicom import AXIAL, series, settle, structures, tilted

said = []
listener = logging.Handler(logging.WARNING)
listener.emit = lambda record: said.append(record.getMessage())
logging.basicConfig(handlers=[listener], force=True)


def drawn(name, orientation, step):
    """Draw a square of 21 mm in planes `step` mm apart; return where it should be along the stack, and is."""
    across, down = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(across, down)
    corners = [-60 * across - 60 * down + 3 * index * normal for index in range(20)]
    images = series(f"{name}/mr", corners, [np.zeros((120, 120), "<i2")] * 20, modality="MR", orientation=orientation)
    square = 10.5 * np.array([-across - down, across - down, across + down, -across + down])
    structures(f"{name}/rs.dcm", images, [square + height * normal for height in np.arange(18, 36, step)])
    reader = DicomReaderWriter(arg_max=True)
    reader.walk_through_folders(name)
    reader.set_contour_names_and_associations(["a"])
    reader.get_images_and_mask()
    series_of = SimpleITK.ImageSeriesReader()
    series_of.SetFileNames(series_of.GetGDCMSeriesFileNames(f"{name}/mr"))
    image = series_of.Execute()
    right = {image.TransformPhysicalPointToIndex(square[0] + height * normal)[2] for height in range(18, 36, 3)}
    mask = SimpleITK.GetArrayFromImage(reader.annotation_handle)
    return sorted(3 * index for index in right), [3 * int(index) for index in np.flatnonzero(mask.any((1, 2)))]


found = {}
for name, orientation, step in (
    ("axial", AXIAL, 3),
    ("axial, planes of 1.5 mm", AXIAL, 1.5),
    ("15 degrees", tilted(15), 3),
    ("sagittal", (0, 1, 0, 0, 0, -1), 3),
):
    right, found[name] = drawn(name, orientation, step)
    print(f"{name}: slices at {right} mm along the stack; the mask has {found[name] or 'none'}")
print(f"warnings: {said or 'none'}")
settle(
    found
    == {
        "axial": [18, 21, 24, 27, 30, 33],
        "axial, planes of 1.5 mm": [],
        "15 degrees": [30, 33, 36, 39, 42, 45],
        "sagittal": [],
    }
    and not said
)
PYTHON
