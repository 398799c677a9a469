"""Translate arrays, nibabel images and MONAI tensors with a model that is loaded once.

python examples/many_arrays.py first.nii.gz second.nii.gz
"""

import sys

import nibabel as nib
import numpy as np

import medtranslate as mt

translator = mt.load("phantom", to="ct")
for path in sys.argv[1:]:
    image = nib.load(path)
    from_nibabel = mt.translate(image, to="ct", model=translator)
    array = image.get_fdata(dtype=np.float32)
    from_array = mt.translate(array, affine=image.affine, to="ct", model=translator)
    assert np.array_equal(from_nibabel.volume.values, from_array.volume.values)

    values, spacing = from_array.volume.values, from_array.volume.spacing
    air = (values == values.min()).mean()
    print(f"{path}: {values.shape} voxels of {spacing} mm, {air:.0%} air")
