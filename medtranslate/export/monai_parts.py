"""Parts of a MONAI bundle, which its configuration names by `_target_`: the network and transforms.

    LoadImaged --> FrameSourced --> SliceInferer(BundleNetwork) --> OntoSourced --> SaveTranslationd

They call the functions of `translate`, so that a bundle gives the same voxels. A bundle needs this package.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor, nn

from medtranslate.checkpoint import Model
from medtranslate.checkpoint.folder import DEFAULT_CONTRAST
from medtranslate.config import Contrast, Modality, NetworkSettings, build
from medtranslate.errors import UsageError
from medtranslate.gate import judge, look
from medtranslate.io import write_volume
from medtranslate.io.dicom_values import require_signal
from medtranslate.io.names import synthetic_name
from medtranslate.modality import MODALITIES, OTHER
from medtranslate.model import Generators
from medtranslate.networks import Told
from medtranslate.phantom import nominal_brightness
from medtranslate.records import Derivation, GateVerdict, Translation, write_result
from medtranslate.records.places import record_of, stem_of
from medtranslate.runtime import whole_outputs
from medtranslate.transforms import from_metatensor, to_metatensor
from medtranslate.translation.air import examine, find_outline, settle
from medtranslate.translation.framed import Framed, frame
from medtranslate.translation.sides import agree
from medtranslate.translation.translator import pass_gate
from medtranslate.translation.volume import JUDGED, warned

SUFFIXES = (".nii.gz", ".nii", ".mha", ".nrrd")
"""Suffixes that a bundle can write; DICOM needs `translate`."""

_PASS = 4
"""Slices of a pass for the gate."""

Data = Mapping[Hashable, Any]
_Name = TypeVar("_Name", bound=str)


class BundleNetwork(nn.Module):
    """Both generators of a model; translates framed slices [B, C, S, S] in [-1, 1] to [B, 1, S, S].

    Args:
        settings: values of `NetworkSettings`.
        target: modality of the translation.
        contrast: of the MR, for a generator that is told it.
    """

    brightness: Tensor

    def __init__(
        self, settings: Mapping[str, Any], target: Modality, contrast: Contrast = DEFAULT_CONTRAST
    ) -> None:
        super().__init__()
        known = build(NetworkSettings, settings, "network_def")
        generators = Generators(known)
        self.to_ct, self.to_mr = generators.to_ct, generators.to_mr
        self.target = _one_of(MODALITIES, "to", target)
        told = nominal_brightness(_one_of(get_args(Contrast), "contrast", contrast))[: known.told]
        self.register_buffer("brightness", torch.from_numpy(told), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Translate by the posterior mean."""
        generator: nn.Module = self.to_ct if self.target == "ct" else self.to_mr
        if self.target == "mr" and len(self.brightness):
            generator = Told(self.to_mr, self.brightness)
        made: Tensor = generator(image).image
        return made

    def filled(self, model: Model) -> BundleNetwork:
        """Take over the weights of a model, and move to its device."""
        # Assigned, they keep their layout in memory, and convolutions give the same bits.
        self.load_state_dict(model.generators.state_dict(), assign=True)
        return self.to(model.device).eval()


@dataclass(frozen=True)
class _Step:
    """Operation of `FrameSourced` that `OntoSourced` undoes."""

    framed: Framed
    gate: GateVerdict


class FrameSourced(MapTransform):
    """Frames a source [1, X, Y, Z] in HU or MR units: [C, S, S, slices] in [-1, 1], and judges it.

    Args:
        keys: volumes as `VolumeReader` reads them.
        model: with its frame, scale and input gate.
        target: modality of the translation.
        force: pass sources that the gate refuses.

    Raises:
        InputRefused: there is no head, the header says that the values are no CT or MR, or the gate refuses.
    """

    def __init__(self, keys: KeysCollection, model: Model, target: Modality, force: bool = False) -> None:
        super().__init__(keys)
        self.model, self.target, self.force = model, _one_of(MODALITIES, "to", target), force

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        framed = dict(data)
        for key in self.key_iterator(data):
            source = from_metatensor(data[key])
            require_signal(source.meta)
            network = self.model.description.network
            seen = frame(source, OTHER[self.target], self.model)
            with torch.inference_mode():
                slices = seen.framed(seen.shown, network.size, network.neighbours)
                verdict = self._judge(seen, slices)
            step = {"class": type(self).__name__, "id": id(self), "step": _Step(seen, verdict)}
            framed[key] = MetaTensor(
                slices.permute(1, 2, 3, 0).clone(),
                meta={"filename_or_obj": source.where},
                applied_operations=[step],
            )
        return framed

    def _judge(self, seen: Framed, slices: Tensor) -> GateVerdict:
        gate, source = self.model.gate, OTHER[self.target]
        looks = []
        if gate is not None:
            generator = self.model.translator(self.target)
            judged = slices[:: -(-len(seen.shown) // JUDGED)].to(self.model.device)
            looks = [look(gate, part, generator.encode(part).mean, source) for part in judged.split(_PASS)]
        return judge(looks, gate, seen.source, source, self.model.description.anatomy)


class OntoSourced(MapTransform):
    """Puts translated slices [1, S, S, slices] onto the grid of their source: [1, X, Y, Z] in HU or MR units.

    Outside the source's head it sets the translation to air. Its meta holds the record of the translation.

    Args:
        keys: translations of the network.
        source: key of the framed source.
        model, target, force: as of `FrameSourced`.
    """

    def __init__(
        self, keys: KeysCollection, source: str, model: Model, target: Modality, force: bool = False
    ) -> None:
        super().__init__(keys)
        self.source, self.model, self.target, self.force = (
            source,
            model,
            _one_of(MODALITIES, "to", target),
            force,
        )

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        made = dict(data)
        step: _Step = data[self.source].applied_operations[-1]["step"]
        for key in self.key_iterator(data):
            images = torch.as_tensor(data[key]).permute(3, 0, 1, 2).float().cpu()
            made[key] = self._volume(step, images)
        return made

    def _volume(self, step: _Step, images: Tensor) -> MetaTensor:
        seen, known, to = step.framed, self.model.description, self.target
        slices = seen.blank()
        slices[seen.shown, *seen.box] = seen.unframed(images)
        agree(seen, slices)
        outline = find_outline(seen) if known.anatomy == "head" else None
        air_ml, jumps = settle(seen, slices, outline, seen.seams(), known.scale)
        record = Translation(
            source=seen.source.source(),
            model=self.model.info(to),
            output="",
            gate=step.gate,
            plausibility=examine(seen, slices, outline, to, known.scale, air_ml) if outline else None,
            saturated=seen.saturated,
            seams=jumps,
            planes=1,
            precision="float32",
            warnings=warned(seen, to, self.model),
        )
        record = pass_gate(record, seen.where, force=self.force)
        volume = to_metatensor(seen.volume(slices, to, known.scale))
        volume.meta |= {"translation": record, "source": seen.source}
        return volume


class SaveTranslationd(MapTransform):
    """Writes translations of `OntoSourced` with their records: `head.nii` becomes `head_synthetic-ct.nii.gz`.

    The files say that they are synthetic, as those of `translate` do.

    Args:
        keys: translations on the grids of their sources.
        output_dir: folder to write into.
        suffix: one of `SUFFIXES`.
        overwrite: replace existing files.

    Raises:
        OutputExists: a file is there, and `overwrite` is not set.
    """

    def __init__(
        self, keys: KeysCollection, output_dir: str, suffix: str = ".nii.gz", overwrite: bool = False
    ) -> None:
        super().__init__(keys)
        if suffix not in SUFFIXES:
            raise UsageError(
                f"suffix {suffix!r}: a bundle writes {', '.join(SUFFIXES)}; `medtranslate translate` writes"
                " DICOM and pictures"
            )
        self.folder, self.suffix, self.overwrite = Path(output_dir), suffix, overwrite

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        for key in self.key_iterator(data):
            known, source = data[key].meta["translation"], data[key].meta["source"]
            name = synthetic_name(f"{stem_of(Path(source.where))}{self.suffix}", known.model.to)
            target = self.folder / name
            record = record_of(target)
            derivation = Derivation(model=known.model, source=OTHER[known.model.to], doubts=known.doubts)
            volume = from_metatensor(data[key])
            with whole_outputs({target: False, record: False}, overwrite=self.overwrite) as fresh:
                write_volume(volume, fresh[target], like=source, derivation=derivation, overwrite=True)
                write_result(replace(known, output=name), fresh[record])
        return dict(data)


def _one_of(names: Sequence[_Name], key: str, given: str) -> _Name:
    """Return the name that a configuration gives.

    Raises:
        UsageError: it is none of the names.
    """
    for name in names:
        if name == given:
            return name
    raise UsageError(f"{key}: {given!r} is none of {', '.join(names)}; give one of these")
