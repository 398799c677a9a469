#!/usr/bin/env bash
# platipy 0.7.2, `imaging.label.comparison.compute_surface_metrics`: "hausdorffDistance95" is the 95th percentile of two
# numbers, the largest distances from either surface. So it is 0.95 times the larger and 0.05 times the smaller, and
# one thin spur decides it: 19 mm here, where 99.9 % of both surfaces are the same, and the true value is 0.
# "sigmaSurfaceDistance" is the root of a sum that is not divided by the number of voxels, so it grows with the size of
# the organ: 269 mm here, where no distance exceeds 5 mm. Nothing is raised or printed. "hausdorffDistance" and
# "meanSurfaceDistance" are right.
#
# The docstring names both without a word on them. The package's own test has no "hausdorffDistance95", and expects a
# sigma of 101.79 mm where the largest distance is 2.45 mm.
#
# Contours for radiotherapy are compared by this distance since it passes over strays. Here it does not. A network with
# one stray voxel is called bad, and no number can be compared to that of another paper.
#
#     bash findings/platipy_robust_hausdorff_is_the_largest_distance.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" surface-distance==0.1 SimpleITK==2.5.7 pydicom==2.4.5 numpy==1.26.4 scipy==1.16.3 \
    pandas==2.3.3 matplotlib==3.10.8 scikit-image==0.25.2
pip install --quiet --no-compile --disable-pip-version-check --no-deps platipy==0.7.2
unset PYTHONWARNINGS  # box.sh hides all; here Python's own choice counts
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
from importlib.metadata import version
from pathlib import Path

import numpy as np
import SimpleITK
import surface_distance
from platipy.imaging.label.comparison import compute_surface_metrics
from scipy.ndimage import binary_erosion, distance_transform_edt
from valid_dicom import settle

spacing = 2, 1, 1  # z, y, x


def image(mask):
    """Return a mask as an image of SimpleITK."""
    made = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    made.SetSpacing(spacing[::-1])
    return made


def distances(one, other):
    """Return the distance in mm from each voxel of one surface to the nearest voxel of the other surface."""
    surfaces = [mask & ~binary_erosion(mask) for mask in (one, other)]
    return distance_transform_edt(~surfaces[1], sampling=spacing)[surfaces[0]]


organ = np.zeros((50, 80, 110), bool)
organ[10:40, 20:60, 20:60] = True
spur = organ.copy()
spur[25, 40, 60:80] = True
cases = {"with a spur of 20 mm": spur, "5 mm beside": np.roll(organ, 5, 2), "equal": organ}
seen = {}
for name, mask in cases.items():
    by_platipy = compute_surface_metrics(image(organ), image(mask))
    there, back = distances(organ, mask), distances(mask, organ)
    both = np.concatenate([there, back])
    true = [max(there.max(), back.max()), max(np.percentile(there, 95), np.percentile(back, 95)), both.mean(), both.std()]
    robust = surface_distance.compute_robust_hausdorff(
        surface_distance.compute_surface_distances(organ, mask, spacing_mm=spacing), 95
    )
    keys = "hausdorffDistance", "hausdorffDistance95", "meanSurfaceDistance", "sigmaSurfaceDistance"
    seen[name] = [[round(float(number), 2) for number in numbers] for numbers in ([by_platipy[k] for k in keys], true)]
    seen[name].append(round(float(robust), 2))
    share = (both == 0).mean()
    print(f"platipy {version('platipy')}, {name}, {share:.1%} of {len(both)} voxels of the surfaces are the same:")
    for key, *numbers in zip(keys, *seen[name][:2], strict=True):
        print("  {}: {:g} mm, where it is {:g}".format(key, *numbers))
    print(f"  surface-distance {version('surface-distance')}, robust Hausdorff distance: {seen[name][2]:g} mm")
said = Path("errors.txt").read_text()
print(f"errors and warnings: {said!r}")
settle(
    not said
    and seen
    == {
        "with a spur of 20 mm": [[20, 19, 0.01, 53.55], [20, 0, 0.01, 0.44], 0],
        "5 mm beside": [[5, 5, 1.57, 269.39], [5, 5, 1.57, 2.19], 5],
        "equal": [[0, 0, 0, 0], [0, 0, 0, 0], 0],
    }
)
PYTHON
