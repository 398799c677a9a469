"""The volume that every room passes on: voxels in physical units, their place, and facts about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from medtranslate.errors import GeometryRefused
from medtranslate.geometry import Floats, SliceGeometry, require_grid, spacing
from medtranslate.modality import Modality
from medtranslate.records import Source


@dataclass(frozen=True)
class Meta:
    """Facts that travel with a volume; never a patient's header.

    Attributes:
        modality: "ct" or "mr", where known.
        format: a key of `FORMATS`.
        path: the file or folder that was read.
        digest: SHA-256 of values and geometry as they were read.
        warnings: sentences for the user.
        series: SeriesInstanceUID (DICOM only).
        description: SeriesDescription, if all its words are terms of acquisitions (DICOM only).
        select: acquisition that was taken of a DICOM series, such as "echo=2".
        measures: sentence on what the values are, where a DICOM header says neither HU nor MR signal.
        identity: sentences on invalid identifiers of a DICOM source; names of attributes only.
        no_source: sentence on why no DICOM file can be derived from a DICOM source.
        slices: geometry of a DICOM series that is no regular grid; the affine is then nominal.
        stored: type of the numbers in the file, such as "int16" (not DICOM).
        levels: largest grey value, 255 or 65535 (pictures only).
        hu: slope and offset from grey values to HU (pictures of CT only, where the user gives them).
        files: names of the pictures, slice by slice (stacks of pictures only).
        study: name that the volumes of one phantom study share (phantoms only).
        synthetic: the file says that the image was made of another, by a model.
    """

    modality: Modality | None = None
    format: str | None = None
    path: Path | None = None
    digest: str | None = None
    warnings: tuple[str, ...] = ()
    series: str | None = None
    description: str | None = None
    select: str | None = None
    measures: str | None = None
    identity: tuple[str, ...] = ()
    no_source: str | None = None
    slices: SliceGeometry | None = None
    stored: str | None = None
    levels: int | None = None
    hu: tuple[float, float] | None = None
    files: tuple[str, ...] = ()
    study: str | None = None
    synthetic: bool = False


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels and their place.

    Attributes:
        values: [X, Y, Z] float32, in HU (CT) or arbitrary units (MR); grey values for pictures. Readers
            give slices that lie contiguous in memory, so the array is a transposed view. The memory may be
            shared, so make other values with `with_values`.
        affine: [4, 4] float64, array index to RAS+ mm; a copy that cannot be written to.
        meta: further facts.

    Raises:
        GeometryRefused: `values` has other than three axes, or `affine` is not 4 x 4.
    """

    values: NDArray[np.float32]
    affine: Floats
    meta: Meta = field(default_factory=Meta)

    def __post_init__(self) -> None:
        affine = np.array(self.affine, np.float64)
        affine.flags.writeable = False
        object.__setattr__(self, "values", np.asarray(self.values, np.float32))
        object.__setattr__(self, "affine", affine)
        if self.values.ndim != 3 or self.affine.shape != (4, 4):
            raise GeometryRefused(
                f"{self.where}: a volume has three axes and an affine of 4 x 4, not {self.values.shape}"
                f" and {self.affine.shape}"
            )

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[np.generic]:
        """Give the values to numpy, so that its functions take a volume."""
        return np.array(self.values, dtype, copy=copy)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Lengths of the axes X, Y, Z."""
        columns, rows, slices = self.values.shape
        return columns, rows, slices

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along the axes."""
        first, second, third = (float(length) for length in spacing(self.affine))
        return first, second, third

    @property
    def is_picture(self) -> bool:
        """True for grey values of a PNG or JPEG, which have neither units nor a trustworthy place."""
        return self.meta.levels is not None

    @property
    def name(self) -> str:
        """Name of the file that was read, for messages."""
        return self.meta.path.name if self.meta.path else "in memory"

    @property
    def where(self) -> str:
        """Path that was read, for messages."""
        return str(self.meta.path or "volume")

    def with_values(self, values: ArrayLike, **meta: Any) -> Volume:
        """Other values on the same grid, and changes of `meta`."""
        return Volume(np.asarray(values, np.float32), self.affine, replace(self.meta, **meta))

    def with_meta(self, **meta: Any) -> Volume:
        """Change facts of `meta`; the voxels stay."""
        return replace(self, meta=replace(self.meta, **meta))

    def require_grid(self, what: str | None = None) -> None:
        """Refuse slices that are tilted or uneven, where a regular grid is needed.

        Args:
            what: the name in the message (default: the path that was read).

        Raises:
            GeometryRefused: the slices are tilted or uneven.
        """
        require_grid(self.meta.slices, what or self.where)

    def source(self) -> Source:
        """Describe the volume for a record."""
        return Source(
            digest=self.meta.digest,
            format=self.meta.format,
            modality=self.meta.modality,
            shape=self.shape,
            spacing_mm=self.spacing,
            affine=tuple(tuple(row) for row in self.affine.tolist()),
            description=self.meta.description,
        )
