"""Formats that are known by their first bytes and not read, and what turns them into one that is."""

from __future__ import annotations

import re

_MAGIC = {
    b"CDF\x01": "MINC 1; convert it with mnc2nii",
    b"\x89HDF\r\n\x1a\n": "HDF5, as MINC 2 is; convert it with mnc2nii, or by nibabel with h5py",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; inflate it with `zstd -d`",
    b"BZh": "compressed by bzip2; inflate it with bunzip2",
    b"\xfd7zXZ\x00": "compressed by xz; inflate it with `xz -d`",
    b"II*\x00": "TIFF; convert it to PNG, or to NIfTI where it holds a volume",
    b"MM\x00*": "TIFF; convert it to PNG, or to NIfTI where it holds a volume",
    b"BM": "BMP; convert it to PNG",
    b"PK\x03\x04": "a .zip without DICOM in it; unpack it",
    b"# === DATA DESCRIPTION FILE": "Philips PAR/REC; convert it with dcm2niix",
}
_AFNI = re.compile(rb"\s*type\s*=\s*(string|integer|float)-attribute", re.IGNORECASE)
_ANALYZE_BYTES = 348


def name_foreign(head: bytes) -> str:
    """The format of a file that (once inflated) starts with `head` and how to convert it; "" if unknown."""
    if name := next((name for magic, name in _MAGIC.items() if head.startswith(magic)), ""):
        return name
    if _AFNI.match(head):
        return "AFNI; convert it with 3dAFNItoNIFTI"
    # An Analyze header begins with its own length; readers disagree on where left is in its voxels.
    if len(head) >= _ANALYZE_BYTES and _ANALYZE_BYTES in (
        int.from_bytes(head[:4], "little"),
        int.from_bytes(head[:4], "big"),
    ):
        return "Analyze 7.5, which does not say where left is; convert it with what wrote it, such as SPM"
    return ""
