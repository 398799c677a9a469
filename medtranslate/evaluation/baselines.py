"""What needs no translation: the scores that a model has to better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from monai.data import MetaTensor
from skimage.exposure import match_histograms
from torch import Tensor, nn

from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.metrics import Range, Volume, Voxels, score
from medtranslate.networks import Generated, Posterior
from medtranslate.records import Scores
from medtranslate.transforms.monai_adapters import from_metatensor, to_metatensor
from medtranslate.translation import translate_volume


def baselines(
    reference: Volume,
    mask: Voxels,
    data_range: Range,
    *,
    source: Volume | None = None,
    source_range: Range = (0.0, 1.0),
    copied_range: Range | None = None,
    mean_image: Volume | None = None,
    profile: str = "image",
    reversed_axes: Sequence[int] = (),
) -> dict[str, Scores]:
    """Scores of what needs no translation, on the same voxels.

    `source copied` maps the source's range linearly to `copied_range` and saturates outside it.
    `histogram match` gives the source's voxels in the mask the reference's histogram
    (`skimage.exposure.match_histograms`); it sees the truth, so it is stronger than any rule that
    could be used in practice. `mean image` is the mean of the target modality on this grid.

    Args:
        reference: [X, Y, Z] in the unit of `data_range`.
        mask: voxels that count.
        data_range: lowest and highest value that scores refer to.
        source: what was translated, in its own unit.
        source_range: lowest and highest value of `source`.
        copied_range: what these become in the copy (default: `data_range`).
        mean_image: in the reference's unit.
        profile: definition of the scores.
        reversed_axes: as for `metrics.score`.
    """
    images = {}
    if source is not None and mask.any():
        images["source copied"] = np.interp(source, source_range, copied_range or data_range).astype(
            np.float32
        )
        images["histogram match"] = images["source copied"].copy()
        images["histogram match"][mask] = match_histograms(source[mask], reference[mask])
    if mean_image is not None:
        images["mean image"] = mean_image
    return {
        name: score(image, reference, mask, data_range, profile, reversed_axes)[0]
        for name, image in images.items()
    }


def mean_image(source: MetaTensor, model: Model, to: Modality) -> MetaTensor:
    """The model's mean training slice in every slice of the source's head, on the source's grid.

    It knows where a head lies in its frame and nothing else. Framing, scale and layout are those of a
    translation.

    Args:
        source: [1, X, Y, Z] in physical units.
        model: its mean slices and its scale are used, its networks are not.
        to: target modality.

    Raises:
        InputRefused: no head is found.
    """
    mean = _MeanModel(model.description, model.generators, model.means)
    return to_metatensor(translate_volume(from_metatensor(source), mean, to)[0])


class _MeanSlice(nn.Module):
    """A generator that says the same slice whatever it is shown."""

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
