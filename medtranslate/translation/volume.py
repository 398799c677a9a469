"""Volume to volume, slice by slice.

    volume --axial layout--> normalise --frame--> generator --frame back--> target scale --layout back-->

Memory holds the source and the output; slices are normalised and pass through the network in batches. While
the network works on one, the next is framed, the last put back, and the source's seams are looked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

from medtranslate.checkpoint import Model
from medtranslate.config import Modality, NetworkSettings
from medtranslate.device import free_memory
from medtranslate.gate import judge, look
from medtranslate.jobs import staged
from medtranslate.metrics import calibrated, head_mask
from medtranslate.networks import Posterior, VariationalGenerator
from medtranslate.result import CALIBRATED, UNCALIBRATED, WINDOWED, Source, Translation, Uncertainty
from medtranslate.transforms import from_slices
from medtranslate.translation.jumps import seams
from medtranslate.translation.stack import Stack, stack

OTHER: dict[Modality, Modality] = {"ct": "mr", "mr": "ct"}

PIXELS = {"cpu": 2**18, "cuda": 2**22}
"""Pixels of a pass that keep a device busy. A CPU is slower with more of them: they leave its caches."""

Parts = list[tuple[int, Tensor]]
"""Slices of a pass: which stack, and which of its slices."""

JUDGED = 32
"""Slices of a volume, spread over those that show something, that the input gate looks at at most."""

_PIXEL_BYTES = 32
"""Memory of a pass for each pixel and channel at the network's full width; more than any network takes."""


@dataclass(frozen=True)
class Translated:
    """A translation in memory; volumes lie on the source's own grid and array layout.

    Attributes:
        volume: the posterior mean's translation, in HU or the model's MR range (a picture: grey values
            0 to 255).
        spread: standard deviation in the same unit, or None where no samples were drawn: of the errors to
            expect inside the head where the model is calibrated, else over samples of the posterior.
        record: what is written beside it.
    """

    volume: MetaTensor
    spread: MetaTensor | None
    record: Translation


def translate_volume(
    source: MetaTensor,
    model: Model,
    to: Modality,
    batch: int | None = None,
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
    batch: int | None = None,
    *,
    samples: int = 0,
    seed: int = 0,
    advance: Callable[[int], object] = lambda slices: None,
) -> Translated:
    """The posterior mean's translation of a volume and, where samples are asked for, the posterior's spread.

    Axial slices that show nothing stay air (CT: the window's lower end; MR: zero of its range), and
    so does what lies outside the frame around the head; the spread is zero there, and outside the head
    where it is calibrated.

    Args:
        source: [1, X, Y, Z] in physical units, RAS+ affine. If it is far from the patient's axes it is
            resampled along them for the network, and the translation back (`transforms.upright`).
        batch: slices per pass (default: `slices_per_pass`).
        samples: draws of the posterior, 0 or at least 2.
        seed: of the draws; the same seed gives the same spread, whatever the batch and the device.
        advance: called with the number of slices that are done.

    Raises:
        InputRefused: no head is found.
    """
    seen = stack(source, OTHER[to], model)
    return sample_stacks([seen], model, to, batch, samples=samples, seed=seed, advance=advance)[0]


def sample_stacks(
    stacks: Sequence[Stack],
    model: Model,
    to: Modality,
    batch: int | None = None,
    *,
    samples: int = 0,
    seed: int = 0,
    advance: Callable[[int], object] = lambda slices: None,
) -> list[Translated]:
    """`sample_volume` of several at once: small ones, such as pictures, share their passes."""
    started = time.monotonic()
    network, generator = model.description.network, model.translator(to)
    device = next(generator.parameters()).device
    made = [seen.blank() for seen in stacks]
    spread = [seen.blank(0.0) if samples else None for seen in stacks]
    judged = [seen.shown[:: -(-len(seen.shown) // JUDGED)] for seen in stacks]
    looks: list[list[Tensor]] = [[] for _ in stacks]
    batches = _batches([seen.shown for seen in stacks], batch or slices_per_pass(network, device))

    @torch.inference_mode()  # which torch keeps for each thread
    def frame(parts: Parts) -> tuple[Parts, Tensor]:
        return parts, torch.cat([stacks[index].framed(places, network.size) for index, places in parts])

    def pass_through(framed: tuple[Parts, Tensor]) -> tuple[Parts, Tensor]:
        parts, slices = framed[0], framed[1].to(device)
        given = generator(slices)
        sizes, posterior = [len(places) for _, places in parts], given.posterior
        means, log_variances = posterior.mean.split(sizes), posterior.log_variance.split(sizes)
        own = slices.split(sizes)
        for (index, places), image, *moments in zip(parts, own, means, log_variances, strict=True):
            if model.gate and (asked := torch.isin(places, judged[index])).any():
                looks[index].append(look(model.gate, image[asked], moments[0][asked], OTHER[to]))
            if (drawn := spread[index]) is not None:
                rows, columns = stacks[index].box
                deviation = _spread(generator, Posterior(*moments), stacks[index], places, samples, seed)
                drawn[places, :, rows, columns] = deviation
        return parts, given.image.cpu()

    @torch.inference_mode()
    def put_back(passed: tuple[Parts, Tensor]) -> int:
        parts, images = passed
        sizes = [len(places) for _, places in parts]
        for (index, places), image in zip(parts, images.split(sizes), strict=True):
            rows, columns = stacks[index].box
            made[index][places, :, rows, columns] = stacks[index].unframed(image)
        return len(images)

    fast = torch.autocast(device.type, model.precision, enabled=model.precision is not torch.float32)
    with ThreadPoolExecutor(1, "seams") as beside, torch.inference_mode(), fast:
        bent = [beside.submit(seen.seams) for seen in stacks]
        with closing(staged(batches, frame, pass_through, put_back)) as passes:
            for done in passes:
                advance(done)
    seconds = (time.monotonic() - started) / len(stacks)
    return [
        _translated(seen, model, to, image, deviation, samples, seed, seconds, before.result(), looked)
        for seen, image, deviation, before, looked in zip(stacks, made, spread, bent, looks, strict=True)
    ]


def slices_per_pass(network: NetworkSettings, device: torch.device) -> int:
    """As many slices as keep the device busy, within a quarter of its free memory; at least one."""
    pixels = network.size**2
    room = free_memory(device) // 4 // (_PIXEL_BYTES * network.channels[0] * pixels)
    return max(1, min(PIXELS[device.type] // pixels, room))


def _batches(shown: Sequence[Tensor], batch: int) -> Iterator[Parts]:
    """Slices of several stacks, `batch` at a time."""
    owners = torch.cat([torch.full_like(places, index) for index, places in enumerate(shown)])
    for owner, places in zip(owners.split(batch), torch.cat(list(shown)).split(batch), strict=True):
        yield [(int(index), places[owner == index]) for index in owner.unique()]


def _translated(
    seen: Stack,
    model: Model,
    to: Modality,
    made: Tensor,
    spread: Tensor | None,
    samples: int,
    seed: int,
    seconds: float,
    before: float,
    looks: Sequence[Tensor],
) -> Translated:
    """What was made of a stack's slices, both [Z, 1, Y, X], as volumes; uses up their memory.

    `before` are the seams of its source, `looks` what the gate saw of its slices.
    """
    scale, source, (rows, columns) = model.description.scale, seen.source, seen.box
    record = Translation(
        source=describe(source),
        model=model.info(to),
        output="",
        gate=judge(looks, model.gate, source, OTHER[to]),
        saturated=seen.saturated,
        seams={"source": before, "output": seams(made[:, :, rows, columns])} if len(made) > 2 else None,
        precision="float32" if model.precision is torch.float32 else "bfloat16",
        seconds=round(seconds, 3),
        warnings=[*seen.axial.meta.get("warnings", []), *_windowed(to, model)],
    )
    if spread is None:
        return Translated(seen.volume(made, to, scale), None, record)
    deviation = from_slices(spread)
    head = head_mask([from_slices(unit)[0].numpy() for unit in (seen.unit(), made)], [(-1.0, 1.0)] * 2)
    if known := model.description.calibration.get(to):
        values = deviation[0].numpy()  # in the tensor's own memory
        values[~head] = 0.0
        values[head] = calibrated(values[head], known)
    deviation.mul_(seen.gain(to, scale))
    uncertainty = Uncertainty(
        samples=samples,
        seed=seed,
        unit="grey levels" if "levels" in source.meta else record.model.unit,
        mean_std=float(deviation[0].numpy()[head].mean()) if head.any() else None,
        calibrated_on=known.on if known else None,
        meaning=CALIBRATED if known else UNCALIBRATED,
    )
    volume = seen.volume(made, to, scale)
    return Translated(volume, seen.on_source(deviation), replace(record, uncertainty=uncertainty))


def as_spoken(source: MetaTensor, modality: Modality, model: Model) -> MetaTensor:
    """The source on the scale of the model's own output: CT inside its window, MR by its percentile.

    The scale of an MR is arbitrary, so that only there can a translation into MR be compared with it.

    Raises:
        InputRefused: no head is found.
    """
    seen = stack(source, modality, model)
    return seen.volume(seen.unit(), modality, model.description.scale)


def framed_alone(source: MetaTensor, modality: Modality, model: Model) -> MetaTensor:
    """The source through the model's frame and back, with no network between: what the frame costs.

    Raises:
        InputRefused: no head is found.
    """
    seen = stack(source, modality, model)
    made, (rows, columns) = seen.blank(), seen.box
    for places in seen.shown.split(16):
        made[places, :, rows, columns] = seen.unframed(seen.framed(places, model.description.network.size))
    return seen.volume(made, modality, model.description.scale)


def _spread(
    generator: VariationalGenerator,
    posterior: Posterior,
    seen: Stack,
    places: Tensor,
    samples: int,
    seed: int,
) -> Tensor:
    """Standard deviation over generator(z), z ~ q(z|x), on the source's pixels in the frame's box.

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
    return [f"CT values are limited to {lower:g} to {upper:g} HU: {WINDOWED}"]
