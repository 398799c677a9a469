"""A file's first bytes, and formats that are known by them and not read, with what converts them."""

from __future__ import annotations

import re
from pathlib import Path

from medtranslate.errors import Unreadable
from medtranslate.io import png
from medtranslate.io.inflate import open_plain_or_gzipped, refusing_damage

_HEAD_BYTES = 540
"""Enough for the header of a NIfTI-2."""

_MAGIC = {
    b"CDF\x01": "MINC 1; convert it with mnc2nii",
    b"\x89HDF\r\n\x1a\n": "HDF5, as MINC 2 is; convert it with mnc2nii, or by nibabel with h5py",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; inflate it with `zstd -d`",
    b"BZh": "compressed by bzip2; inflate it with bunzip2",
    b"\xfd7zXZ\x00": "compressed by xz; inflate it with `xz -d`",
    b"II*\x00": "TIFF; convert it to PNG, or to NIfTI where it holds a volume",
    b"MM\x00*": "TIFF; convert it to PNG, or to NIfTI where it holds a volume",
    b"# === DATA DESCRIPTION FILE": "Philips PAR/REC; convert it with dcm2niix",
}
_AFNI = re.compile(rb"\s*type\s*=\s*(string|integer|float)-attribute", re.IGNORECASE)
_ANALYZE_BYTES = 348


def head_of(path: Path) -> bytes:
    """Read the first bytes of a file, inflated if it is gzipped; nothing if it can't be read."""
    try:
        with refusing_damage(path), open_plain_or_gzipped(path) as file:
            return file.read(_HEAD_BYTES)
    except Unreadable:
        return b""


def describe(path: Path) -> str:
    """Describe a file that no reader takes, and what to do."""
    head = head_of(path)
    if not head:
        return "empty or damaged file; copy or export it again"
    header = path.with_name(re.sub(r"\.img(\.gz)?$", r".hdr\1", path.name, flags=re.IGNORECASE))
    if header != path and header.is_file():
        return f"the voxels of a pair; name {header.name}"
    if png.is_preview(head):
        return "a preview that medtranslate drew of a volume, not an image; give the volume"
    if foreign := foreign_name(head):
        return f"is {foreign}"
    text = all(byte in b"\t\n\r" or byte >= 32 for byte in head)
    found = "text, not an image" if text else f"no known image format (first bytes {head[:4].hex()})"
    return f"{found}; give DICOM, NIfTI, MetaImage, NRRD, MGH, PNG or JPEG"


def foreign_name(head: bytes) -> str:
    """Name the format of a file that (inflated) starts with `head`, and a converter; "" if unknown."""
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
