#!/usr/bin/env bash
# dicom-csv 0.5.1, `stack_images` and `get_image`: RescaleSlope and RescaleIntercept are put into the smallest number
# type that can hold them, before they meet the stored values. Nothing is raised or printed. What comes of it:
#
# - A slope with a fraction has 16 bits, so 11 binary digits, and fewer below 0.00006. An ADC map whose slope is
#   0.000001 is 1.3 % too high everywhere. With 0.00000001, as in cm2/s, all of it is 0.
# - A whole slope or intercept has 8 or 16 bits, and pixels of 16 bits mostly stay so and wrap. 4000 * 20 reads 14464.
#   Padding of -32768 with an intercept of -1024 becomes 31744 HU, far above any bone. Unsigned CT with -1024 is right.
# - An intercept of -1024.5 is -1024.
#
# The README loads a series by `stack_images(order_series(images))`, and has no word on number types. By a comment in
# the code, this spares casts. pydicom 3.0.2 (`apply_modality_lut`) scales in 64 bits. No issue on it was found.
#
# Maps are off by a percent or empty, and a network learns from a head that lies in air brighter than bone.
#
#     bash findings/dicom_csv_scales_in_the_smallest_type.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dicom-csv==0.5.1 pydicom==3.0.2 numpy==2.2.6
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
from importlib.metadata import version
from pathlib import Path

import numpy as np
from dicom_csv import order_series, stack_images
from pydicom import dcmread
from pydicom.pixels import apply_modality_lut
from valid_dicom import series, settle

ADC = {"modality": "MR", "ImageType": ["DERIVED", "PRIMARY", "ADC"]}
cases = {  # type and values of the pixels, slope, intercept
    "ADC map, mm2/s": ("<u2", (0, 700, 3000), "0.000001", "0", ADC),
    "ADC map, cm2/s": ("<u2", (0, 700, 3000), "0.00000001", "0", ADC),
    "MR, whole slope": ("<u2", (0, 3000, 4000), "20", "0", {"modality": "MR"}),
    "MR, a fraction": ("<u2", (0, 3000, 4000), "20.003", "0", {"modality": "MR"}),
    "CT with padding": ("<i2", (-32768, 1064, 2500), "1", "-1024", {"PixelPaddingValue": -32768}),
    "CT, a half": ("<u2", (0, 1064, 2500), "1", "-1024.5", {}),
    "CT, unsigned": ("<u2", (0, 1064, 2500), "1", "-1024", {}),
}
print(f"dicom-csv {version('dicom-csv')}, pydicom {version('pydicom')}:")
seen = {}
for name, (kind, stored, slope, intercept, attributes) in cases.items():
    pixels = np.broadcast_to(np.array(stored, kind), (4, 3))
    scale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    series(name, [(0, 0, 3 * k) for k in range(3)], [pixels] * 3, **scale, **attributes)
    files = [dcmread(path) for path in sorted(Path(name).iterdir())]
    volume = stack_images(order_series(files))
    true = apply_modality_lut(files[0].pixel_array, files[0])[0]
    assert volume.shape == (4, 3, 3) and (volume == volume[:1, :, :1]).all()
    assert np.allclose(true, np.array(stored) * float(slope) + float(intercept), rtol=1e-12)
    seen[name] = volume.dtype.name, [float(f"{value:.5g}") for value in volume[0, :, 0]]
    print(f"  {name} ({slope} * {pixels.dtype.name} {list(stored)} + {intercept}):", end=" ")
    print(f"{seen[name][1]}, {seen[name][0]}; pydicom {[float(f'{value:.5g}') for value in true]}")
said = Path("errors.txt").read_text()
print(f"errors and warnings: {said!r}")
settle(
    not said
    and seen
    == {
        "ADC map, mm2/s": ("float32", [0, 0.0007093, 0.0030398]),
        "ADC map, cm2/s": ("float32", [0, 0, 0]),
        "MR, whole slope": ("uint16", [0, 60000, 14464]),
        "MR, a fraction": ("float32", [0, 60000, 80000]),
        "CT with padding": ("int16", [31744, 40, 1476]),
        "CT, a half": ("float32", [-1024, 40, 1476]),
        "CT, unsigned": ("int32", [-1024, 40, 1476]),
    }
)
PYTHON
