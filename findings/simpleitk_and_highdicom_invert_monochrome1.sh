#!/usr/bin/env bash
# MONOCHROME1 says that the least value is to be shown white; it changes no value (PS3.3 C.7.6.3.1.2), and CT and MR may
# have it. SimpleITK 2.5.7 (GDCM), and `get_volume_from_series` of highdicom 0.28.2 unless `apply_presentation_lut=False`,
# invert the stored values, to 2^BitsStored - 1 - value, or -1 - value if they are signed, and then apply slope and
# intercept. So a CT is no longer in HU: -924 reads 2971. Nothing is raised. dcm2niix 1.0.20260724, dicom2nifti 2.6.2 and
# pydicom 3.0.2 keep the values.
#
# Air becomes dense bone. TorchIO, ANTs and MONAI's ITKReader use the same reader as SimpleITK.
#
#     bash findings/simpleitk_and_highdicom_invert_monochrome1.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 dcm2niix==1.0.20260724 dicom2nifti==2.6.2 highdicom==0.28.2 \
    nibabel==5.4.2 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import subprocess
from pathlib import Path

import dicom2nifti
import highdicom
import nibabel
import numpy as np
import SimpleITK
from pydicom import dcmread
from pydicom.pixels import apply_rescale
from valid_dicom import series, settle


def first(path: Path | str) -> float:
    return round(float(np.asanyarray(nibabel.load(path).dataobj)[0, 0, 0]))


found = {}
for name, bits, kind in ("unsigned, 12 bits", 12, "<u2"), ("signed, 16 bits", 16, "<i2"):
    folder = Path(name.split(",")[0])
    signed = int(kind == "<i2")
    images = series(
        folder,
        [[0, 0, 3 * index] for index in range(5)],
        [np.full((8, 8), 100, kind)] * 5,
        bits=bits,
        PhotometricInterpretation="MONOCHROME1",
        PixelRepresentation=signed,
        RescaleIntercept="-1024",
    )
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(sorted(map(str, folder.iterdir())))
    values = {"SimpleITK": reader.Execute()[0, 0, 0]}
    subprocess.run(["dcm2niix", "-f", folder.name, "-o", ".", folder], check=True, stdout=subprocess.DEVNULL)
    values["dcm2niix"] = first(f"{folder}.nii")
    dicom2nifti.dicom_series_to_nifti(folder, f"{folder}_2.nii")
    values["dicom2nifti"] = first(f"{folder}_2.nii")
    for tool, choice in ("highdicom", {}), ("highdicom without LUT", {"apply_presentation_lut": False}):
        volume = highdicom.get_volume_from_series(images, **choice)
        values[tool] = round(float(volume.array[0, 0, 0]))
    image = dcmread(folder / "000.dcm")
    values["pydicom"] = round(float(apply_rescale(image.pixel_array, image)[0, 0]))
    found[name] = values
    print(f"stored 100 ({name}), -924 HU:", ", ".join(f"{tool} {value}" for tool, value in values.items()))
expected = {}
for name, inverted in ("unsigned, 12 bits", 4095 - 100), ("signed, 16 bits", -1 - 100):
    kept = dict.fromkeys(["dcm2niix", "dicom2nifti", "highdicom without LUT", "pydicom"], 100 - 1024)
    expected[name] = kept | dict.fromkeys(["SimpleITK", "highdicom"], inverted - 1024)
settle(found == expected)
PYTHON
