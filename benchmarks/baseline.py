"""The mean training image as a model: the score of knowing only where a head lies in its frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.model import Generators
from medtranslate.networks import Generated, Posterior


class MeanSlice(nn.Module):
    """Says the same slice whatever it is shown."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean, requires_grad=False)

    def forward(self, image: Tensor) -> Generated:
        nothing = torch.zeros(())
        return Generated(self.mean.expand(len(image), -1, -1, -1), Posterior(nothing, nothing))


def mean_model(model: Model) -> Model:
    """A model that says `model`'s mean training slice in each direction."""
    generators = Generators(model.description.network)
    means: dict[Modality, Tensor] = dict(model.means)
    generators.to_ct, generators.to_mr = MeanSlice(means["ct"]), MeanSlice(means["mr"])  # type: ignore[assignment]
    return Model(model.description, generators, means)
