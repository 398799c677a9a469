#!/usr/bin/env bash
# TorchMetrics 1.9.0, `HausdorffDistance` for segmentation: of an image with more columns than rows, the distance that
# it returns is wrong. A distance belongs at row * columns + column of its map and is written to row * rows + column,
# so that it lands on another pixel. Two equal masks in 64 x 96 pixels are 53 apart, and a mask that is 9 off scores
# 36. With several threads, some of the numbers change from run to run, since a pixel may be written twice. Nothing
# is raised or printed. Square images are right, and those with more rows than columns raise an IndexError.
# SimpleITK 2.5.7 gives the true distances.
#
# The documentation takes masks of the shape (N, C, ...) and says nothing of squares. Issue 3300 of TorchMetrics has
# the IndexError and holds wide images for right. Pull request 3338 corrects the index.
#
# Networks for slices of 256 x 320 are compared, and the best epoch is chosen, by a number that says nothing.
#
#     bash findings/torchmetrics_misplaces_distances_in_wide_images.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" torchmetrics==1.9.0 torch==2.13.0 SimpleITK==2.5.7 numpy==2.2.6 pydicom==3.0.2
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import SimpleITK
import torch
import torchmetrics
from torchmetrics.segmentation import HausdorffDistance
from valid_dicom import settle

torch.set_num_threads(1)


def square(columns, off):
    """Return a slice of 64 rows with a square of 20 x 20 pixels, so many columns to the right."""
    mask = torch.zeros(1, 64, columns, dtype=torch.long)
    mask[:, 20:40, 20 + off : 40 + off] = 1
    return mask


def measured(prediction, target):
    """Return the distance by TorchMetrics."""
    metric = HausdorffDistance(num_classes=2, input_format="index")
    metric.update(prediction, target)
    return round(float(metric.compute()), 2)


def true(prediction, target):
    """Return the distance by SimpleITK."""
    images = [SimpleITK.GetImageFromArray(mask[0].numpy().astype("u1")) for mask in (prediction, target)]
    distance = SimpleITK.HausdorffDistanceImageFilter()
    distance.Execute(*images)
    return distance.GetHausdorffDistance()


found = {}
for columns in (64, 65, 96):
    for off in (0, 3, 9):
        masks = square(columns, off), square(columns, 0)
        found[columns, off] = measured(*masks), true(*masks)
        by = "TorchMetrics {:g}, SimpleITK {:g}".format(*found[columns, off])
        print(f"TorchMetrics {torchmetrics.__version__}, 64 x {columns} pixels, {off} columns apart: {by}")
settle(
    found
    == {
        (64, 0): (0, 0),
        (64, 3): (3, 3),
        (64, 9): (9, 9),
        (65, 0): (25, 0),
        (65, 3): (25, 3),
        (65, 9): (30.02, 9),
        (96, 0): (53, 0),
        (96, 3): (56, 3),
        (96, 9): (36.06, 9),
    }
)
PYTHON
