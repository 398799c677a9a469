#!/usr/bin/env bash
# Two packages of metrics call a wrong mask perfect: its Hausdorff distance is 0, and nothing is raised or printed.
#
# MISeval 1.3.0, `evaluate(truth, mask, metric="HD")`, hands both masks to a function that takes lists of points. So a
# row of pixels counts as a point, and rows are compared, wherever they lie. A mask that is 30 rows too low has the
# distance 0. One that is 9 columns beside it has 4.24, the root of the 18 pixels by which rows differ. "AHD", which the
# README calls the average distance and advises, is the largest: 20 for one thin spur, where SimpleITK's average is
# 0.25. Masks of three axes are refused by "HD", not by "AHD".
#
# seg-metrics 1.2.8, `write_metrics`: where the prediction has nothing of a structure, or the reference has nothing,
# "hd", "hd95" and "msd" are 0, as for two equal masks. With "dice" among the metrics, a warning names precision and
# recall. Masks that both show the structure get the right distance.
#
# The README of neither says so. SimpleITK 2.5.7 gives the true distances, and refuses an empty mask.
#
# A network that misses lesions improves its mean distance, and wins by it.
#
#     bash findings/hausdorff_distances_of_zero_for_wrong_masks.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" miseval==1.3.0 hausdorff==0.2.6 seg-metrics==1.2.8 SimpleITK==2.5.7 \
    pydicom==3.0.2 numpy==2.2.6 scipy==1.16.3
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
from importlib.metadata import version
from pathlib import Path

import numpy as np
import SimpleITK
from miseval import evaluate
from seg_metrics.seg_metrics import write_metrics
from valid_dicom import settle


def distances(one, other, spacing=(1, 1)):
    """Return the largest and the average distance by SimpleITK; None for an empty mask."""
    images = [SimpleITK.GetImageFromArray(mask) for mask in (one, other)]
    for image in images:
        image.SetSpacing(spacing[::-1])
    measure = SimpleITK.HausdorffDistanceImageFilter()
    try:
        measure.Execute(*images)
    except RuntimeError:
        return None
    return round(measure.GetHausdorffDistance(), 2), round(measure.GetAverageHausdorffDistance(), 2)


def square(down=0, right=0):
    """Return a slice with a square of 20 x 20 pixels."""
    mask = np.zeros((64, 64), np.uint8)
    mask[10 + down : 30 + down, 20 + right : 40 + right] = 1
    return mask


spur = square()
spur[20, 40:60] = 1
cases = {"equal": square(), "9 rows lower": square(9), "30 rows lower": square(30), "9 columns beside": square(0, 9)}
seen = {}
for name, mask in {**cases, "with a spur": spur}.items():
    largest, average = (round(float(evaluate(square(), mask, metric=metric)), 2) for metric in ("HD", "AHD"))
    seen[name] = largest, average, distances(square(), mask)
    print(f'MISeval {version("miseval")}, {name}: "HD" {largest:g}, "AHD" {average:g};', end=" ")
    print("SimpleITK {:g}, average {:g}".format(*seen[name][2]))

spacing = 5, 1, 1  # z, y, x
organ = np.zeros((20, 30, 40), np.uint8)
organ[5:15, 10:20, 10:30] = 1
names = ["hd", "hd95", "msd"]
for name, prediction in {"same": organ, "3 slices lower": np.roll(organ, 3, 0), "missing": organ * 0}.items():
    for first, second in ((organ, prediction), (prediction, organ)):
        (found,) = write_metrics([1], gdth_img=first, pred_img=second, spacing=spacing, metrics=list(names))
        seen.setdefault(name, []).append([round(float(found[key][0]), 2) for key in names])
    seen[name].append(distances(organ, prediction, spacing))
    print(f"seg-metrics {version('seg-metrics')}, {name}: {dict(zip(names, seen[name][0], strict=True))}", end="; ")
    print(f"in the reference: {dict(zip(names, seen[name][1], strict=True))}; SimpleITK {seen[name][2]}")
said = Path("errors.txt").read_text()
print(f"errors and warnings: {said!r}")
nothing = [0, 0, 0]
settle(
    not said
    and seen
    == {
        "equal": (0, 0, (0, 0)),
        "9 rows lower": (0, 9, (9, 2.25)),
        "30 rows lower": (0, 30, (30, 20.5)),
        "9 columns beside": (4.24, 9, (9, 2.25)),
        "with a spur": (4.47, 20, (20, 0.25)),
        "same": [nothing, nothing, (0, 0)],
        "3 slices lower": [[15, 15, 4.91], [15, 15, 4.91], (15, 3)],
        "missing": [nothing, nothing, None],
    }
)
PYTHON
