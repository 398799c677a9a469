"""Trains each method of the ablation, and translates with any of them.

Methods as they were published see one slice of each modality a step, unaugmented; variants of ours are
settings of `medtranslate train` (settings.yaml). Baselines are not trained. Every method ends as a
`checkpoint.Model`, so that the same code scores it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.ablation.methods import cut, cyclegan, unit
from benchmarks.ablation.methods.published import Published
from benchmarks.speed.training import Ours
from medtranslate.checkpoint import Description, Model, load_model
from medtranslate.config import Modality, TrainSettings, build, read_yaml
from medtranslate.data import Source, open_sources
from medtranslate.device import choose_device, choose_precision
from medtranslate.networks import Generated, Posterior
from medtranslate.training import fit
from medtranslate.training.batches import batches, mean_slices, seeds

PUBLISHED: dict[str, Callable[..., Published]] = {
    "cyclegan": cyclegan.Trainer,
    "unit": unit.Trainer,
    "cut": cut.Trainer,
}

OURS: dict[str, Any] = read_yaml(Path(__file__).with_name("settings.yaml"))

BASELINES = ("source copied", "histogram match", "mean image")
"""As `evaluation.baselines` names them."""

METHODS = (*BASELINES, *PUBLISHED, *OURS)

FIRST = (*PUBLISHED, "plain", "anchor", "default")
"""Those that are trained with several seeds and on every dataset."""

KEPT = 500
"""Images between two checkpoints of a published method."""

PACED = 3
"""Steps over which a method's pace is measured."""


@dataclass(frozen=True)
class Trained:
    """Result of a run.

    Attributes:
        images: seen of each modality.
        seconds: of training, by the clock.
        cpu_seconds: of training; not a number for a run of ours that was resumed.
        signs: of failure.
    """

    model: Model
    images: int
    seconds: float
    cpu_seconds: float
    signs: list[str]


def settings_of(method: str, base: Mapping[str, Any]) -> TrainSettings:
    """Build the settings of a method; of a published one they say size, images, seed and data."""
    return build(TrainSettings, merged(base, OURS.get(method, {})), method)


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Change some of nested values."""
    return {
        **base,
        **{
            key: merged(base.get(key, {}), value) if isinstance(value, Mapping) else value
            for key, value in change.items()
        },
    }


def train(method: str, settings: TrainSettings) -> Trained:
    """Train a method into the folder `settings.out`, or go on where it was killed."""
    if method in OURS:
        return _ours(settings)
    return _baseline(method, settings) if method in BASELINES else _published(method, settings)


def pace(method: str, settings: TrainSettings) -> tuple[float, float]:
    """Time a few steps with the drawing of their slices: seconds per image by the clock and of the CPU."""
    sources = open_sources(settings, quiet=True).sources
    steps: list[Callable[[], object]]
    if method in OURS:
        ours = Ours(settings)
        given = ours.batches(sources, PACED + 1)
        steps = [lambda: ours.step(next(given))] * (PACED + 1)
        images = PACED * settings.batch
    else:
        trainer, slices = _trainer(method, settings), _slices(settings, sources, range(PACED + 1))
        steps = [lambda: trainer.step(*next(slices))] * (PACED + 1)
        images = PACED
    steps[0]()
    wall, cpu = time.perf_counter(), time.process_time()
    for step in steps[1:]:
        step()
    if settings.device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - wall) / images, (time.process_time() - cpu) / images


@torch.no_grad()
def translated(model: Model, images: Tensor, to: Modality) -> Tensor:
    """Translate slices [B, 1, S, S] in [-1, 1]; the result is on the CPU."""
    generator = model.translator(to)
    device = next(generator.parameters()).device
    return torch.cat([generator(part.to(device)).image.float().cpu() for part in images.split(16)])


class Wrapped(Model):
    """A model whose translations are those of any networks with `to_ct` and `to_mr`."""

    def __init__(
        self, name: str, networks: nn.Module, settings: TrainSettings, means: Mapping[Modality, Tensor]
    ):
        description = Description(
            name=name, summary=name, sha256="0" * 64, network=settings.network, scale=settings.scale
        )
        super().__init__(description, networks.eval().requires_grad_(False), means)  # type: ignore[arg-type]

    def translator(self, to: Modality) -> nn.Module:  # type: ignore[override]
        return _Speaking(self.generators, to)


class _Speaking(nn.Module):
    """One direction of some networks, in the form of a generator of ours."""

    def __init__(self, networks: nn.Module, to: Modality) -> None:
        super().__init__()
        self.networks, self.to_modality = networks, to

    def forward(self, image: Tensor) -> Generated:
        made = getattr(self.networks, f"to_{self.to_modality}")(image)
        return Generated(made, Posterior(*torch.zeros(2, len(made))))


class _Copy(nn.Module):
    """The source is its own translation."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def to_ct(self, mr: Tensor) -> Tensor:
        return mr

    def to_mr(self, ct: Tensor) -> Tensor:
        return ct


class _Mean(nn.Module):
    """Every slice becomes the mean training slice."""

    def __init__(self, means: Mapping[Modality, Tensor]) -> None:
        super().__init__()
        self.ct, self.mr = nn.Parameter(means["ct"]), nn.Parameter(means["mr"])

    def to_ct(self, mr: Tensor) -> Tensor:
        return self.ct.expand_as(mr)

    def to_mr(self, ct: Tensor) -> Tensor:
        return self.mr.expand_as(ct)


def _ours(settings: TrainSettings) -> Trained:
    begun = (settings.out / "checkpoint.pt").is_file()
    started = time.process_time()
    done = fit(replace(settings, resume=begun), quiet=True)
    busy = nan if begun else time.process_time() - started
    model = load_model(done["model"], torch.device(settings.device))
    return Trained(model, done["images"], done["seconds"], busy, done["warnings"])


def _published(method: str, settings: TrainSettings) -> Trained:
    sources = open_sources(settings, quiet=True).sources
    trainer = _trainer(method, settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    checkpoint = settings.out / "checkpoint.pt"
    seen, seconds, busy = _go_on(checkpoint, trainer)
    begun, begun_busy = time.monotonic() - seconds, time.process_time() - busy
    steps = range(seen, settings.images)
    for images, (ct, mr) in zip(steps, _slices(settings, sources, steps), strict=True):
        if images > seen and images % KEPT == 0:
            spent = time.monotonic() - begun, time.process_time() - begun_busy
            _keep(checkpoint, trainer, (images, *spent))
        torch.manual_seed(seeds(settings.seed, images, 0).passed)
        trainer.set_rate(images / settings.images)
        losses = trainer.step(ct, mr)
    signs = [f"{name} not finite" for name, loss in losses.items() if not torch.isfinite(loss)]
    seconds, busy = time.monotonic() - begun, time.process_time() - begun_busy
    weights = trainer.networks.state_dict()
    kept = {name: weight.half() for name, weight in weights.items() if "judge" not in name}
    torch.save(kept, settings.out / "networks.pt")
    means = mean_slices(settings, sources)
    return Trained(Wrapped(method, trainer.networks, settings, means), settings.images, seconds, busy, signs)


def _trainer(method: str, settings: TrainSettings) -> Published:
    device = choose_device(settings.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"
    return PUBLISHED[method](settings.seed, str(device), choose_precision(settings.precision, device))


def _slices(
    settings: TrainSettings, sources: Mapping[str, Source], steps: range
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw one CT and one MR slice a step, unaugmented; equal steps of a seed see equal slices."""
    plain = replace(
        settings,
        batch=1,
        augment=replace(settings.augment, copy_each=False),
        loss=replace(settings.loss, anchor=0.0),
    )
    for batch in batches(plain, sources, steps, 0, choose_device(settings.device)):
        assert batch.ct is not None
        assert batch.mr is not None
        yield batch.ct, batch.mr


def _keep(path: Path, trainer: Published, seen: tuple[int, float, float]) -> None:
    """Write all that the next step reads, whole or not at all; what it draws follows from its number."""
    half = path.with_suffix(".half")
    torch.save(
        {
            "seen": seen,
            "networks": trainer.networks.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in trainer.optimisers],
            "pools": {side: pool.images for side, pool in trainer.pools.items()},
        },
        half,
    )
    half.replace(path)


def _go_on(path: Path, trainer: Published) -> tuple[int, float, float]:
    """Load what was kept before a kill: images seen, and seconds by the clock and of the CPU."""
    if not path.is_file():
        return 0, 0.0, 0.0
    kept = torch.load(path, weights_only=True)
    trainer.networks.load_state_dict(kept["networks"])
    for optimiser, state in zip(trainer.optimisers, kept["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    for side, pool in trainer.pools.items():
        pool.images = kept["pools"][side]
    images, seconds, busy = kept["seen"]
    return images, seconds, busy


def _baseline(method: str, settings: TrainSettings) -> Trained:
    means = mean_slices(settings, open_sources(settings, quiet=True).sources)
    networks = _Mean(means) if method == "mean image" else _Copy()
    return Trained(Wrapped(method, networks, settings, means), 0, 0.0, 0.0, [])
