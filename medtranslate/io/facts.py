"""Facts that a header alone tells of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtranslate.errors import Unreadable
from medtranslate.io.volume import Meta, Volume
from medtranslate.io.voxels import Body, read_body


@dataclass(frozen=True)
class Facts:
    """Facts of one volume, before its voxels are read.

    Attributes:
        shape: lengths of the array's axes [X, Y, Z], within the bounds.
        affine: array index to RAS+ mm, [4, 4].
        dtype: the numbers' type in the file.
        body: where the voxels lie.
        notes: sentences on what was missing or changed.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    dtype: np.dtype[np.generic]
    body: Body
    notes: list[str]
    synthetic: bool = False

    def read(self, nan_to: float | None = None) -> Volume:
        """Read the voxels.

        Args:
            nan_to: value for voxels that are NaN; None refuses them.

        Raises:
            Unreadable: damaged, too short or too long, or a voxel is not finite.
        """
        values, replaced = read_body(self.body, self.shape, nan_to)
        notes = list(self.notes)
        if replaced:
            notes.append(f"{replaced} voxels ({replaced / values.size:.1%}) were NaN and became {nan_to:g}")
        meta = Meta(stored=self.dtype.name, warnings=tuple(notes), synthetic=self.synthetic)
        return Volume(values, self.affine, meta)


def choose_volume(count: int, wanted: int | None, where: str, notes: list[str]) -> int:
    """Index, from 0, of the volume to take of a file that holds `count`.

    Args:
        wanted: its number, from 1, as `--volume` names it; None for the only one.
        where: what the message names, such as the file.
        notes: gets a sentence where one of several is taken.

    Raises:
        Unreadable: there are several and none is named, or there is none of this number.
    """
    if wanted is None and count > 1:
        raise Unreadable(
            f"{where}: holds {count} volumes; take one with --volume N (of translate or convert)"
        )
    if wanted is not None and not 1 <= wanted <= count:
        raise Unreadable(f"{where}: has no volume {wanted}; it holds {count}, counted from 1")
    if count > 1:
        notes.append(f"volume {wanted} of {count}")
    return (wanted or 1) - 1
