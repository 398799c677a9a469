"""`fit`: the training loop in plain sight.

One step: draw slices, add the augmented copies, make all passes, sum the weighted losses, step the
generators; then show the discriminators real slices and (pooled, detached) translations, and step
them. An exponential moving average of the generators is what is validated and kept.
"""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medtranslate import phantom
from medtranslate.checkpoint import save_model
from medtranslate.config import Modality, TrainSettings, plain, write_yaml
from medtranslate.data import Source, frame_pairs, open_source
from medtranslate.device import choose_device, choose_precision
from medtranslate.errors import Diverged, OutputExists, SettingsError
from medtranslate.jobs import check_free, progress, whole_output
from medtranslate.losses import LOSSES, Passes, kl_map, weights
from medtranslate.model import Batch, Generators, ImagePool, PassSettings, VAECycleGAN
from medtranslate.networks import Posterior
from medtranslate.transforms import AugmentedCopyd, augment

VALIDATION_SEED = phantom.HELD_OUT - 1_000
"""First seed of the phantom slices that validate; training seeds end below."""

VALIDATION_SLICES = 32

MEAN_SLICES = 128
"""Training slices, spread over the source, whose mean is the baseline of knowing only the frame."""


@dataclass
class State:
    """What changes while training; a checkpoint is this."""

    model: VAECycleGAN
    average: AveragedModel
    optimisers: dict[str, torch.optim.Optimizer]
    pools: dict[str, ImagePool]
    generator: torch.Generator
    images: int = 0
    seconds: float = 0.0


def fit(settings: TrainSettings, *, quiet: bool = False) -> dict[str, Any]:
    """Train as the settings say, into the folder `settings.out`.

    The folder holds settings.yaml, log.csv (losses), validation.csv, pictures/, checkpoint.pt (to go
    on from) and model/ (what `--model` takes). It grows while the run lasts, and is what an
    interrupted run leaves.

    Returns:
        The last line of the validation, the folder of the model, and the seconds used.

    Raises:
        OutputExists: the folder holds a run, and neither `resume` nor `overwrite` is set.
        SettingsError: the settings contradict each other, or those of the run that goes on.
        InputRefused: training images are refused.
        Diverged: a loss is no longer finite.
    """
    if not settings.unpaired and settings.loss.anchor == 0:
        raise SettingsError(
            "train: without unpaired images and without the anchor there is nothing to learn from"
        )
    out = settings.out
    _prepare(settings)
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if precision is torch.bfloat16 else "32-true",
    )
    fabric.seed_everything(settings.seed, verbose=False)
    sources = _sources(settings, quiet)
    state = _fresh(settings, fabric.device)
    if settings.resume:
        _restore(state, out / "checkpoint.pt")
    generators, generator_optimiser = fabric.setup(state.model.generators, state.optimisers["generators"])
    discriminators, discriminator_optimiser = fabric.setup(
        state.model.discriminators, state.optimisers["discriminators"]
    )
    discriminators.mark_forward_method("loss")
    passes = PassSettings(settings.loss.cycle > 0, settings.loss.identity > 0, settings.cycle_noise)
    copies = (
        AugmentedCopyd({"ct": "ct", "mr": "mr"}, settings.augment) if settings.augment.copy_each else None
    )

    means = _means(settings, sources)
    started = time.monotonic() - state.seconds
    validation: dict[str, float] = {}
    bar = progress(settings.images, "image", "training", quiet=quiet)
    bar.update(state.images)
    with bar, _log(out / "log.csv") as log:
        while state.images < settings.images:
            share = state.images / settings.images
            for optimiser, rate in (
                (generator_optimiser, settings.learning_rate),
                (discriminator_optimiser, settings.discriminator_rate),
            ):
                for group in optimiser.param_groups:
                    group["lr"] = rate * decayed(share, settings.decay)
            batch = _batch(settings, sources, copies, state, fabric.device)

            made: Passes = generators(batch, passes)
            if settings.unpaired and settings.loss.adversarial > 0:
                with _frozen(state.model.discriminators):
                    judged_ct, judged_mr = discriminators(made.fake_ct, made.fake_mr)
                made = replace(made, judged_ct=judged_ct, judged_mr=judged_mr)
            terms = {
                name: (LOSSES[name](made), weight) for name, weight in weights(settings.loss, share).items()
            }
            total = torch.stack([value.to(fabric.device) * weight for value, weight in terms.values()]).sum()
            generator_optimiser.zero_grad(set_to_none=True)
            fabric.backward(total)
            fabric.clip_gradients(generators, generator_optimiser, max_norm=1.0, error_if_nonfinite=False)
            generator_optimiser.step()
            state.average.update_parameters(state.model.generators)

            judged = torch.zeros((), device=fabric.device)
            if made.judged_ct is not None and made.fake_ct is not None and made.fake_mr is not None:
                shown = {
                    name: state.pools[name].exchange(fake, state.generator)
                    for name, fake in (("ct", made.fake_ct), ("mr", made.fake_mr))
                }
                judged = discriminators.loss(batch.ct, batch.mr, shown["ct"], shown["mr"])
                discriminator_optimiser.zero_grad(set_to_none=True)
                fabric.backward(judged)
                discriminator_optimiser.step()

            state.images += settings.batch
            state.seconds = time.monotonic() - started
            values = {name: float(value.detach()) for name, (value, _) in terms.items()}
            values |= {"total": float(total.detach()), "discriminator": float(judged.detach())}
            _require_finite(values, state.images, out)
            log({"images": state.images, "seconds": round(state.seconds, 1), **values})
            bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()}, refresh=False)
            bar.update(settings.batch)
            if state.images % settings.every < settings.batch or state.images >= settings.images:
                validation = _keep(settings, state, sources, means)
    return {
        **validation,
        "model": str(out / "model"),
        "images": state.images,
        "seconds": round(state.seconds, 1),
    }


def decayed(share: float, decay: float) -> float:
    """Factor of the learning rate at a share of the run: one, then linear to zero over the last part."""
    return min(1.0, (1.0 - share) / decay) if decay > 0 else 1.0


# --- Data of a step ----------------------------------------------------------------------------


def _sources(settings: TrainSettings, quiet: bool) -> dict[str, Source]:
    texts = {"val_ct": settings.val_ct, "val_mr": settings.val_mr}
    if settings.unpaired:
        texts |= {"ct": settings.ct, "mr": settings.mr}
    modalities: dict[str, Modality] = {"ct": "ct", "mr": "mr", "val_ct": "ct", "val_mr": "mr"}
    return {
        key: open_source(
            text, modalities[key], settings.network, settings.scale, settings.phantom_contrast, quiet=quiet
        )
        for key, text in texts.items()
        if text is not None
    }


def _batch(
    settings: TrainSettings,
    sources: dict[str, Source],
    copies: AugmentedCopyd | None,
    state: State,
    device: torch.device,
) -> Batch:
    generator = state.generator
    unpaired: dict[str, Tensor] = {}
    if settings.unpaired:
        fresh = settings.batch // 2 if copies else settings.batch
        unpaired = {key: sources[key].draw(max(1, fresh), generator) for key in ("ct", "mr")}
        if copies:
            copies.set_random_state(seed=_seed(generator))
            unpaired = copies(unpaired)
    anchor: dict[str, Tensor] = {}
    if settings.loss.anchor > 0:
        count = max(1, round(settings.batch * settings.anchor_share)) if settings.unpaired else settings.batch
        anchor = anchor_slices(settings, count, _seed(generator, phantom.HELD_OUT - 2_000))
    return Batch(**{key: value.to(device) for key, value in (unpaired | anchor).items()})


def anchor_slices(settings: TrainSettings, count: int, seed: int) -> dict[str, Tensor]:
    """Phantom slices with their truth, framed alike and augmented alike.

    Returns:
        anchor_ct, anchor_mr (contrast as the settings say) and anchor_wanted (the contrast that the
        model is to speak), each [count, 1, S, S] in [-1, 1].
    """
    size = settings.network.size
    heads = phantom.slices(
        seed, count, size, contrast=settings.anchor_contrast, wanted=settings.phantom_contrast
    )
    assert heads.wanted is not None
    ct, mr, target = frame_pairs(heads.ct, heads.mr, heads.wanted, settings.network, settings.scale)
    still = replace(settings.augment, mr_gamma=0.0)
    moved = {
        name: augment(images, "ct", still, torch.Generator().manual_seed(seed))
        for name, images in (("anchor_ct", ct), ("anchor_mr", mr), ("anchor_wanted", target))
    }
    return moved


def _seed(generator: torch.Generator, bound: int = 2**31) -> int:
    return int(torch.randint(bound, (), generator=generator))


# --- State -------------------------------------------------------------------------------------


def _prepare(settings: TrainSettings) -> None:
    out = settings.out
    if settings.resume:
        if not (out / "checkpoint.pt").is_file():
            raise SettingsError(f"{out}: no checkpoint.pt to resume from; train without --resume")
        return
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    if out.exists() and not settings.overwrite:
        raise OutputExists(f"{out}: exists already; give --resume to go on or --overwrite to start anew")
    check_free(out, overwrite=settings.overwrite)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pictures").mkdir()
    write_yaml(settings, out / "settings.yaml")


def _fresh(settings: TrainSettings, device: torch.device) -> State:
    model = VAECycleGAN(settings.network).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return State(
        model=model,
        average=AveragedModel(model.generators, multi_avg_fn=get_ema_multi_avg_fn(settings.ema)),
        optimisers={
            "generators": torch.optim.AdamW(
                model.generators.parameters(), lr=settings.learning_rate, betas=(0.5, 0.99), weight_decay=1e-4
            ),
            "discriminators": torch.optim.AdamW(
                model.discriminators.parameters(),
                lr=settings.discriminator_rate,
                betas=(0.5, 0.99),
                weight_decay=1e-4,
            ),
        },
        pools={"ct": ImagePool(settings.pool), "mr": ImagePool(settings.pool)},
        generator=torch.Generator().manual_seed(settings.seed),
    )


def _keep(
    settings: TrainSettings, state: State, sources: dict[str, Source], means: Mapping[Modality, Tensor]
) -> dict[str, float]:
    """Checkpoint, model folder, validation scores and a picture."""
    out = settings.out
    average = state.average.module
    assert isinstance(average, Generators)
    scores = _validate(settings, average.eval(), sources, out / "pictures" / f"{state.images:08d}.png")
    average.train()
    _require_finite(scores, state.images, out)
    with _log(out / "validation.csv") as log:
        log({"images": state.images, "seconds": round(state.seconds, 1), **scores})
    with whole_output(out / "model", overwrite=True, folder=True) as folder:
        save_model(
            folder,
            average,
            means,
            name=settings.name,
            summary=settings.notes or f"{settings.name}: {state.images} images seen",
            network=settings.network,
            scale=settings.scale,
            training={
                "ct": settings.ct,
                "mr": settings.mr,
                "unpaired": settings.unpaired,
                "anchor": settings.loss.anchor,
                "images": state.images,
                "seconds": round(state.seconds),
                "threads": torch.get_num_threads(),
                "validation": scores,
            },
        )
    # Torch hides the system's error when it opens the file itself; a full disk must be told from a bug.
    with whole_output(out / "checkpoint.pt", overwrite=True, folder=False) as path, path.open("wb") as file:
        torch.save(_snapshot(settings, state), file)
    return scores


def _snapshot(settings: TrainSettings, state: State) -> dict[str, Any]:
    return {
        "settings": plain(settings),
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in state.optimisers.items()},
        "pools": {name: pool.images for name, pool in state.pools.items()},
        "random": {"batches": state.generator.get_state(), "torch": torch.get_rng_state()},
        "images": state.images,
        "seconds": state.seconds,
    }


def _restore(state: State, path: Path) -> None:
    saved = torch.load(path, map_location="cpu", weights_only=True)
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    for name, optimiser in state.optimisers.items():
        optimiser.load_state_dict(saved["optimisers"][name])
    for name, pool in state.pools.items():
        pool.images = saved["pools"][name]
    state.generator.set_state(saved["random"]["batches"])
    torch.set_rng_state(saved["random"]["torch"])
    state.images, state.seconds = saved["images"], saved["seconds"]


def _means(settings: TrainSettings, sources: dict[str, Source]) -> dict[Modality, Tensor]:
    """Mean framed training slice of each modality, [1, S, S]."""
    if settings.unpaired:
        return {
            "ct": sources["ct"].fixed(MEAN_SLICES).mean(dim=0),
            "mr": sources["mr"].fixed(MEAN_SLICES).mean(dim=0),
        }
    known = anchor_slices(settings, MEAN_SLICES, 0)
    return {"ct": known["anchor_ct"].mean(dim=0), "mr": known["anchor_wanted"].mean(dim=0)}


# --- Validation --------------------------------------------------------------------------------


@torch.no_grad()
def _validate(
    settings: TrainSettings, generators: Generators, sources: dict[str, Source], picture: Path
) -> dict[str, float]:
    """Cycle errors and latents on validation slices, paired errors on phantom slices, and a picture.

    Errors are means over the frame as a share of the range.
    """
    device = next(generators.parameters()).device
    scores: dict[str, float] = {}
    rows: list[Tensor] = []
    for key, there, back in (
        ("val_ct", generators.to_mr, generators.to_ct),
        ("val_mr", generators.to_ct, generators.to_mr),
    ):
        if key not in sources:
            continue
        real = sources[key].fixed(VALIDATION_SLICES).to(device)
        made = there(real)
        cycled = back(made.image).image
        scores[f"cycle_{key[4:]}"] = _error(cycled, real)
        scores |= {f"{name}_{key[4:]}": value for name, value in latent_scores(made.posterior).items()}
        rows += [real, made.image, cycled]
    known = {
        key: value.to(device)
        for key, value in anchor_slices(settings, VALIDATION_SLICES, VALIDATION_SEED).items()
    }
    fake_ct = generators.to_ct(known["anchor_mr"]).image
    fake_mr = generators.to_mr(known["anchor_ct"]).image
    scores["phantom_ct"] = _error(fake_ct, known["anchor_ct"])
    scores["phantom_mr"] = _error(fake_mr, known["anchor_wanted"])
    rows += [known["anchor_mr"], fake_ct, known["anchor_ct"], fake_mr, known["anchor_wanted"]]
    _picture(rows, picture)
    return scores


def latent_scores(posterior: Posterior) -> dict[str, float]:
    """Signs of a collapsed or ignored latent.

    Returns:
        kl: mean per latent element; active: channels whose mean varies by more than 0.01 over slices
        and places (Burda et al., 2016); aggregate_mean and aggregate_variance of the aggregated
        posterior, 0 and 1 where it is the prior.
    """
    mean, variance = posterior.mean, posterior.log_variance.exp()
    return {
        "kl": float(kl_map(posterior).mean()),
        "active": float((mean.var(dim=(0, 2, 3)) > 0.01).sum()),
        "aggregate_mean": float(mean.mean()),
        "aggregate_variance": float(mean.var() + variance.mean()),
    }


def _error(made: Tensor, truth: Tensor) -> float:
    """Mean absolute error over what either shows, as a share of the range."""
    visible = torch.maximum(made, truth) > -0.94
    return float((made - truth).abs()[visible].mean() / 2)


def _picture(rows: list[Tensor], path: Path, columns: int = 12) -> None:
    sheet = torch.cat([torch.cat(list(row[:columns, 0]), dim=1) for row in rows])
    Image.fromarray(((sheet.cpu().float().numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)).save(path)


# --- Small print -------------------------------------------------------------------------------


@contextmanager
def _frozen(module: torch.nn.Module) -> Iterator[None]:
    """No gradient of the judges' own weights is computed while they judge for the generators."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


@contextmanager
def _log(path: Path) -> Iterator[Callable[[dict[str, float]], None]]:
    """Append rows to a CSV; the first row of a new file brings the header."""
    with path.open("a", newline="", encoding="utf-8") as file:

        def write(row: dict[str, float]) -> None:
            writer = csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" for key, value in row.items()})
            file.flush()

        yield write


def _require_finite(values: dict[str, float], images: int, out: Path) -> None:
    broken = [name for name, value in values.items() if not np.isfinite(value)]
    if broken:
        raise Diverged(
            f"{out}: {', '.join(broken)} not finite after {images} images; the last good checkpoint is kept,"
            " resume with a lower --learning-rate or --precision float32"
        )
