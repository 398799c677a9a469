#!/usr/bin/env bash
# mahotas 1.4.18, measures of labelled regions in a CT. `mahotas.labeled_max` starts from the least positive number of
# the image's type, where the lowest number is meant. So in HU in float32 or float64, the maximum of a region that is
# all negative, such as lung, fat or air, is about 0 (1.18e-38 or 2.2e-308). In int16 it is right. In int16, in turn,
# `mahotas.labeled_sum` adds within the type and wraps, so a mean from it has the wrong sign and size from 33
# voxels of 1000 HU on. `mahotas.labeled.labeled_min` and sums of float images are right. Nothing is raised or printed.
#
# So no type is right for both: bone comes out wrong in one, and lung in the other.
#
#     bash findings/mahotas_measures_hounsfield_wrongly.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" mahotas==1.4.18 numpy==2.2.6 pydicom==3.0.2
python - <<'PYTHON'
import mahotas
import numpy as np
from valid_dicom import settle

LUNG, BONE = 1, 2
labels = np.zeros((8, 8, 8), np.int32)
labels[:4], labels[4:] = LUNG, BONE
ct = np.where(labels == LUNG, -850, 1000).astype(np.int16)
ct[0, 0, 0] = -700  # the brightest voxel of the lung

seen = {}
for kind in (np.int16, np.float32, np.float64):
    image = ct.astype(kind)
    most, least = mahotas.labeled.labeled_max(image, labels), mahotas.labeled.labeled_min(image, labels)
    total = mahotas.labeled_sum(image, labels)
    count = (labels == BONE).sum()
    print(f"mahotas {mahotas.__version__}, {np.dtype(kind).name}:")
    print(f"  lung from {least[LUNG]:g} to {most[LUNG]:g} HU, where it is -850 to -700")
    print(f"  bone: {total[BONE]:g} in {count} voxels, a mean of {total[BONE] / count:g} HU, where it is 1000")
    seen[np.dtype(kind).name] = [float(least[LUNG]), float(most[LUNG]), float(total[BONE] / count)]
print("numpy:", ct[labels == LUNG].max(), ct[labels == BONE].astype(float).mean())
settle(
    seen["int16"][:2] == [-850, -700]
    and abs(seen["int16"][2]) < 200
    and all(seen[kind][0] == -850 and 0 < seen[kind][1] < 1e-30 and seen[kind][2] == 1000 for kind in ("float32", "float64"))
)
PYTHON
