"""The mean image of a model's training slices on the grid of a source; needs the model's frame, so torch."""

from __future__ import annotations

from torch import Tensor, nn

from medtranslate.checkpoint import Model
from medtranslate.io import Volume
from medtranslate.modality import Modality
from medtranslate.networks import Generated, Posterior
from medtranslate.translation import translate_volume


def mean_image(
    source: Volume, model: Model, to: Modality, window: tuple[float, float] | None = None
) -> Volume:
    """Put the model's mean training slice into every axial slice of the source's head, on the source's grid.

    It knows where a head lies in its frame and nothing else. Framing, scale and layout are those of a
    translation.

    Args:
        source: in physical units.
        model: its mean slices and its scale are used, its networks are not.
        to: target modality.
        window: HU that are black and white in CT pictures (default: the model's).

    Raises:
        InputRefused: no head is found.
    """
    means = _MeanModel(model.description, model.generators, model.means, window=window or model.window)
    return translate_volume(source, means.axial(), to)[0]


class _MeanSlice(nn.Module):
    """A generator that gives the same slice whatever it is shown."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean, requires_grad=False)

    def forward(self, image: Tensor) -> Generated:
        nothing = image.new_zeros(len(image))
        return Generated(self.mean.expand(len(image), -1, -1, -1), Posterior(nothing, nothing))


class _MeanModel(Model):
    """A model whose translations are its mean slices."""

    def translator(self, to: Modality) -> _MeanSlice:  # type: ignore[override]
        return _MeanSlice(self.means[to])
