#!/usr/bin/env bash
# med-imagetools 2.16.0 (`RTStructureSet`) and platipy 0.7.2 (`process_dicom_directory`) give the contours of a region
# the name of another. The name of a region is in the Structure Set ROI Sequence, its contours are in the ROI Contour
# Sequence, and a number joins both: Referenced ROI Number is that of the former's ROI Number (PS3.3 C.8.8.6). DICOM
# asks for no order, and not for an item of contours for each region. Both tools take the k-th contours for the k-th
# name. So where the order differs, tumour and cord are exchanged. Where a region without contours is left out, each
# region behind it gets the contours of the next: platipy loses the last with a warning of missing contours, and
# med-imagetools stops with an IndexError. In the exchanged file nothing is raised or printed.
#
# platipy's own `convert_rtstruct`, rt-utils 1.2.7 and plastimatch 1.10.0 go by the number. Pull request 143 of platipy
# mended `convert_rtstruct` alone; by it, RayStation leaves empty regions out. Issue 147 of med-imagetools warns of a
# mismatch and is closed. The docstring of a private method, `_get_roi_points`, says that the order is assumed.
#
# The dose to the cord is then reported for the tumour, and a network learns the wrong organ.
#
#     bash findings/structures_take_each_others_names.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" med-imagetools==2.16.0 plastimatch==1.10.0 rt-utils==1.2.7 SimpleITK==2.5.7 \
    pydicom==3.0.2 numpy==2.2.6
python -m venv reader  # platipy cannot be used with pydicom 3
reader/bin/pip install --quiet --no-compile --disable-pip-version-check \
    pydicom==2.4.5 SimpleITK==2.5.7 scikit-image==0.24.0 numpy==1.26.4
reader/bin/pip install --quiet --no-compile --disable-pip-version-check --no-deps platipy==0.7.2
python - <<'PYTHON'
import subprocess
from pathlib import Path

import numpy as np
import SimpleITK
from imgtools.coretypes import RTStructureSet, Scan
from imgtools.coretypes.masktypes.roi_matching import ROIMatcher
from rt_utils import RTStructBuilder
from valid_dicom import item, save, series, settle, structures

heights = [3 * index for index in range(10)]
square = np.array([(-5.3, -5.3), (5.3, -5.3), (5.3, 5.3), (-5.3, 5.3)])
places = {"Tumour": -15, "Cord": 15}  # x of their centres, in mm


def write(folder, regions, drawn):
    """Write a CT and a structure set: names of regions, and of those that have contours, both in the file's order."""
    images = series(f"{folder}/ct", [(-30, -30, z) for z in heights], [np.zeros((60, 60), "<i2")] * len(heights))
    for image, path in zip(images, sorted(Path(folder, "ct").iterdir())):
        image.ProtocolName = "HEAD"  # optional; platipy says so where it is not there
        save(image, path)
    made, number = None, {name: index + 1 for index, name in enumerate(regions)}
    names, contours, observations = [], {}, []
    for name in regions:
        moved = square + [places.get(name, 0), 0]
        made = structures(f"{folder}/rs/rs.dcm", images, [np.c_[moved, np.full(4, z)] for z in heights[2:5]])
        region, drawing, observation = (
            made.StructureSetROISequence[0],
            made.ROIContourSequence[0],
            made.RTROIObservationsSequence[0],
        )
        region.ROIName = name
        region.ROINumber = drawing.ReferencedROINumber = observation.ReferencedROINumber = number[name]
        observation.ObservationNumber = number[name]
        names.append(region)
        contours[name] = drawing
        observations.append(observation)
    made.StructureSetROISequence, made.RTROIObservationsSequence = names, observations
    made.ROIContourSequence = [contours[name] for name in drawn]
    save(made, f"{folder}/rs/rs.dcm")


def centre(mask):
    """Return the x of a mask's centre: an image, or an array of z, y, x."""
    voxels = mask if isinstance(mask, np.ndarray) else SimpleITK.GetArrayFromImage(mask)
    return round(float(np.argwhere(voxels)[:, 2].mean()) - 30)


def med_imagetools(folder):
    """Read by med-imagetools."""
    try:
        regions = RTStructureSet.from_dicom(f"{folder}/rs/rs.dcm")
    except IndexError:
        return "IndexError"
    matcher = ROIMatcher(match_map={name: [name] for name in places})
    masks = regions.get_vector_mask(Scan.from_dicom(f"{folder}/ct"), matcher)
    return {name: centre(mask) for _, name, _, _, mask in masks.iter_masks()}


def platipy(folder, call, pattern):
    """Read by a function of platipy; return the regions and what it said."""
    done = subprocess.run(["reader/bin/python", "-c", call.format(folder)], check=True, capture_output=True, text=True)
    found = {}
    for name in places:
        for path in Path(folder).glob(pattern.format(name=name, upper=name.upper())):
            found[name] = centre(SimpleITK.ReadImage(path))
    return found, done.stderr.strip()


def rt_utils(folder):
    """Read by rt-utils."""
    regions = RTStructBuilder.create_from(f"{folder}/ct", f"{folder}/rs/rs.dcm")
    return {name: centre(regions.get_roi_mask_by_name(name).transpose(2, 0, 1)) for name in places}


def plastimatch(folder):
    """Read by plastimatch."""
    command = ["plastimatch", "convert", "--input", f"{folder}/rs/rs.dcm", "--referenced-ct", f"{folder}/ct"]
    command += ["--output-prefix", f"{folder}/p", "--prefix-format", "nrrd"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {name: centre(SimpleITK.ReadImage(f"{folder}/p/{name}.nrrd")) for name in places}


directory = "from platipy.dicom.io.crawl import process_dicom_directory as f; f({0!r}, output_directory={0!r} + '/d')"
convert = "from platipy.dicom.io.rtstruct_to_nifti import convert_rtstruct as f\n"
convert += "f({0!r} + '/ct', {0!r} + '/rs/rs.dcm', output_dir={0!r}, prefix='c_')"
cases = {
    "same": (["Tumour", "Cord"], ["Tumour", "Cord"]),
    "exchanged": (["Tumour", "Cord"], ["Cord", "Tumour"]),
    "left_out": (["Lens", "Tumour", "Cord"], ["Tumour", "Cord"]),
}
found = {}
for case, (regions, drawn) in cases.items():
    write(case, regions, drawn)
    print(f"names {regions}, contours {drawn}; x in mm, where it is {places}")
    found[case, "platipy's directory"] = platipy(case, directory, "d/*/STRUCTURES/*_{upper}.nii.gz")
    found[case, "platipy's convert_rtstruct"] = platipy(case, convert, "c_{name}.nii.gz")
    found[case, "med-imagetools"] = med_imagetools(case)
    found[case, "rt-utils"] = rt_utils(case)
    found[case, "plastimatch"] = plastimatch(case)
    for (_, tool), seen in [entry for entry in found.items() if entry[0][0] == case]:
        print(f"  {tool}: {seen}")

exchanged = {"Tumour": 15, "Cord": -15}
warning = "Contour sequence is missing, skipping."
expected = {}
for case in cases:
    expected[case, "platipy's convert_rtstruct"] = (places, "")
    expected[case, "rt-utils"] = expected[case, "plastimatch"] = places
expected["same", "platipy's directory"] = (places, "")
expected["same", "med-imagetools"] = places
expected["exchanged", "platipy's directory"] = (exchanged, "")
expected["exchanged", "med-imagetools"] = exchanged
expected["left_out", "platipy's directory"] = ({"Tumour": 15}, warning)
expected["left_out", "med-imagetools"] = "IndexError"
settle(found == expected)
PYTHON
