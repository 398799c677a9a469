"""Joins the parts of DICOM to a format."""

from __future__ import annotations

from medtranslate.io import dicom_files, dicom_read, dicom_write
from medtranslate.io.interface import Format

FORMAT = Format(
    dicom_files.recognise,
    dicom_read.read,
    dicom_write.write,
    ("",),
    folder_from=1,
    right_angled=True,
)
