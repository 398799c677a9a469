#!/usr/bin/env bash
# MONAI 1.6.1: of an .nrrd whose space is written out, left-posterior-superior, it turns the geometry into RAS. The NRRD
# format has LPS as another spelling of it: then nothing is turned, and the head is rotated by half a turn about its
# long axis. left-anterior-superior (LAS) is not turned in either spelling: left is right. SimpleITK 2.5.7 reads all alike.
# Nothing is raised.
#
# A model that learnt sides finds the lesion on the wrong one.
#
#     bash findings/monai_takes_abbreviated_nrrd_spaces_for_ras.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" monai==1.6.1 torch==2.13.0 pynrrd==1.1.3 SimpleITK==2.5.7 numpy==2.2.6 pydicom==3.0.2
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import monai
import nrrd
import numpy as np
import SimpleITK
from monai.data import NrrdReader
from monai.transforms import LoadImage
from valid_dicom import settle

spaces = ("left-posterior-superior", "LPS", "right-anterior-superior", "RAS", "left-anterior-superior", "LAS")
voxels, voxel = np.zeros((6, 7, 8), np.int16), (5, 3, 2)
found = {}
for space in spaces:
    geometry = {"space": space, "space directions": np.diag([1, 1.5, 2]), "space origin": np.array([10, 20, 30])}
    nrrd.write("a.nrrd", voxels, geometry)
    right = np.array(SimpleITK.ReadImage("a.nrrd").TransformIndexToPhysicalPoint(voxel)) * [-1, -1, 1]
    affine = LoadImage(reader=NrrdReader(), image_only=True)("a.nrrd").affine.numpy()
    place = (affine @ [*voxel, 1])[:3]
    found[space] = bool(np.allclose(place, right))
    print(f"{space}: voxel {voxel} at RAS {place.tolist()} (MONAI {monai.__version__}), {right.tolist()} (SimpleITK)")
settle(list(found.values()) == [True, False, True, True, False, False])
PYTHON
