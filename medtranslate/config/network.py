"""Settings of the scales and the networks, which a model remembers."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from medtranslate.config.names import DiscriminatorName, GeneratorName
from medtranslate.config.types import (
    FROZEN,
    Ends,
    Fraction,
    FrameName,
    GroupedWidths,
    Planes,
    Rare,
    Width,
    Widths,
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ScaleSettings:
    """Scales that map physical units to the networks' [-1, 1] and back; part of a model."""

    ct_window: Ends = (-20.0, 100.0)
    """Lowest and highest CT value in HU; values outside saturate. (-20, 100) is the brain window 40/120."""
    ct_knots: Rare[tuple[float, ...]] = ()
    """HU between the ends of the window that cut the networks' range into equal parts, so that close knots
    give their tissues more of it (default: none, a linear scale)."""
    ct_picture: Rare[Ends | None] = None
    """HU that are black and white in a CT picture (default: the ends of `ct_window`)."""
    ct_picture_blur: Rare[Annotated[float, Field(ge=0, le=8)]] = 0.0
    """Sigma, in pixels of a frame of 256, by which a translated CT is blurred as it becomes a picture."""
    mr_percentile: Rare[Annotated[float, Field(gt=50.0, le=100.0)]] = 99.5
    """Percentile of an MR volume's foreground that becomes +1 (zero becomes -1)."""
    mr_range: Rare[Ends] = (0.0, 1000.0)
    """Lowest and highest value of a translated MR, in arbitrary units."""

    @property
    def ct_curve(self) -> tuple[float, ...]:
        """HU at equal steps of the networks' range, from its lower to its upper end."""
        return (self.ct_window[0], *self.ct_knots, self.ct_window[1])

    @property
    def shown_window(self) -> Ends:
        """HU that are black and white in a CT picture."""
        return self.ct_picture or self.ct_window

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if any(low >= high for low, high in pairwise(self.ct_curve)):
            raise ValueError(f"ct_knots: {self.ct_curve} do not rise from end to end of ct_window")
        return self


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class NetworkSettings:
    """Shapes of the two generators and the two discriminators; part of a model."""

    size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)] = 128
    """Side of the square slices that the networks see, in pixels."""
    margin: Rare[Fraction] = 0.06
    """Air around the head, as a fraction of the frame's side."""
    frame: Rare[FrameName] = "head"
    """head: crop each slice around the head, alike in CT and MR; slice: use whole slices. With whole slices
    the networks learn to change the size of the head (docs/method.md)."""
    generator: Rare[GeneratorName] = "vae"
    """Network that translates."""
    fold: Rare[Literal[1, 2, 4, 8]] = 4
    """Side of the pixel blocks that are folded into channels before the first layer."""
    channels: GroupedWidths = (48, 64)
    """Generator channels: at the folded resolution, then at each halving of it."""
    blocks: Rare[Annotated[int, Field(gt=0, le=64)]] = 1
    """Residual blocks on each side of a level."""
    latent_channels: Rare[Width] = 8
    """Channels of the posterior q(z|x), which has the folded resolution."""
    fine: Rare[Annotated[int, Field(ge=0, le=16)]] = 0
    """Channels of a second part of the posterior, with a cell for each 2 x 2 pixels, in which edges lie; 0
    for none."""
    neighbours: Rare[Annotated[int, Field(ge=0, le=2)]] = 0
    """Slices below, and above, that the generators see beside the one that they translate. A picture stands
    for its own."""
    planes: Rare[Planes] = 1
    """Planes whose slices the generators know: 1 for axial ones alone, 3 for coronal and sagittal ones, too.
    They learn those from label maps (`anchor_labels`), and translate volumes from all three sides."""
    coordinates: Rare[bool] = True
    """Give the generators the position of each pixel in the frame; bone and bright CSF differ by it alone."""
    told: Rare[Annotated[int, Field(ge=0, le=7)]] = 0
    """Tissues whose brightness the generator of MR is told: 7, so that it can answer in any contrast, or
    none."""
    seen: Rare[Annotated[int, Field(ge=0, le=7)]] = 0
    """Tissues whose brightness the generator of CT estimates in the MR that it is given: 7, so that a
    contrast can be named and met again, or none."""
    limits: Rare[bool] = False
    """Estimate an error limit for each pixel of a translation (`loss.limit`)."""
    attention: Rare[bool] = True
    """Use self-attention at the coarsest level, so that it sees the whole head."""
    discriminator: Rare[DiscriminatorName] = "multiscale"
    """Network that tells real slices from translated ones."""
    discriminator_channels: Rare[Widths] = (16, 32, 64, 64)
    """Discriminator channels by stage; each stage halves the resolution and has a head of its own."""
    heads: Rare[Literal["all", "last"]] = "all"
    """Use the discriminator heads of all stages, or of the last alone."""
    adjustment: Rare[bool] = True
    """Scale and shift the features of earlier heads by the deepest features."""
    independent: Rare[bool] = True
    """Keep the gradients of earlier heads from the stages that are deeper than their own."""

    @property
    def shown(self) -> int:
        """Slices that a generator sees at once."""
        return 1 + 2 * self.neighbours

    @model_validator(mode="after")
    def _has_cells(self) -> Self:
        if self.fine and self.fold == 1:
            raise ValueError("fine: its cells have 2 x 2 pixels, and a fold of 1 has finer ones; give fold 2")
        return self
