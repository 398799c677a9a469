"""Validation pairs: CT and MR of the same heads on the same voxels, a truth to score translations by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medtranslate.config import Modality, NetworkSettings, ScaleSettings, TrainSettings
from medtranslate.data.items import Item, Listing
from medtranslate.data.stored import MIN_VISIBLE
from medtranslate.errors import GeometryRefused, InputRefused, SettingsError
from medtranslate.io import Volume, read_volume
from medtranslate.io.dicom_values import require_signal
from medtranslate.io.layout import pixel_mm, to_axial, to_slices
from medtranslate.transforms import as_shown, find_frame, into_frame, isolate, normalise

PAIRED_SLICES = 32
"""Slices that are scored, spread over all pairs."""

SAME_MM = 1e-3
"""Entries of two affines that differ by no more are the same."""


@dataclass(frozen=True)
class PairedSlices:
    """One side of pairs, framed slices [N, 1, S, S]; the other side has its slices in the same order."""

    images: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.images[torch.randint(len(self.images), (count,), generator=generator)]

    def fixed(self, count: int) -> Tensor:
        return self.images[:count]


def open_pairs(listings: Mapping[str, Listing], settings: TrainSettings) -> dict[str, PairedSlices]:
    """Read the pairs of the validation images: `pair_ct` and `pair_mr`, slice by slice of one head.

    Both sides are framed to the head that the CT shows, so that pixel lies on pixel.

    Raises:
        SettingsError: val_ct and val_mr do not both name files.
        InputRefused: an image has no partner, or a pair is not on one grid.
    """
    if not {"val_ct", "val_mr"} <= listings.keys():
        raise SettingsError("val_paired: needs val_ct and val_mr, both files; name both, or leave it out")
    pairs = _match(listings["val_ct"].items, listings["val_mr"].items)
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), PAIRED_SLICES)).round().astype(int))
    each = -(-PAIRED_SLICES // len(chosen))
    slices = [
        _framed(ct, mr, each, settings.network, settings.scale)
        for ct, mr in (pairs[index] for index in chosen)
    ]
    sides = [torch.cat(side) for side in zip(*slices, strict=True)]
    if not len(sides[0]):
        raise InputRefused("val_paired: none of the pairs shows a head; check modality and window")
    return {f"pair_{which}": PairedSlices(side) for which, side in zip(("ct", "mr"), sides, strict=True)}


def _match(ct: list[Item], mr: list[Item]) -> list[tuple[Item, Item]]:
    """Pair images of one subject, or of one name where subjects are unknown or have several images."""
    subjects = [[item.group for item in items] for items in (ct, mr)]
    names = [[item.path.name.split(".")[0] for item in items] for items in (ct, mr)]
    for keys in (subjects, names):
        if all(None not in side and len(set(side)) == len(side) for side in keys):
            break
    else:
        raise InputRefused(
            "val_paired: several validation images share a name; name each pair alike, and no two pairs"
        )
    by_key = dict(zip(keys[1], mr, strict=True))
    alone = [item for key, item in zip(keys[0], ct, strict=True) if key not in by_key]
    alone += [item for key, item in by_key.items() if key not in set(keys[0])]
    if alone:
        raise InputRefused(
            f"val_paired: {len(alone)} of {len(ct) + len(mr)} validation images have no partner of their"
            f" subject or name, as {alone[0].path.name}; name pairs alike, or leave val_paired out"
        )
    return [(item, by_key[key]) for key, item in zip(keys[0], ct, strict=True)]


def _framed(
    ct: Item, mr: Item, count: int, network: NetworkSettings, scale: ScaleSettings
) -> tuple[Tensor, Tensor]:
    """Frame `count` slices of a pair, spread over the head, each [N, 1, S, S]."""
    volumes = _read(ct, "ct"), _read(mr, "mr")
    if volumes[0].shape != volumes[1].shape or not np.allclose(
        volumes[0].affine, volumes[1].affine, atol=SAME_MM
    ):
        raise GeometryRefused(
            f"{ct.path} and {mr.path}: a pair for val_paired lies on one grid, and these have shapes"
            f" {volumes[0].shape} and {volumes[1].shape} or differ in their affines; resample one onto the"
            " other, or leave val_paired out"
        )
    first, second = (to_axial(volume) for volume in volumes)
    shown = _slices(first, "ct", scale), _slices(second, "mr", scale)
    windowed = as_shown(scale, picture=first.meta.levels is not None and first.meta.hu is None)
    frame, head = find_frame(
        shown[0], "ct", network.margin, pixel_mm(first), first.where, windowed, network.frame
    )
    framed = [into_frame(isolate(slices, head), frame, network.size) for slices in shown]
    visible = ((framed[0] > -0.8).float().mean(dim=(1, 2, 3)) > MIN_VISIBLE).nonzero()[:, 0]
    places = visible[torch.linspace(0, len(visible) - 1, min(count, len(visible))).round().long()]
    return framed[0][places], framed[1][places]


def _slices(volume: Volume, modality: Modality, scale: ScaleSettings) -> Tensor:
    """Axial slices [Z, 1, Y, X] in [-1, 1]."""
    meta = volume.meta
    values = normalise(volume.values, modality, scale, levels=meta.levels, hu=meta.hu, where=volume.where)
    return torch.from_numpy(np.ascontiguousarray(to_slices(values)))[:, None]


def _read(item: Item, modality: Modality) -> Volume:
    volume = read_volume(item.path, series=item.series, modality=modality)
    require_signal(volume.meta)
    return volume
