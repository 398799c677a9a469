"""Fits the gate of a model on the model's training slices and on digital heads.

Right slices come from the sources. Wrong pictures are made of them (`negatives`), and for models of heads
`scans` of them and digital heads (`heads`), too. A part of the right slices, in whole runs of neighbours, is
held back to set the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import Anatomy, Modality, NetworkSettings, ScaleSettings
from medtranslate.data import Source
from medtranslate.data.phantom_slices import PhantomSlices
from medtranslate.gate.heads import bare_heads, other_views
from medtranslate.gate.negatives import WRONG, Maker, offered, turned
from medtranslate.gate.scans import SCANS
from medtranslate.gate.variations import add_copies, rotate_some, vary
from medtranslate.modality import OTHER
from medtranslate.model import Generators
from medtranslate.networks import HIGHEST, KINDS, MODALITIES, SliceGate, VariationalGenerator, pooled, shrink
from medtranslate.phantom import HELD_OUT
from medtranslate.runtime import progress

MOST = 2_000
"""Most slices of a source."""

PHANTOMS = 600
"""Slices of digital heads of each modality."""

MADE = 360
"""Pictures of each wrong kind, for each modality."""

BATCH = 64

HEADS = 20
"""Heads of a batch that are compared with their rotations by 90, 180 and 270 degrees."""

MIX = (0.3, 0.3, 0.02, 0.11, 0.27)
"""Share of each kind in a batch, before heads are rotated."""

RATE = 3e-3

FIRST = HELD_OUT - 500_000
"""First seed of the digital heads."""

HELD = 6
"""One of this many runs of neighbours is held back."""

RUNS = 60
"""Runs of neighbours into which a source is divided."""

WARNED, REFUSED = 0.01, 0.003
"""Shares of the slices held back that are beyond the limits."""

MARGIN = 1.15
"""Factor of the refusal limit of the distance: a few hundred slices do not sample the tail."""

SHRUNK = 0.05
"""Shrinkage of the covariance: few slices determine 128 dimensions poorly."""


@dataclass(frozen=True)
class Trained:
    """Slices that generators were trained on, and their meaning.

    Attributes:
        sources: training slices of each modality; digital heads replace a missing one.
    """

    sources: Mapping[Modality, Source]
    network: NetworkSettings
    scale: ScaleSettings
    anatomy: Anatomy = "head"

    @property
    def heads(self) -> bool:
        """True if digital heads are slices of the same kind."""
        return self.anatomy == "head"

    def wrong(self, modality: Modality) -> Mapping[str, Maker]:
        """List the makers of wrong pictures."""
        bodies = {name: maker for name, maker in WRONG.items() if name != "bodies"}
        return WRONG | SCANS[modality] if self.heads else bodies

    @property
    def sets(self) -> int:
        """Count the sets of slices: for each modality one of `_split`, and those of `_training_set`."""
        return sum((8 if self.heads else 5) + len(self.wrong(which)) for which in MODALITIES)


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
    """Fit a gate for generators, from the slices of heads that they were trained on.

    Args:
        sources: training slices of each modality; digital heads replace a missing one.
        steps: of the classifier's training.
        seed: of all random numbers.
        start: a gate whose classifier is trained further, such as one with fewer kinds.
    """
    (gate,) = fit_gates(
        Trained(sources, network, scale), [generators], steps=steps, seed=seed, quiet=quiet, start=start
    )
    return gate


def fit_gates(
    trained: Trained,
    several: Sequence[Generators],
    *,
    steps: int,
    seed: int = 0,
    quiet: bool = True,
    start: SliceGate | None = None,
) -> list[SliceGate]:
    """Fit a gate for each of several generators that were trained on the same slices.

    The gates share a classifier, which is fitted once. Each has its own distances and limits. The other
    arguments are those of `fit_gate`.
    """
    known, held = {}, {}
    with progress(trained.sets, "set", "slices for the gate", quiet=quiet) as bar:
        for which in MODALITIES:
            known[which], held[which] = _split(trained, which)
            bar.update()
        images, labels = _training_set(trained, known, seed, bar.update)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gate = SliceGate(trained.network)
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
    """Set centre, whitening and limits of a modality, from training slices and slices held back."""
    index = MODALITIES.index(which)
    encoder = generators.to_mr if which == "ct" else generators.to_ct
    gate.centre[index], gate.whiten[index] = fitted(latents(encoder, known))
    rather = gate.ratios(held, which)[:, KINDS.index(OTHER[which])] >= 0
    again = add_copies(held[rather] if rather.any() else held, seed)
    ratios = torch.cat([gate.ratios(part, which) for part in again.split(BATCH)])
    limits = torch.stack([ratios.quantile(share, dim=0) for share in (WARNED, REFUSED)], dim=1)
    gate.limits[index] = limits.minimum(torch.tensor(HIGHEST))
    apart = gate.distance_of(latents(encoder, again), which)
    gate.reach[index] = torch.stack([apart.quantile(1 - share) for share in (WARNED, REFUSED)])
    gate.reach[index, 1] *= MARGIN


def latents(encoder: VariationalGenerator, slices: Tensor) -> Tensor:
    """Compute pooled posterior means [N, D], without the fine part."""
    device = next(encoder.parameters()).device
    with torch.inference_mode():
        means = (encoder.encode(part.to(device)).mean[:, : encoder.latent] for part in slices.split(16))
        return torch.cat([pooled(mean).cpu() for mean in means])


def _split(trained: Trained, modality: Modality) -> tuple[Tensor, Tensor]:
    """Divide slices into those for training and those held back."""
    network, scale = trained.network, trained.scale
    source = trained.sources.get(modality)
    if source is None:
        source = PhantomSlices(FIRST + 1, FIRST + 1, modality, "both", network, scale)
    slices = source.fixed(MOST)
    run = torch.arange(len(slices)) * RUNS // len(slices)
    back = run % HELD == HELD - 1
    if not trained.heads:
        return slices[~back], slices[back] if back.any() else slices[::HELD]
    digital = PhantomSlices(FIRST, FIRST, modality, "both", network, scale).fixed(PHANTOMS)
    return torch.cat([slices[~back], digital]), slices[back] if back.any() else digital[::HELD]


def _training_set(
    trained: Trained, known: Mapping[Modality, Tensor], seed: int, advance: Callable[[], object]
) -> tuple[Tensor, Tensor]:
    """Make the training images of the classifier [N, 1, SIDE, SIDE] and their labels, indices of `KINDS`.

    `advance` is called after each set.
    """
    network, scale = trained.network, trained.scale
    generator = torch.Generator().manual_seed(seed)
    parts: list[Tensor] = []
    labels: list[Tensor] = []

    def add(slices: Tensor, which: Modality, kind: str) -> None:
        parts.append(shrink(offered(slices, which, network, scale)))
        labels.append(torch.full((len(slices),), KINDS.index(kind)))
        advance()

    for which in MODALITIES:
        right = known[which]

        def some(count: int, right: Tensor = right) -> Tensor:
            return right[torch.randint(len(right), (count,), generator=generator)]

        parts.append(shrink(right))
        labels.append(torch.full((len(right),), KINDS.index(which)))
        advance()
        # Framed once more; otherwise being framed twice would identify a wrong picture.
        add(some(2 * MADE), which, which)
        add(some(2 * MADE), OTHER[which], which)
        add(turned(some(MADE), generator), which, "turned")
        if trained.heads:
            views = other_views(which, 2 * MADE, network.size, scale, FIRST)
            add(views, which, "view")
            add(turned(views, generator), which, "view")
            add(bare_heads(which, MADE, network.size, scale, FIRST), which, "other")
        for make in trained.wrong(which).values():
            add(make(some(MADE), generator), which, "other")
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
            batch, kinds = rotate_some(images[chosen], labels[chosen], generator)
            loss = functional.nll_loss(gate(vary(batch, generator)), kinds)
            heads = chosen[labels[chosen] < len(MODALITIES)][:HEADS]
            loss = loss + _which_way(gate, vary(images[heads], generator), labels[heads])
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
