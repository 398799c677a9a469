"""Steps as MONAI dictionary transforms, for `Compose` and MONAI's datasets."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from monai.transforms.inverse import InvertibleTransform
from torch import Tensor

from medtranslate.config import AugmentSettings, FrameName, Modality, ScaleSettings
from medtranslate.transforms.augmentation import augment
from medtranslate.transforms.framing import find_frame, into_frame, isolate, out_of_frame
from medtranslate.transforms.intensity import as_shown, denormalise, normalise
from medtranslate.transforms.layout import from_axial, from_slices, pixel_mm, to_axial, to_slices

Data = Mapping[Hashable, MetaTensor]


class AxialLayoutd(MapTransform, InvertibleTransform):
    """Transform with `to_axial`; its inverse restores the source's array layout."""

    def __call__(self, data: Data) -> dict[Hashable, MetaTensor]:
        return {**data, **{key: to_axial(data[key]) for key in self.key_iterator(data)}}

    def inverse(self, data: Data) -> dict[Hashable, MetaTensor]:
        return {**data, **{key: from_axial(data[key]) for key in self.key_iterator(data)}}


class Normalised(MapTransform, InvertibleTransform):
    """Transform with `normalise`; its inverse is `denormalise` with the modality's own scale.

    Args:
        keys: volumes [1, X, Y, Z] in physical units.
        modality: of these volumes.
        scale: meaning of -1 and 1.
    """

    def __init__(self, keys: KeysCollection, modality: Modality, scale: ScaleSettings) -> None:
        super().__init__(keys)
        self.modality = modality
        self.scale = scale

    def __call__(self, data: Data) -> dict[Hashable, MetaTensor]:
        scaled = {}
        for key in self.key_iterator(data):
            volume = data[key]
            levels, where = volume.meta.get("levels"), _where(volume)
            hu = volume.meta.get("hu")
            values = normalise(
                volume.as_tensor(), self.modality, self.scale, levels=levels, hu=hu, where=where
            )
            scaled[key] = _like(volume, values)
        return {**data, **scaled}

    def inverse(self, data: Data) -> dict[Hashable, MetaTensor]:
        plain = {
            key: denormalise(data[key].as_tensor(), self.modality, self.scale)
            for key in self.key_iterator(data)
        }
        return {**data, **{key: _like(data[key], values) for key, values in plain.items()}}


class FrameHeadd(MapTransform, InvertibleTransform):
    """Transform with `into_frame`, [1, X, Y, Z] axial in [-1, 1] to [1, size, size, Z].

    The inverse puts the slices back on their own pixels, with air around the frame.

    Args:
        keys: volumes in axial layout, normalised.
        modality: of these volumes.
        size: side of the frame in pixels.
        margin: air around the head, as a share of the frame.
        scale: meaning of -1 and 1.
        around: the head, or the whole slice.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality: Modality,
        size: int,
        margin: float,
        scale: ScaleSettings,
        around: FrameName = "head",
    ) -> None:
        super().__init__(keys)
        self.modality = modality
        self.scale = scale
        self.size = size
        self.margin = margin
        self.around = around

    def __call__(self, data: Data) -> dict[Hashable, MetaTensor]:
        framed = dict(data)
        for key in self.key_iterator(data):
            volume = data[key]
            slices = to_slices(volume.as_tensor())
            windowed = volume.meta.get("levels") is not None and volume.meta.get("hu") is None
            shown = as_shown(self.scale, picture=windowed)
            frame, head = find_frame(
                slices, self.modality, self.margin, pixel_mm(volume), _where(volume), shown, self.around
            )
            framed[key] = _like(volume, from_slices(into_frame(isolate(slices, head), frame, self.size)))
            self.push_transform(  # type: ignore[no-untyped-call]
                framed[key], orig_size=slices.shape[2:], extra_info={"frame": frame}
            )
        return framed

    def inverse(self, data: Data) -> dict[Hashable, MetaTensor]:
        plain = dict(data)
        for key in self.key_iterator(data):
            volume = _like(data[key], data[key].as_tensor())
            done = self.pop_transform(volume)
            shape = tuple(int(extent) for extent in done["orig_size"])
            slices = out_of_frame(
                to_slices(volume.as_tensor()), done["extra_info"]["frame"], (shape[0], shape[1])
            )
            plain[key] = _like(volume, from_slices(slices))
        return plain


class AugmentedCopyd(MapTransform, Randomizable):
    """Transform that appends an augmented copy to each batch [B, 1, S, S]: [2B, 1, S, S].

    Args:
        modalities: modality of each named batch.
        settings: strength of the augmentation.
    """

    def __init__(self, modalities: Mapping[str, Modality], settings: AugmentSettings) -> None:
        super().__init__(tuple(modalities))
        self.modalities = modalities
        self.settings = settings

    def __call__(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(int(self.R.randint(2**31)))
        copies = {
            key: augment(data[key], modality, self.settings, generator)
            for key, modality in self.modalities.items()
        }
        return {**data, **{key: torch.cat([data[key], copy]) for key, copy in copies.items()}}


def _like(volume: MetaTensor, values: Tensor) -> MetaTensor:
    return MetaTensor(values, meta=volume.meta, applied_operations=volume.applied_operations)


def _where(volume: MetaTensor) -> str:
    """Name the origin of a volume, for messages."""
    return str(volume.meta.get("path", "image"))
