#!/usr/bin/env bash
# pydicom 3.0.2: `decompress` gives an image a new SOPInstanceUID, although no pixel changes, and so does a lossless
# `compress`. `generate_instance_uid=False` keeps it. GDCM 3.2.6 keeps it. The standard wants a new UID only if the
# change may affect the reading (PS3.3 C.7.6.1.1.2). Nothing is printed.
#
# A structure set, segmentation or report that was drawn on the series refers to none of its images any more, and an
# archive keeps both.
#
#     bash findings/pydicom_decompress_changes_the_uid.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" pydicom==3.0.2 python-gdcm==3.2.6 numpy==2.2.6
python - <<'PYTHON'
import gdcm
import numpy as np
from pydicom import dcmread
from pydicom.uid import RLELossless
from valid_dicom import save, series, settle, structures

heights = [3 * index for index in range(5)]
pixels = [np.arange(64, dtype="<i2").reshape(8, 8)] * 5
images = series("ct", [(0, 0, height) for height in heights], pixels)
square = np.array([(2.0, 2.0), (6.0, 2.0), (6.0, 6.0), (2.0, 6.0)])
regions = structures("rs/rs.dcm", images, [np.c_[square, np.full(4, height)] for height in heights])
drawn_on = {
    reference.ReferencedSOPInstanceUID
    for contour in regions.ROIContourSequence[0].ContourSequence
    for reference in contour.ContourImageSequence
}
for index, image in enumerate(images):
    image.compress(RLELossless, generate_instance_uid=False)
    save(image, f"ct/{index:03}.dcm")

found = {"pydicom": 0, "GDCM": 0}
for index in range(5):
    compressed = dcmread(f"ct/{index:03}.dcm")
    before = compressed.pixel_array.copy()
    compressed.decompress()
    assert np.array_equal(compressed.pixel_array, before)
    found["pydicom"] += compressed.SOPInstanceUID in drawn_on
    reader = gdcm.ImageReader()
    reader.SetFileName(f"ct/{index:03}.dcm")
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName("gdcm.dcm")
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    other = dcmread("gdcm.dcm")
    assert not other.file_meta.TransferSyntaxUID.is_compressed
    found["GDCM"] += other.SOPInstanceUID in drawn_on
print("images that the structure set finds, of 5 decompressed:", found)
settle(found == {"pydicom": 0, "GDCM": 5})
PYTHON
