#!/usr/bin/env bash
# med-imagetools 2.16.0, `VectorMask.extract_mask`, and `masks["Tumour"]`, which calls it: asked for a region by its
# name, it returns the mask of the region behind it, with the name that was asked for in the mask's own metadata.
# Nothing is raised or printed. The name's place is counted with the background in front, and is taken for a channel,
# which are counted without. By number, and in `iter_masks`, which the command line uses, the regions are right. What
# is returned for the last name is no region of the file; this script leaves it out.
#
# By the docstring, a name is as good as a number. rt-utils 1.2.7 is right.
#
# Radiomics or a dose of the tumour are then those of another organ, and a network learns it.
#
#     bash findings/med_imagetools_returns_the_next_region.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" med-imagetools==2.16.0 rt-utils==1.2.7 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import SimpleITK
from imgtools.coretypes import RTStructureSet, Scan
from imgtools.coretypes.masktypes.roi_matching import ROIMatcher
from rt_utils import RTStructBuilder
from valid_dicom import regions, series, settle

heights = [3 * index for index in range(10)]
places = {"Tumour": -15, "Cord": 0, "Lens": 15}  # x of their centres, in mm
square = np.array([(-5.3, -5.3), (5.3, -5.3), (5.3, 5.3), (-5.3, 5.3)])
ct = series("ct", [(-30, -30, z) for z in heights], [np.zeros((60, 60), "<i2")] * len(heights))
squares = {name: [np.c_[square + [x, 0], np.full(4, z)] for z in heights[2:5]] for name, x in places.items()}
regions("rs/rs.dcm", ct, squares)


def centre(voxels):
    """Return the x of a mask's centre, of an array of z, y, x."""
    return round(float(np.argwhere(voxels)[:, 2].mean()) - 30)


matcher = ROIMatcher(match_map={name: [name] for name in places})
masks = RTStructureSet.from_dicom("rs/rs.dcm").get_vector_mask(Scan.from_dicom("ct"), matcher)
other = RTStructBuilder.create_from("ct", "rs/rs.dcm")
print(f"med-imagetools {version('med-imagetools')}, x of the region in mm:")
seen = {}
for number, name in enumerate(list(places)[:2], 1):
    by_name, by_number = (SimpleITK.GetArrayFromImage(masks[key]) for key in (name, number))
    called = masks[name].metadata["ROINames"]
    right = other.get_roi_mask_by_name(name).transpose(2, 0, 1)
    seen[name] = centre(by_name), called, centre(by_number), centre(right)
    print(f"  {name}, true {places[name]}: by its name {seen[name][0]}, called {called!r};", end=" ")
    print(f"by its number {seen[name][2]}; rt-utils {seen[name][3]}")
settle(seen == {"Tumour": (0, "Tumour", -15, -15), "Cord": (15, "Cord", 0, 0)})
PYTHON
