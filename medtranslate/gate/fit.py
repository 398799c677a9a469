"""Fits the gate of a model on the model's training slices and on digital heads.

Right slices come from the sources. Wrong pictures are made of them (`negatives`, `scans`) and of digital
heads (`heads`). A part of the right slices, in whole runs of neighbours, is held back to set the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import AugmentSettings, Modality, NetworkSettings, ScaleSettings
from medtranslate.data import Source
from medtranslate.data.phantom_slices import PhantomSlices
from medtranslate.gate.heads import bare_heads, other_views
from medtranslate.gate.negatives import WRONG, offered, turned
from medtranslate.gate.scans import SCANS
from medtranslate.modality import OTHER
from medtranslate.model import Generators
from medtranslate.networks import HIGHEST, KINDS, MODALITIES, SliceGate, VariationalGenerator, pooled, shrink
from medtranslate.phantom import HELD_OUT
from medtranslate.runtime import progress
from medtranslate.transforms import augment

MOST = 2_000
"""Most slices of a source."""

PHANTOMS = 600
"""Slices of digital heads of each modality."""

MADE = 360
"""Pictures of each wrong kind, for each modality."""

BATCH = 64

HEADS = 20
"""Heads of a batch that are compared with their rotations by 90, 180 and 270 degrees."""

LYING = 0.3
"""Share of the heads in a batch that are rotated."""

SMALLER = (0.35, 1.35)
"""Share of the pictures that become smaller than their frame, and the largest factor."""

MIX = (0.3, 0.3, 0.02, 0.11, 0.27)
"""Share of each kind in a batch, before heads are rotated."""

RATE = 3e-3

FIRST = HELD_OUT - 500_000
"""First seed of the digital heads."""

HELD = 6
"""One of this many runs of neighbours is held back."""

RUNS = 60
"""Runs of neighbours into which a source is divided."""

COPIES = 4
"""Moved copies of each slice that is held back."""

WARNED, REFUSED = 0.01, 0.003
"""Shares of the slices held back that are beyond the limits."""

MARGIN = 1.15
"""Factor of the refusal limit of the distance: a few hundred slices do not sample the tail."""

_STILL = AugmentSettings(distant=0.0, degrees=15.0, scale=0.12, shift=0.05, mr_gamma=0.4)

_COPY = AugmentSettings(distant=0.0, degrees=5.0, scale=0.04, shift=0.02)

SHRUNK = 0.05
"""Shrinkage of the covariance: few slices determine 128 dimensions poorly."""

_SETS = sum(8 + len(WRONG | SCANS[which]) for which in MODALITIES)
"""Steps of the progress bar: for each modality one of `_split`, and those of `_training_set`."""


def fit_gate(
    sources: Mapping[Modality, Source],
    generators: Generators,
    network: NetworkSettings,
    scale: ScaleSettings,
    *,
    steps: int,
    seed: int = 0,
    quiet: bool = True,
    start: SliceGate | None = None,
) -> SliceGate:
    """Fit a gate for generators, from the slices that they were trained on.

    Args:
        sources: of each modality; digital heads in place of one that is not there.
        steps: of the classifier's training.
        seed: of everything random.
        start: a gate whose classifier is trained on, such as one that knows fewer kinds.
    """
    return fit_gates(sources, [generators], network, scale, steps=steps, seed=seed, quiet=quiet, start=start)[
        0
    ]


def fit_gates(
    sources: Mapping[Modality, Source],
    several: Sequence[Generators],
    network: NetworkSettings,
    scale: ScaleSettings,
    *,
    steps: int,
    seed: int = 0,
    quiet: bool = True,
    start: SliceGate | None = None,
) -> list[SliceGate]:
    """Fit a gate for each of several generators that were trained on the same slices, as `fit_gate` does one.

    They share a classifier, which is fitted once; distances and limits are those of each.
    """
    known, held = {}, {}
    with progress(_SETS, "set", "slices for the gate", quiet=quiet) as bar:
        for which in MODALITIES:
            known[which], held[which] = _split(sources.get(which), which, network, scale)
            bar.update()
        images, labels = _training_set(known, network, scale, seed, bar.update)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gate = SliceGate(network)
        if start is not None:
            gate.classifier.load_state_dict(start.classifier.state_dict())
        _train(gate, images, labels, steps, seed, quiet)
    gate.eval().requires_grad_(False)
    gates = [deepcopy(gate) for _ in several]
    with progress(len(MODALITIES) * len(gates), "encoder", "limits of the gate", quiet=quiet) as bar:
        for own, generators in zip(gates, several, strict=True):
            for which in MODALITIES:
                _set_limits(own, which, generators, known[which], held[which], seed)
                bar.update()
    return gates


def _set_limits(
    gate: SliceGate, which: Modality, generators: Generators, known: Tensor, held: Tensor, seed: int
) -> None:
    """Set centre, spread and limits of a modality from slices to learn from and slices held back."""
    index = MODALITIES.index(which)
    encoder = generators.to_mr if which == "ct" else generators.to_ct
    gate.centre[index], gate.whiten[index] = fitted(latents(encoder, known))
    rather = gate.ratios(held, which)[:, KINDS.index(OTHER[which])] >= 0
    again = _moved(held[rather] if rather.any() else held, seed)
    seen = torch.cat([gate.ratios(part, which) for part in again.split(BATCH)])
    limits = torch.stack([seen.quantile(share, dim=0) for share in (WARNED, REFUSED)], dim=1)
    gate.limits[index] = limits.minimum(torch.tensor(HIGHEST))
    apart = gate.distance_of(latents(encoder, again), which)
    gate.reach[index] = torch.stack([apart.quantile(1 - share) for share in (WARNED, REFUSED)])
    gate.reach[index, 1] *= MARGIN


def latents(encoder: VariationalGenerator, slices: Tensor) -> Tensor:
    """Compute pooled posterior means [N, D]."""
    device = next(encoder.parameters()).device
    with torch.inference_mode():
        return torch.cat([pooled(encoder.encode(part.to(device)).mean).cpu() for part in slices.split(16)])


def _split(
    source: Source | None, modality: Modality, network: NetworkSettings, scale: ScaleSettings
) -> tuple[Tensor, Tensor]:
    """Divide slices into those for training and those held back."""
    digital = PhantomSlices(FIRST, FIRST, modality, "both", network, scale).fixed(PHANTOMS)
    if source is None:
        source = PhantomSlices(FIRST + 1, FIRST + 1, modality, "both", network, scale)
    slices = source.fixed(MOST)
    run = torch.arange(len(slices)) * RUNS // len(slices)
    back = run % HELD == HELD - 1
    return torch.cat([slices[~back], digital]), slices[back] if back.any() else digital[::HELD]


def _training_set(
    known: Mapping[Modality, Tensor],
    network: NetworkSettings,
    scale: ScaleSettings,
    seed: int,
    advance: Callable[[], object],
) -> tuple[Tensor, Tensor]:
    """Make the training images of the classifier [N, 1, SIDE, SIDE] and their labels, indices of `KINDS`.

    `advance` is called after each set.
    """
    generator = torch.Generator().manual_seed(seed)
    parts: list[Tensor] = []
    labels: list[Tensor] = []

    def add(slices: Tensor, kind: str) -> None:
        parts.append(shrink(slices))
        labels.append(torch.full((len(slices),), KINDS.index(kind)))
        advance()

    for which in MODALITIES:
        right = known[which]

        def some(count: int, right: Tensor = right) -> Tensor:
            return right[torch.randint(len(right), (count,), generator=generator)]

        add(right, which)
        # Framed once more; otherwise being framed twice would identify a wrong picture.
        add(offered(some(2 * MADE), which, network, scale), which)
        add(offered(some(2 * MADE), OTHER[which], network, scale), which)
        add(offered(turned(some(MADE), generator), which, network, scale), "turned")
        views = other_views(which, 2 * MADE, network.size, scale, FIRST)
        add(offered(views, which, network, scale), "view")
        add(offered(turned(views, generator), which, network, scale), "view")
        add(offered(bare_heads(which, MADE, network.size, scale, FIRST), which, network, scale), "other")
        for make in (WRONG | SCANS[which]).values():
            add(offered(make(some(MADE), generator), which, network, scale), "other")
    return torch.cat(parts), torch.cat(labels)


def _train(gate: SliceGate, images: Tensor, labels: Tensor, steps: int, seed: int, quiet: bool) -> None:
    generator = torch.Generator().manual_seed(seed + 1)
    optimiser = torch.optim.AdamW(gate.classifier.parameters(), lr=RATE, weight_decay=1e-2)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    # About a sixth faster on a CPU.
    gate.classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images.contiguous(memory_format=torch.channels_last)
    weights = (torch.tensor(MIX) / torch.bincount(labels, minlength=len(KINDS)))[labels]
    gate.train()
    with progress(steps, "step", "fitting the gate", quiet=quiet) as bar:
        for step in range(steps):
            if step == steps // 2:
                weights[_mislabelled(gate, images, labels)] = 0.0
            chosen = torch.multinomial(weights, BATCH, replacement=True, generator=generator)
            batch, kinds = _turned_some(images[chosen], labels[chosen], generator)
            loss = functional.nll_loss(gate(_varied(batch, generator)), kinds)
            heads = chosen[labels[chosen] < len(MODALITIES)][:HEADS]
            loss = loss + _which_way(gate, _varied(images[heads], generator), labels[heads])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rates.step()
            bar.set_postfix(loss=f"{float(loss.detach()):.3f}", refresh=False)
            bar.update()


def _which_way(gate: SliceGate, upright: Tensor, own: Tensor) -> Tensor:
    """Compute the cross-entropy of distinguishing heads from their rotations by 90, 180 and 270 degrees.

    A network learns the upright orientation much sooner from rotations of one slice than from different
    slices (Gidaris et al., "Unsupervised representation learning by predicting image rotations", ICLR 2018).
    """
    outputs = gate(torch.cat([upright.rot90(quarters, (2, 3)) for quarters in range(4)]))
    lead = outputs.gather(1, own.repeat(4)[:, None])[:, 0] - outputs[:, KINDS.index("turned")]
    return functional.cross_entropy(lead.reshape(4, -1).T, torch.zeros(len(upright), dtype=torch.long))


@torch.no_grad()
def _mislabelled(gate: SliceGate, images: Tensor, labels: Tensor) -> Tensor:
    """Find heads that look like the other modality: published sets contain mislabelled slices."""
    gate.eval()
    outputs = torch.cat([gate(part) for part in images.split(BATCH)])
    gate.train()
    ct, mr = (KINDS.index(which) for which in MODALITIES)
    lead = outputs[:, ct] - outputs[:, mr]
    return ((labels == ct) & (lead < 0)) | ((labels == mr) & (lead > 0))


def _turned_some(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rotate some of the heads by 90, 180 or 270 degrees, and label them so."""
    quarters = torch.tensor((1, 2, 2, 3))[torch.randint(4, (len(images),), generator=generator)]
    lying = (torch.rand(len(images), generator=generator) < LYING) & (labels < len(MODALITIES))
    images = images.clone()
    for count in (1, 2, 3):
        which = lying & (quarters == count)
        images[which] = images[which].rot90(count, (2, 3))
    return images, torch.where(lying, KINDS.index("turned"), labels)


def _varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move, mirror and change contrast, noise and sharpness a little, which keeps the kind of a picture."""
    moved = _smaller(augment(images, "mr", _STILL, generator), generator)
    soft = torch.rand(len(images), generator=generator) < 0.25
    moved[soft] = functional.avg_pool2d(functional.pad(moved[soft], (1, 1, 1, 1), mode="replicate"), 3, 1)
    grain = torch.rand(len(images), generator=generator) < 0.5
    level = 0.1 * torch.rand(int(grain.sum()), 1, 1, 1, generator=generator) ** 2
    moved[grain] += level * torch.randn(moved[grain].shape, generator=generator)
    return moved.clamp(-1, 1)


def _smaller(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shrink some images in their frame: the slices of a volume share one frame, so most are smaller."""
    some = torch.rand(len(images), generator=generator) < SMALLER[0]
    zoom = torch.where(some, 1 + (SMALLER[1] - 1) * torch.rand(len(images), generator=generator), 1.0)
    theta = zoom.reshape(-1, 1, 1) * torch.eye(2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images + 1, grid, align_corners=False) - 1


def _moved(slices: Tensor, seed: int) -> Tensor:
    """Append copies that are slightly moved."""
    generator = torch.Generator().manual_seed(seed + 2)
    return torch.cat([slices, *(augment(slices, "ct", _COPY, generator) for _ in range(COPIES))])


def fitted(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and whitening matrix: the inverse root of a covariance shrunk towards its diagonal."""
    centre = vectors.mean(dim=0)
    apart = vectors - centre
    covariance = apart.T @ apart / len(vectors)
    covariance = (1 - SHRUNK) * covariance + SHRUNK * torch.eye(
        len(covariance)
    ) * covariance.diagonal().mean()
    values, axes = torch.linalg.eigh(covariance.double())
    return centre, (values.clamp_min(1e-8).rsqrt()[:, None] * axes.T).float()
