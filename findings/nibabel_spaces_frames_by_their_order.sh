#!/usr/bin/env bash
# nibabel 5.4.2, `nibabel.nicom.dicomwrappers.wrapper_from_file` of an enhanced MR: the slices come in the order of
# their positions, but their distance depends on the order of the frames in the file, which PS3.3 leaves open. Of slices
# 3 mm apart, stored as 1 3 5 2 4 6, the affine has a distance of 12 mm. Stored as 2 4 6 1 3 5, it has 9 mm in the
# opposite direction: the head is upside down. With two echoes, slice by slice, all slices lie in one place. Nothing is
# raised or printed about the file. On import, nibabel.nicom warns that its readers are experimental. nibabel 5.2.1 has
# 3 mm for each of these files, and 5.3.0 has the distances of 5.4.2. dcmstack 0.9.0 makes a NIfTI of the first two with
# the same distances, and refuses the third. dcm2niix 1.0.20260724 reads all of them rightly.
#
# Many scanners take every second slice first. A head whose frames are stored in that order becomes four times as long,
# or stands on its head, while each slice looks right.
#
#     bash findings/nibabel_spaces_frames_by_their_order.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" nibabel==5.4.2 dcmstack==0.9.0 dcm2niix==1.0.20260724 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import subprocess
import warnings
from pathlib import Path

import nibabel
import numpy as np
from dcmstack import DicomStack
from nibabel.nicom.dicomwrappers import wrapper_from_file
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from valid_dicom import enhanced, item, save, settle


def stored(path, slices, echoes):
    """Write slices 3 mm apart, in this order of the frames, each with its z in mm as its values."""
    positions = [(0, 0, 3 * index) for index in slices]
    pixels = [np.full((8, 8), 3 * index, "<i2") for index in slices]
    numbers = [index + 1 for index in slices]
    made = enhanced(path, positions, pixels, thickness=3, in_stack=numbers)
    made.DimensionIndexSequence.append(
        item(
            DimensionOrganizationUID=made.DimensionOrganizationSequence[0].DimensionOrganizationUID,
            DimensionIndexPointer=tag_for_keyword("EffectiveEchoTime"),
            FunctionalGroupPointer=tag_for_keyword("MREchoSequence"),
        )
    )
    for frame, number, echo in zip(made.PerFrameFunctionalGroupsSequence, numbers, echoes, strict=True):
        frame.FrameContentSequence[0].DimensionIndexValues = [1, number, echo]
        frame.MREchoSequence = [item(EffectiveEchoTime=40.0 * echo)]
    save(made, path)


def off(voxels, affine):
    """Return how many mm a slice lies at most from the z that its voxels have as their value."""
    values = np.asarray(voxels)[0, 0].reshape(voxels.shape[2], -1)[:, 0]
    return float(np.abs(affine[2, 2] * np.arange(len(values)) + affine[2, 3] - values).max())


def stacked(path):
    """Return how many mm a slice lies off at most in the NIfTI of dcmstack, if it makes one."""
    stack = DicomStack()
    try:
        stack.add_dcm(dcmread(path))
        image = stack.to_nifti()
    except nibabel.spatialimages.HeaderDataError:
        return None
    return off(image.dataobj, image.affine)


found = {}
for name, slices, echoes in (
    ("1 2 3 4 5 6", (0, 1, 2, 3, 4, 5), (1,) * 6),
    ("1 3 5 2 4 6", (0, 2, 4, 1, 3, 5), (1,) * 6),
    ("2 4 6 1 3 5", (1, 3, 5, 0, 2, 4), (1,) * 6),
    ("1 1 2 2 3 3, two echoes", (0, 0, 1, 1, 2, 2), (1, 2) * 3),
):
    folder = Path(name.replace(" ", ""))
    stored(folder / "a.dcm", slices, echoes)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read = wrapper_from_file(folder / "a.dcm")
        image, distance = off(read.get_data(), read.affine), read.voxel_sizes[2]
    nifti = stacked(folder / "a.dcm")
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-f", "a", folder], **quiet)
    others = [nibabel.load(path) for path in sorted(folder.glob("*.nii"))]
    right = max(off(other.dataobj, other.affine) for other in others)
    found[name] = distance, image, nifti, right, len(said)
    made = "refuses" if nifti is None else f"{nifti:g} mm off"
    print(f"{name}: nibabel {distance:g} mm apart, {image:g} mm off; dcmstack {made}; dcm2niix {right:g} mm off")
settle(
    found
    == {
        "1 2 3 4 5 6": (3, 0, 0, 0, 0),
        "1 3 5 2 4 6": (12, 45, 45, 0, 0),
        "2 4 6 1 3 5": (-9, 60, 60, 0, 0),
        "1 1 2 2 3 3, two echoes": (0, 6, None, 0, 0),
    }
)
PYTHON
