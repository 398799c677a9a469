#!/usr/bin/env bash
# SimpleITK 2.5.7 (ITK 5.4), `DisplacementFieldJacobianDeterminant`: it differentiates along the axes of storage, while
# the vectors are in LPS. Only a field whose axes run to the left, back and head is right. On a grid with the axes of
# RAS, as many NIfTI files of heads have it, growth becomes shrinkage: 0.891 for 1.331 of the volume. A fold is not
# seen (0 voxels for 264), and a swelling without folds has 264. For sagittal slices the growth is 1.001, for slices
# that are turned by 20 degrees 1.318. Nothing is raised or printed. A transform of the same field moves points rightly.
#
# The documentation promises det[I + du/dx], with derivatives in world coordinates. It has no word on directions.
# Reported as issue 5358 of ITK. Pull request 5390 mends ITK's main branch, but no release of SimpleITK has it yet.
#
# A check of a registration finds no folds where there are some. A map of atrophy shows growth, and the same head shows
# the opposite if it was read from axial DICOM.
#
#     bash findings/simpleitk_volume_change_depends_on_the_axes.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6 pydicom==3.0.2
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import nibabel
import numpy as np
import SimpleITK
from valid_dicom import settle

SIZE = 48
LPS = np.diag([-1.0, -1, 1])
TURN = np.radians(20)
ABOUT_X = np.array([[1, 0, 0], [0, np.cos(TURN), -np.sin(TURN)], [0, np.sin(TURN), np.cos(TURN)]])
# Each column is the direction of an axis of storage, in RAS as NIfTI has it. The field of view is about 0.
AXES = {
    "LPS": LPS,
    "RAS": np.eye(3),
    "sagittal": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "LPS turned by 20 degrees": LPS @ ABOUT_X,
}


def growth(points):
    """A head that is 10% larger along each axis: 1.331 of its volume."""
    return 0.1 * points


def bump(points, height):
    """Points near the middle move along x: apart if the height is positive, else together."""
    moved = np.zeros_like(points)
    moved[:, 0] = height * points[:, 0] * np.exp(-(points**2).sum(1) / 72)
    return moved


def fold(points):
    """Points pass each other: the determinant is negative in the middle."""
    return bump(points, -1.4)


def swelling(points):
    """The middle grows and its surroundings give way, without a fold."""
    return bump(points, 1.4)


def determinant(displacement, points):
    """Return the true determinant at points in LPS, without a grid."""
    steps = 1e-4 * np.eye(3)
    columns = [(displacement(points + step) - displacement(points - step)) / 2e-4 for step in steps]
    return np.linalg.det(np.eye(3) + np.stack(columns, 2))


found = {}
for name, axes in AXES.items():
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, -axes @ np.full(3, (SIZE - 1) / 2)
    nibabel.save(nibabel.Nifti1Image(np.zeros((SIZE,) * 3, np.int16), affine), "head.nii.gz")
    head = SimpleITK.ReadImage("head.nii.gz")

    indices = np.moveaxis(np.indices((SIZE,) * 3), 0, -1).reshape(-1, 3)
    points = indices @ np.reshape(head.GetDirection(), (3, 3)).T + head.GetOrigin()
    told, true = {}, {}
    for displacement in (growth, fold, swelling):
        vectors = displacement(points).reshape(SIZE, SIZE, SIZE, 3).transpose(2, 1, 0, 3)
        field = SimpleITK.GetImageFromArray(vectors, isVector=True)
        field.CopyInformation(head)
        told[displacement] = SimpleITK.GetArrayFromImage(SimpleITK.DisplacementFieldJacobianDeterminant(field))
        true[displacement] = determinant(displacement, points)
        # The field itself is right: a transform of it moves points as it should.
        transform = SimpleITK.DisplacementFieldTransform(SimpleITK.Image(field))
        for index in (20_000, 60_000):
            moved = points[[index]] + displacement(points[[index]])
            assert np.allclose(transform.TransformPoint(points[index].tolist()), moved[0], atol=1e-3)
    inside = told[growth][1:-1, 1:-1, 1:-1]
    found[name] = [round(float(np.median(inside)), 3), *(int((told[each] < 0).sum()) for each in (fold, swelling))]
    right = [round(float(np.median(true[growth])), 3), *(int((true[each] < 0).sum()) for each in (fold, swelling))]
    assert right == [1.331, 280, 0]
    print(
        f"SimpleITK {SimpleITK.Version_VersionString()}, axes {name}: a head grows to {found[name][0]} of its volume"
        f" (true {right[0]}); folded voxels of a fold {found[name][1]} (true {right[1]}), of a swelling"
        f" {found[name][2]} (true {right[2]})"
    )
settle(
    found
    == {
        "LPS": [1.331, 264, 0],
        "RAS": [0.891, 0, 264],
        "sagittal": [1.001, 0, 0],
        "LPS turned by 20 degrees": [1.318, 264, 0],
    }
)
PYTHON
