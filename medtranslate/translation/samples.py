"""Draws of the posterior, and how far the translations that they give lie apart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medtranslate.networks import Posterior, VariationalGenerator
from medtranslate.translation.framed import Stack


def spread_of(
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
        drawn = torch.stack([noise(posterior.mean.shape[1:], seed, sample, int(z)) for z in places])
        image = seen.unframed(generator.decode(posterior.at(drawn.to(posterior.mean))).cpu())
        change = image - mean
        mean = mean + change / (sample + 1)
        squares = squares + change * (image - mean)
    return (squares / (samples - 1)).sqrt()


def noise(shape: torch.Size, seed: int, sample: int, place: int) -> Tensor:
    """Standard normal noise that belongs to one sample of one slice, in whatever order they are drawn."""
    rng = np.random.default_rng((seed, sample, place))
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))
