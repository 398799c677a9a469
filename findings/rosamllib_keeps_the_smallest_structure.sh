#!/usr/bin/env bash
# rosamllib 0.6.3, `extract_largest_structure`: it returns the smallest connected part of a mask. Parts are numbered
# from the largest to the smallest, and the last number is taken where the first is meant. So of a liver and one stray
# voxel, the stray voxel is left. Of two lungs, the smaller one is left. A mask of one part comes back as it was, so a
# first try looks right. With `min_volume` the parts that are large enough are kept, as the docstring has it. Nothing is
# raised or printed.
#
# By the docstring, only the largest part is kept without `min_volume`. No issue on it was found. SimpleITK 2.5.7 and
# scikit-image 0.26.0 find the largest.
#
# An organ shrinks to a speck just where a mask needed cleaning. Its volume, dose and contours are those of the speck.
#
#     bash findings/rosamllib_keeps_the_smallest_structure.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 nibabel==5.4.2 scikit-image==0.26.0 scipy==1.17.1 xmltodict==1.0.4 \
    pydicom==3.0.2 numpy==2.2.6
# Without its viewers and network parts, which masks do not need.
"$box/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --no-deps rosamllib==0.6.3
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
from importlib.metadata import version
from pathlib import Path

import numpy as np
import SimpleITK
from rosamllib.mask_processing import extract_largest_structure
from skimage.measure import label
from valid_dicom import settle

VOXEL = 2 * 2 * 3  # mm3
organ, other, spot, speck = (np.zeros((40, 60, 60), np.uint8) for _ in range(4))
organ[5:35, 10:40, 10:40] = 1
other[5:30, 45:58, 45:58] = 1
spot[10:13, 2:5, 2:5] = 1
speck[38, 58, 2] = 1
masks = {
    "one organ": organ,
    "organ and a stray voxel": organ + speck,
    "organ and a smaller one": organ + other,
    "organ, spot and stray voxel": organ + spot + speck,
}


def as_image(mask):
    """Return a mask as an image of voxels of 2 x 2 x 3 mm."""
    image = SimpleITK.GetImageFromArray(mask)
    image.SetSpacing((2, 2, 3))
    return image


def largest(mask):
    """Return the voxels of the largest part, by SimpleITK and by scikit-image."""
    parts = SimpleITK.RelabelComponent(SimpleITK.ConnectedComponent(as_image(mask)), sortByObjectSize=True)
    by_skimage = np.bincount(label(mask).ravel())[1:].max()
    return int((SimpleITK.GetArrayFromImage(parts) == 1).sum()), int(by_skimage)


print(f"rosamllib {version('rosamllib')}, voxels:")
seen = {}
for name, mask in masks.items():
    kept = extract_largest_structure(mask)
    assert (kept == extract_largest_structure(as_image(mask))).all() and set(np.unique(kept)) <= {0, 1}
    part = next((key for key, of in (("organ", organ), ("other", other), ("speck", speck)) if (kept == of).all()), "?")
    by_volume = extract_largest_structure(as_image(mask), min_volume=2 * VOXEL)
    seen[name] = part, int(kept.sum()), int(by_volume.sum()), largest(mask)
    print(f"  {name}, {mask.sum()}: it keeps the {part}, {kept.sum()};", end=" ")
    print(f"with min_volume {by_volume.sum()}; the largest has {largest(mask)[0]} by SimpleITK", end=" ")
    print(f"and {largest(mask)[1]} by scikit-image")
said = Path("errors.txt").read_text()
print(f"errors and warnings: {said!r}")
settle(
    not said
    and seen
    == {
        "one organ": ("organ", 27000, 27000, (27000, 27000)),
        "organ and a stray voxel": ("speck", 1, 27000, (27000, 27000)),
        "organ and a smaller one": ("other", 4225, 31225, (27000, 27000)),
        "organ, spot and stray voxel": ("speck", 1, 27027, (27000, 27000)),
    }
)
PYTHON
