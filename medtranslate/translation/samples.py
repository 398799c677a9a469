"""Samples of the posterior, and the standard deviation of their translations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from medtranslate.networks import Posterior, Told, VariationalGenerator
from medtranslate.translation.framed import Floats, Framed, Places


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
