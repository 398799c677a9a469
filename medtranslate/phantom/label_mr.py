"""The real MR of a label map: a truth for the generator of MR that no painted one can be.

It has the noise, shading and partial volume of a scanner, and details that no map has. The CT of its cuts is
painted; the MR tells fat from muscle there, and diploe from cortical bone. What the MR does not show is not
added: no lesions, no atrophy, no thicker bone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.errors import InputRefused
from medtranslate.io import list_volumes, read_volume
from medtranslate.io.layout import to_axial
from medtranslate.phantom.ct_map import LOWEST_HU
from medtranslate.phantom.label_maps import DEPTHS, PARTS, LabelMap, read_label_map
from medtranslate.phantom.tissues import LABEL, TISSUES, Floats
from medtranslate.phantom.told import TOLD, brightness, nearest_contrast, nominal_brightness
from medtranslate.records.places import stem_of

FOLDER = "mr"
"""Folder beside the maps with the MR of some of them, each by the name of its map."""

_SAME_MM = 0.01
"""Largest difference of the affines of a map and its MR; formats round them."""

_LARGEST = 1000.0
_BRIGHTEST = 99.0
"""Percentile of the MR in the head that becomes the brightest tissue."""

_AIR_MM = 3.0
"""Signal in the air is tissue beyond the map where it reaches further than this in all directions."""

_INNER, _DEEPEST = 100, 3
"""Least voxels of a tissue that are measured, and the most layers at its edge that are left out."""

_SPLIT = {"soft tissue": ("muscle", "fat"), "skull": ("cortical bone", "diploe")}
"""The darker and the brighter tissue of a part."""


def read_labelled_head(path: Path) -> LabelMap:
    """Read a label map, and the MR of the same head if there is one.

    Args:
        path: of the map. Its MR has its name in the folder `FOLDER` beside it, in any format of volumes.

    Raises:
        InputRefused: one of them cannot be read, the MR has another grid than the map, or the map is a CT.
        SettingsError: the map has no table.
    """
    folder = path.parent / FOLDER
    found = list_volumes(folder) if folder.is_dir() else []
    beside = next((file for file in found if stem_of(file) == stem_of(path)), None)
    if beside is None:
        return read_label_map(path)
    mr, labels = read_volume(beside), read_volume(path)
    if mr.shape != labels.shape or not np.allclose(mr.affine, labels.affine, atol=_SAME_MM):
        raise InputRefused(
            f"{beside}: its {mr.shape} voxels do not lie where the {labels.shape} of its map {path} do (shape"
            " and affine are to be equal); resample the map onto the MR"
        )
    if labels.values.min() < LOWEST_HU:
        raise InputRefused(f"{beside}: lies beside a CT, and no MR is learnt from there; move it elsewhere")
    # What is added to a face would not be in its MR.
    head = read_label_map(path, face=False)
    # From LPS to RAS order.
    return with_mr(head, to_axial(mr).values[::-1, ::-1])


def with_mr(head: LabelMap, values: Floats) -> LabelMap:
    """Give a map the MR of the same head, and the tissues that this shows.

    Args:
        values: [X, Y, Z] in RAS order, on the map's voxels, in any unit; air is darkest.
    """
    kinds = head.codes // DEPTHS
    scale = _LARGEST / max(float(np.percentile(values[kinds > 0], _BRIGHTEST)), 1e-6)
    mr = (values.clip(0) * scale).astype(np.float32)
    kinds = _seen(kinds, mr, head.spacing)
    return replace(
        head,
        codes=kinds.astype(np.uint16) * DEPTHS,
        beneath=np.full(kinds.shape, DEPTHS - 1, np.uint8),
        mr=mr,
        told=_told(kinds, mr),
    )


def _seen(kinds: NDArray[np.uint16], mr: Floats, spacing: Floats) -> NDArray[np.uint16]:
    """Divide the parts by brightness in place of depth, and make bright air soft tissue."""
    from skimage.filters import threshold_otsu  # slow to load

    found = kinds.copy()
    part = {name: len(TISSUES) + index for index, name in enumerate(PARTS)}
    for name in ("grey matter", "white matter"):
        found[kinds == part[name]] = LABEL[name]
    for name, (dark, bright) in _SPLIT.items():
        where = kinds == part[name]
        if where.any():
            limit = threshold_otsu(mr[where])
            found[where] = np.where(mr[where] > limit, LABEL[bright], LABEL[dark])
    muscle = found == LABEL["muscle"]
    if muscle.any():
        signal = (found == 0) & (mr > np.median(mr[muscle]) / 2)
        reach = np.maximum(np.rint(_AIR_MM / spacing), 1).astype(int)
        beyond = ndimage.binary_opening(signal, np.ones(2 * reach - 1))
        fat = np.median(mr[found == LABEL["fat"]]) if (found == LABEL["fat"]).any() else np.inf
        middle = (fat + np.median(mr[muscle])) / 2
        found[beyond] = np.where(mr[beyond] > middle, LABEL["fat"], LABEL["muscle"])
    return found


def _told(kinds: NDArray[np.uint16], mr: Floats) -> Floats:
    """Measure the brightness of the tissues of `TOLD`: medians, as far from their edges as they are wide.

    Blood is too narrow to be measured. It is as bright beside grey matter as in the nearest contrast.
    """
    values = np.zeros(len(TISSUES), np.float32)
    for name in TOLD:
        where = kinds == LABEL[name]
        for _ in range(_DEEPEST):
            inner = ndimage.binary_erosion(where)
            if inner.sum() < _INNER:
                break
            where = inner
        values[LABEL[name]] = np.median(mr[where]) if where.any() else 0.0
    told = brightness(values.clip(0, _LARGEST))
    grey, blood = TOLD.index("grey matter"), TOLD.index("venous blood")
    nominal = nominal_brightness(nearest_contrast(told)) + 1
    told[blood] = min((told[grey] + 1) * nominal[blood] / nominal[grey], 2.0) - 1
    return told
