#!/usr/bin/env bash
# MONAI 1.6.1, PydicomReader: slices are sorted by InstanceNumber and then given evenly spaced positions from the first
# to the last. InstanceNumber identifies an image and is no order in space (PS3.3 C.7.6.1): interleaved MR may be numbered as it was acquired, 1 3 5 2 4 6. Such a head comes back with its slices in the wrong places,
# with the right shape, origin and spacing, and without a warning. Readers of GDCM (SimpleITK) sort by position.
#
# Training, translation and segmentation all run on the mixed head.
#
#     bash findings/monai_pydicomreader_stacks_by_instance_number.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" monai==1.6.1 torch==2.13.0 pydicom==3.0.2 SimpleITK==2.5.7 numpy==2.2.6
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import monai
import numpy as np
import SimpleITK
from monai.data import PydicomReader
from monai.transforms import LoadImage
from valid_dicom import series, settle

heights = [3 * index for index in range(6)]
pixels = [np.full((8, 8), height, "<i2") for height in heights]  # each voxel has its z in mm as its value
acquired = [{"InstanceNumber": number} for number in (1, 4, 2, 5, 3, 6)]  # odd slices first
series("mr", [(0, 0, height) for height in heights], pixels, modality="MR", each=acquired)

image = LoadImage(reader=PydicomReader(), image_only=True)("mr")
claimed = [float((image.affine @ image.affine.new_tensor([0, 0, index, 1]))[2]) for index in range(6)]
values = [float(value) for value in image[4, 4]]
oracle = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames("mr"))
print(f"MONAI {monai.__version__}: places of the slices by its affine {claimed}, their true z {values}")
print(f"SimpleITK: true z {[oracle[4, 4, index] for index in range(6)]}")
settle(claimed == heights and values == [0, 6, 12, 3, 9, 15])
PYTHON
