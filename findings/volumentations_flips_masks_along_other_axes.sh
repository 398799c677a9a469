#!/usr/bin/env bash
# volumentations-3D 1.0.4, `Flip()`: the axes are drawn anew for each volume, one of seven choices for the image, one
# for its mask, and one for a second image. After six of seven flips the mask does not lie on the image any more, and
# a CT not on its MR. All keep their shapes, and nothing is raised or printed. `Flip(0)` keeps them together. So does
# `RandomRotate90()`, whose axes are drawn too, but once for all, as the other transforms do.
#
# `Compose` takes the names of several images and masks, so that they change alike. The README shows `Flip(0)`,
# `Flip(1)` and `Flip(2)`, and has no word on what `Flip()` draws. No issue on it was found.
#
# A network learns that a lesion lies on the other side, or that a CT belongs to another part of the MR. With the usual
# p of 0.5, two of five samples are such pairs.
#
#     bash findings/volumentations_flips_masks_along_other_axes.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" volumentations-3D==1.0.4 opencv-python==4.12.0.88 scikit-image==0.26.0 scipy==1.16.3 \
    numpy==2.2.6 pydicom==3.0.2
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import random
from importlib.metadata import version

import numpy as np
from valid_dicom import settle
from volumentations import Compose, Flip, RandomRotate90

# A lesion in the right upper front of a head: the same voxels in CT, MR and mask.
mask = np.zeros((40, 40, 40), np.uint8)
mask[6:12, 6:12, 6:12] = 1
ct, mr = np.where(mask, 70, 35).astype(np.int16), np.where(mask, 900, 400).astype(np.int16)


def dice(one, other):
    """Return the overlap of two masks."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


found = {}
for name, transform in {
    "Flip(p=1)": Flip(p=1),
    "Flip()": Flip(),
    "Flip(0, p=1)": Flip(0, p=1),
    "RandomRotate90(p=1)": RandomRotate90(p=1),
}.items():
    augment = Compose([transform], targets=[["ct", "mr"], ["mask"]])
    on_mask, on_mr = [], []
    for seed in range(700):
        random.seed(seed)
        made = augment(ct=ct, mr=mr, mask=mask)
        in_ct, in_mr, in_mask = made["ct"] > 50, made["mr"] > 600, made["mask"] > 0
        assert in_ct.sum() == in_mr.sum() == in_mask.sum() == 216
        on_mask.append(dice(in_ct, in_mask))
        on_mr.append(dice(in_ct, in_mr))
    apart = [sum(value == 0 for value in values) for values in (on_mask, on_mr)]
    assert set(on_mask) | set(on_mr) <= {0.0, 1.0}
    found[name] = apart
    print(
        f"volumentations-3D {version('volumentations-3D')}, {name}: of 700 samples, the lesion of the CT lies beside"
        f" its mask in {apart[0]}, beside that of the MR in {apart[1]}"
    )
settle(
    all(560 < count < 640 for count in found["Flip(p=1)"])
    and all(260 < count < 340 for count in found["Flip()"])
    and found["Flip(0, p=1)"] == found["RandomRotate90(p=1)"] == [0, 0]
)
PYTHON
