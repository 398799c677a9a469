"""Uncertainty of a translation: the spread of posterior samples, or error limits that the network estimates.

Both are computed on the range [-1, 1] of the networks, for each slice, and brought to the units of the
translation at the end, calibrated if the model is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from medtranslate.checkpoint import Model
from medtranslate.config import Modality, ScaleSettings
from medtranslate.io import Volume
from medtranslate.io.layout import to_slices
from medtranslate.metrics import LIMIT_SHARE, bone_from, calibrated, enclosed, head_mask
from medtranslate.networks import Generated, Posterior, Told, VariationalGenerator
from medtranslate.records import ESTIMATED, UNCALIBRATED, Uncertainty
from medtranslate.transforms import scale_ct
from medtranslate.translation.air import Outline, clear
from medtranslate.translation.framed import Floats, Framed, Places

DRAWS = 16
"""Samples where none are asked for, and the model estimates no error limits."""


def uncertain(
    generator: VariationalGenerator | Told,
    given: Generated,
    seen: Framed,
    places: Places,
    samples: int,
    seed: int,
) -> Floats:
    """Map the uncertainty of framed slices on the source's pixels in the frame's box, [B, *seen.box].

    Args:
        given: by the generator; its limit is taken without samples.
    """
    if samples:
        return spread_of(generator, given.posterior, seen, places, samples, seed)
    assert given.limit is not None
    # No error is larger than the range, from -1 to 1, and `unframed` saturates at 1.
    return 2 * seen.unframed((given.limit.exp() / 2).cpu())


def spread_of(
    generator: VariationalGenerator | Told,
    posterior: Posterior,
    seen: Framed,
    places: Places,
    samples: int,
    seed: int,
) -> Floats:
    """Compute the standard deviation of generator(z), z ~ q(z|x), on the source's pixels in the frame's box.

    Mean and sum of squares are updated with each draw (Welford, Technometrics 4(3), 1962), so memory does not
    grow with their number.

    Returns:
        [B, *seen.box].
    """
    mean: Floats = np.zeros((), np.float32)
    squares: Floats = np.zeros((), np.float32)
    for sample in range(samples):
        drawn = np.stack([noise(posterior.mean.shape[1:], seed, sample, int(z)) for z in places])
        image = generator.decode(posterior.at(torch.from_numpy(drawn).to(posterior.mean)))
        translation = seen.unframed(image.cpu())
        change = translation - mean
        mean = mean + change / np.float32(sample + 1)
        squares = squares + change * (translation - mean)
    return np.sqrt(squares / (samples - 1))


def noise(shape: Sequence[int], seed: int, sample: int, place: int) -> Floats:
    """Draw the standard normal noise of one sample of one slice, independently of the order of draws."""
    rng = np.random.default_rng((seed, sample, place))
    return rng.standard_normal(tuple(shape), dtype=np.float32)


def least_bone(scale: ScaleSettings) -> float:
    """Find the lower end of bone on the range [-1, 1] of a CT."""
    return float(scale_ct(np.array([bone_from(scale.ct_window)]), scale.ct_curve)[0])


def finish_map(
    spread: Floats,
    axial: Floats,
    made: Floats,
    seen: Framed,
    outline: Outline | None,
    model: Model,
    to: Modality,
    draws: tuple[int, int],
) -> tuple[Volume, Uncertainty]:
    """Bring deviations or limits to the target's units, calibrated if the model is, and zero in air.

    They are of the axial slices. A translation from three sides may be off by as much as it differs from
    these, too, so a limit grows by that difference, and a deviation, two of which are a limit, by half of it.

    Args:
        spread: slices [Z, Y, X] on the range of `axial`; overwritten.
        axial: slices as the network made them, in [-1, 1].
        made: the translation, in [-1, 1]; `axial` itself if it is from above alone.
        draws: samples that were drawn, 0 for limits of the network, and their seed.
    """
    samples, seed = draws
    unit, scale, known = seen.unit(), model.description.scale, model.description.curves(samples).get(to)
    share = known.share if known else None if samples else LIMIT_SHARE
    apart = 1.0 if share else 0.5
    if outline:
        clear(spread, outline, 0.0)
        clear(unit, outline)
    head = head_mask([to_slices(unit), to_slices(made)], [(-1.0, 1.0)] * 2).T
    lower, upper = seen.output_ends(to, scale)
    step = (upper - lower) / 2
    bone = least_bone(scale)
    cts = axial if to == "ct" else unit
    for deviation, plane, kept, inside, ct in zip(spread, axial, made, head, cts, strict=True):
        deviation *= seen.gain(plane, to, scale)
        values = seen.in_units(plane[inside], to, scale)
        if known:
            within = enclosed(ct > bone)[inside]
            deviation[inside] = step * calibrated(
                (values - lower) / step - 1, deviation[inside] / step, known, within
            )
            deviation[~inside] = 0.0
        deviation[inside] += apart * np.abs(seen.in_units(kept[inside], to, scale) - values)
    uncertainty = Uncertainty(
        samples=samples,
        seed=seed,
        unit="grey levels" if seen.source.is_picture else model.info(to).unit,
        mean_std=float(spread[head].mean()) if head.any() else None,
        calibrated_on=known.on if known else None,
        share=share,
        meaning=known.meaning if known else UNCALIBRATED if samples else ESTIMATED,
    )
    return seen.on_source(spread), uncertainty
