#!/usr/bin/env bash
# ANTsPy 0.6.3, `ants.label_image_centroids`: the centroids of a label image are wrong. The function counts voxels with
# x first, and numpy lays them out with z first, so that the axes are mixed. Its z counts as far as y goes. In a cube,
# x and z are exchanged. In other images the numbers mean nothing. `physical=True`, which is there to ask for places in
# space, changes nothing. Nothing is raised or printed. `ants.label_geometry_measures` is right. ANTsPy's test of the
# function has a cube of 2 x 2 x 2 voxels and expects x and z exchanged.
#
# Two nuclei, one on each side of a head, get the same x here. What is cut out around them is another part of it.
#
#     bash findings/antspy_centroids_lie_beside_their_labels.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" antspyx==0.6.3 numpy==2.2.6 pydicom==3.0.2
python - <<'PYTHON'
import ants
import numpy as np
from valid_dicom import settle


def head(shape, corners):
    """Return labels 1, 2, ..., each a cube of 3 x 3 x 3 voxels from its corner."""
    labels = np.zeros(shape, np.float32)
    for label, (x, y, z) in enumerate(corners, 1):
        labels[x : x + 3, y : y + 3, z : z + 3] = label
    return ants.from_numpy(labels, origin=(-40.0, 10.0, 5.0), spacing=(1.0, 1.0, 3.0))


seen = []
for shape, corners in (
    ((40, 40, 40), [(5, 11, 17)]),
    ((40, 48, 60), [(5, 20, 12), (32, 20, 12)]),
):
    image = head(shape, corners)
    table = ants.label_geometry_measures(image)
    print(f"ANTsPy {ants.__version__}, image of {shape}:")
    for index, corner in enumerate(corners):
        truth = np.array(corner) + 1
        place = np.round(ants.transform_index_to_physical_point(image, truth), 1).tolist()
        voxel, physical = (
            np.round(ants.label_image_centroids(image, physical=asked)["vertices"][index], 1).tolist()
            for asked in (False, True)
        )
        measured = table.loc[index, ["Centroid_x", "Centroid_y", "Centroid_z"]].to_numpy(float).round(1).tolist()
        print(f"label {index + 1} at voxel {truth.tolist()}: centroid {voxel}")
        print(f"  at {place} mm: physical centroid {physical}, by label_geometry_measures {measured}")
        seen.append((truth.tolist(), voxel, physical == voxel, measured == place))
settle(
    seen
    == [
        ([6, 12, 18], [18, 12, 6], True, True),
        ([6, 21, 13], [19.7, 15.3, 7], True, True),
        ([33, 21, 13], [19.7, 23.3, 39.7], True, True),
    ]
)
PYTHON
