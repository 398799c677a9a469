"""Volume to volume, slice by slice.

    volume --axial layout--> normalise --frame--> generator --frame back--> target scale --layout back-->

Memory holds the source, its normalised copies and the output; slices pass through the network in
batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

from medtranslate import metrics
from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.metrics import head_mask
from medtranslate.networks import Posterior, VariationalGenerator
from medtranslate.result import Source, Translation, Uncertainty
from medtranslate.transforms import VISIBLE, from_slices, to_slices
from medtranslate.translation.stack import Stack, stack

OTHER: dict[Modality, Modality] = {"ct": "mr", "mr": "ct"}


@dataclass(frozen=True)
class Translated:
    """A translation in memory; volumes lie on the source's own grid and array layout.

    Attributes:
        volume: the posterior mean's translation, in HU or the model's MR range (a picture: grey values
            0 to 255).
        spread: standard deviation over samples of the posterior in the same unit, or None.
        record: what is written beside it.
    """

    volume: MetaTensor
    spread: MetaTensor | None
    record: Translation


def translate_volume(
    source: MetaTensor,
    model: Model,
    to: Modality,
    batch: int = 16,
    *,
    advance: Callable[[int], object] = lambda slices: None,
) -> tuple[MetaTensor, Translation]:
    """The posterior mean's translation of a volume, and its record: `sample_volume` without samples."""
    done = sample_volume(source, model, to, batch, advance=advance)
    return done.volume, done.record


def sample_volume(
    source: MetaTensor,
    model: Model,
    to: Modality,
    batch: int = 16,
    *,
    samples: int = 0,
    seed: int = 0,
    advance: Callable[[int], object] = lambda slices: None,
) -> Translated:
    """The posterior mean's translation of a volume and, where samples are asked for, the posterior's spread.

    Axial slices that show nothing stay air (CT: the window's lower end; MR: zero of its range), and
    so does what lies outside the frame around the head; the spread is zero there.

    Args:
        source: [1, X, Y, Z] in physical units, RAS+ affine. If it is far from the patient's axes it is
            resampled along them for the network, and the translation back (`transforms.upright`).
        batch: slices per pass.
        samples: draws of the posterior, 0 or at least 2.
        seed: of the draws; the same seed gives the same spread, whatever the batch and the device.
        advance: called with the number of slices that are done.

    Raises:
        InputRefused: no head is found.
    """
    started = time.monotonic()
    scale, size = model.description.scale, model.description.network.size
    seen = stack(source, OTHER[to], model)
    generator = model.translator(to)
    device = next(generator.parameters()).device
    made, spread = seen.blank(), seen.blank(0.0) if samples else None
    with torch.inference_mode():
        for places in seen.shown().split(batch):
            given = generator(seen.framed(places, size).to(device))
            made[places] = seen.unframed(given.image.cpu())
            if spread is not None:
                spread[places] = _spread(generator, given.posterior, seen, places, samples, seed)
            advance(len(places))
    output = from_slices(made)
    record = Translation(
        source=describe(source),
        model=model.info(to),
        output="",
        saturated=seen.saturated,
        seams={"source": seams(seen.unit), "output": seams(output)} if source.shape[3] > 2 else None,
        seconds=round(time.monotonic() - started, 3),
        warnings=[*seen.axial.meta.get("warnings", []), *_windowed(to, model)],
    )
    volume = seen.volume(made, to, scale)
    if spread is None:
        return Translated(volume, None, record)
    deviation = from_slices(spread) * seen.gain(to, scale)
    head = head_mask([seen.unit[0].numpy(), output[0].numpy()], [(-1.0, 1.0)] * 2)
    uncertainty = Uncertainty(
        samples=samples,
        seed=seed,
        unit="grey levels" if "levels" in source.meta else record.model.unit,
        mean_std=float(deviation[0].numpy()[head].mean()) if head.any() else None,
    )
    return Translated(volume, seen.on_source(deviation), replace(record, uncertainty=uncertainty))


def as_spoken(source: MetaTensor, modality: Modality, model: Model) -> MetaTensor:
    """The source on the scale of the model's own output: CT inside its window, MR by its percentile.

    The scale of an MR is arbitrary, so that only there can a translation into MR be compared with it.

    Raises:
        InputRefused: no head is found.
    """
    seen = stack(source, modality, model)
    return seen.volume(to_slices(seen.unit), modality, model.description.scale)


def framed_alone(source: MetaTensor, modality: Modality, model: Model) -> MetaTensor:
    """The source through the model's frame and back, with no network between: what the frame costs.

    Raises:
        InputRefused: no head is found.
    """
    seen = stack(source, modality, model)
    made = seen.blank()
    for places in seen.shown().split(64):
        made[places] = seen.unframed(seen.framed(places, model.description.network.size))
    return seen.volume(made, modality, model.description.scale)


def _spread(
    generator: VariationalGenerator,
    posterior: Posterior,
    seen: Stack,
    places: Tensor,
    samples: int,
    seed: int,
) -> Tensor:
    """Standard deviation over generator(z), z ~ q(z|x), on the source's pixels [B, 1, Y, X].

    Mean and sum of squares run along with the draws (Welford, Technometrics 4(3), 1962), so that memory
    does not grow with their number.
    """
    mean = squares = torch.zeros(())
    for sample in range(samples):
        noise = torch.stack([_noise(posterior.mean.shape[1:], seed, sample, int(z)) for z in places])
        image = seen.unframed(generator.decode(posterior.at(noise.to(posterior.mean))).cpu())
        change = image - mean
        mean = mean + change / (sample + 1)
        squares = squares + change * (image - mean)
    return (squares / (samples - 1)).sqrt()


def _noise(shape: torch.Size, seed: int, sample: int, place: int) -> Tensor:
    """Standard normal noise that belongs to one sample of one slice, in whatever order they are drawn."""
    rng = np.random.default_rng((seed, sample, place))
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def seams(unit: Tensor) -> float:
    """`metrics.seams` over the visible voxels; 0 where nothing is visible.

    Args:
        unit: [1, X, Y, Z] in [-1, 1], axial layout.
    """
    values = unit[0].numpy()
    return metrics.seams(values, values > 2 * VISIBLE - 1, (-1.0, 1.0)) or 0.0


def describe(volume: MetaTensor) -> Source:
    """What a record says of a volume that was read."""
    _, columns, rows, slices = volume.shape
    first, second, third = (float(length) for length in volume.pixdim)
    return Source(
        digest=volume.meta.get("digest"),
        format=volume.meta.get("format"),
        modality=volume.meta.get("modality"),
        shape=(columns, rows, slices),
        spacing_mm=(first, second, third),
        affine=tuple(tuple(row) for row in volume.affine.tolist()),
    )


def _windowed(to: Modality, model: Model) -> list[str]:
    lower, upper = model.description.scale.ct_window
    if to == "mr" or (lower <= -1000 and upper >= 1000):
        return []
    return [f"CT values are limited to {lower:g} to {upper:g} HU: windowed, not for dose"]
