"""`Volume` as MONAI's `MetaTensor` and back; readers and writers for `LoadImage` and `SaveImage`.

Use LoadImaged(keys, reader=VolumeReader()) and SaveImaged(keys, writer=VolumeWriter).
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data.image_reader import ImageReader
from monai.data.image_writer import ImageWriter
from monai.data.meta_tensor import MetaTensor
from monai.utils.enums import SpaceKeys
from monai.utils.misc import ensure_tuple
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused, InputRefused, UsageError
from medtranslate.io import Meta, Volume, read_volume, write_volume
from medtranslate.modality import MODALITIES, Modality

PathLike = str | os.PathLike[str]


def to_metatensor(volume: Volume) -> MetaTensor:
    """Convert a volume to a tensor [1, X, Y, Z], whose meta has MONAI's keys and the known ones of `Meta`.

    The two share their memory, unless axes are flipped or the memory is read-only.
    """
    known = {part.name: getattr(volume.meta, part.name) for part in fields(Meta)}
    if volume.meta.path:
        known["path"] = str(volume.meta.path)
    meta: dict[str, Any] = {
        **{name: value for name, value in known.items() if value not in (None, ())},
        "warnings": list(volume.meta.warnings),
        "filename_or_obj": volume.where,
        "original_affine": volume.affine.copy(),
        "spatial_shape": np.array(volume.shape),
        "original_channel_dim": 0,
        "space": SpaceKeys.RAS,
    }
    values = volume.values
    if min(values.strides) < 0 or not values.flags.writeable:  # torch takes no such memory
        values = values.copy(order="K")
    return MetaTensor(
        torch.from_numpy(values[None]), affine=torch.from_numpy(volume.affine.copy()), meta=meta
    )


def from_metatensor(tensor: MetaTensor) -> Volume:
    """Convert a tensor [1, X, Y, Z] to a volume that shares its memory, with the keys of its meta in `Meta`.

    Raises:
        GeometryRefused: it has more than one channel, or other than three axes.
    """
    meta = {part.name: tensor.meta[part.name] for part in fields(Meta) if part.name in tensor.meta}
    if tensor.ndim != 4 or tensor.shape[0] != 1:
        raise GeometryRefused(
            f"{meta.get('path', 'volume')}: a volume has one channel and three axes,"
            f" not {tuple(tensor.shape)}"
        )
    if meta.get("modality") not in MODALITIES:  # other software's
        meta.pop("modality", None)
    if "path" in meta:
        meta["path"] = Path(meta["path"])
    for name in ("warnings", "identity", "files"):
        if name in meta:
            meta[name] = tuple(meta[name])
    return Volume(tensor.numpy(force=True)[0], np.asarray(tensor.affine, np.float64), Meta(**meta))


class VolumeReader(ImageReader):
    """Reads what `read_volume` reads, channel first.

    `LoadImage` swallows whatever `read` raises and tries MONAI's own readers, which misplace irregular
    series without a word. So `read` only passes the path on, and `get_data` reads and refuses.
    """

    def __init__(
        self, series: str | None = None, modality: Modality | None = None, select: str | None = None
    ) -> None:
        super().__init__()
        self.series, self.modality, self.select = series, modality, select

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[str]:
        return [os.fspath(path) for path in ensure_tuple(data)]

    def get_data(self, img: Sequence[str]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        if len(img) != 1:
            raise InputRefused(
                f"{img[0]} and {len(img) - 1} more: one volume is read at a time; give one path"
            )
        volume = read_volume(img[0], series=self.series, select=self.select, modality=self.modality)
        return volume.values[None], dict(to_metatensor(volume).meta)


class VolumeWriter(ImageWriter):
    """Writes what `write_volume` writes; the suffix decides the format.

    `SaveImage` hands on its own options: `overwrite` comes by `set_options(init_kwargs=...)`, resampling
    and scaling are refused since they would change positions or units. MONAI reports a refusal as a
    RuntimeError that quotes it.
    """

    def __init__(self, overwrite: bool = False, scale: int | None = None, **kwargs: Any) -> None:
        if scale is not None:
            raise UsageError(f"scale={scale} changes the units of the values; scale them before saving")
        super().__init__()
        self.overwrite = overwrite
        self.meta: Mapping[str, Any] = {}

    def set_data_array(self, data_array: torch.Tensor | NDArray[np.generic], **kwargs: Any) -> None:
        self.data_obj = data_array

    def set_metadata(
        self, meta_dict: Mapping[str, Any] | None, resample: bool = False, **kwargs: Any
    ) -> None:
        if resample:
            raise UsageError("resample=True changes the grid while saving; resample before saving")
        self.meta = meta_dict or {}

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        values = torch.as_tensor(self.data_obj)
        if "affine" not in self.meta:
            raise GeometryRefused(f"{filename}: the values come without an affine; save a MetaTensor")
        volume = from_metatensor(MetaTensor(values, meta=dict(self.meta)))
        write_volume(volume, os.fspath(filename), overwrite=self.overwrite)
