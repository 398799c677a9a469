"""The checkpoint of a run: everything that the next step reads, kept and taken up again.

A run that goes on from it is, on the same machine and CPU, bit for bit the run that never stopped. It is read
without unpickling code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from lightning_fabric import Fabric
from torch import Tensor

from medtranslate.checkpoint import Parent
from medtranslate.config import TrainSettings, build, plain
from medtranslate.errors import SettingsError, Unreadable
from medtranslate.runtime import whole_output
from medtranslate.training.distributed import gathered, own_share
from medtranslate.training.state import State

SCHEMA = "medtranslate/checkpoint/2"

CHECKPOINT = "checkpoint.pt"

FREE = (
    *("out", "resume", "overwrite", "every", "device", "workers", "capture", "cache"),
    *("name", "notes", "tensorboard", "gate", "keep_every", "keep_best"),
)
"""Settings that may change when a run goes on: nothing that is learnt depends on them."""

STEERING = ("images", "learning_rate", "discriminator_rate", "decay", "precision", "devices", "nodes")
"""Settings that may change too, but then it is another run than one that never stopped, and says so."""

PATHS = ("ct", "mr", "val_ct", "val_mr", "groups")
"""Settings that may name another path if the images there are the same."""

SAME_DATA = 1e-3
"""Largest difference of mean training slices (in [-1, 1]) that are taken for those of the same images where a
checkpoint holds no digests of them: another machine's arithmetic changes as much, one image far more."""


def keep_checkpoint(settings: TrainSettings, state: State, fabric: Fabric) -> None:
    """Put a checkpoint in place of the last one; every process gives its part, the first one writes."""
    pools = {name: gathered(fabric, pool.images) for name, pool in state.pools.items()}
    if fabric.is_global_zero:
        with whole_output(settings.out / CHECKPOINT, overwrite=True, folder=False) as path:
            save(settings, state, pools, path)


def save(settings: TrainSettings, state: State, pools: Mapping[str, list[Tensor]], path: Path) -> None:
    """Write a checkpoint."""
    values = {
        "schema": SCHEMA,
        "settings": plain(settings),
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in state.optimisers.items()},
        "pools": {name: pools.get(name, []) for name in state.pools},
        "means": state.means,
        "digests": {key: list(digests) for key, digests in state.digests.items()},
        "parent": state.parent and asdict(state.parent),
        "notice": state.notice,
        "best": state.best,
        "judged": list(state.judged),
        "scores": state.scores,
        "warnings": state.warnings,
        "images": state.images,
        "seconds": state.seconds,
    }
    # Torch hides the system's error when it opens the file itself; a full disk must be told from a bug.
    with path.open("wb") as file:
        torch.save(values, file)


def read_checkpoint(settings: TrainSettings) -> dict[str, Any]:
    """Read the checkpoint in the run's folder.

    Raises:
        SettingsError: there is none, or it was made with other settings than these; names them.
        Unreadable: it is damaged, foreign or of another version.
    """
    path = settings.out / CHECKPOINT
    if not path.is_file():
        raise SettingsError(
            f"{settings.out}: holds no checkpoint.pt, so no run to resume; name a run's folder,"
            " or train without --resume"
        )
    saved = _read(path, _ANEW)
    differ = [
        name
        for name in _changed(settings, saved)
        if name not in FREE + STEERING and not (name in PATHS and _both_paths(settings, saved, name))
    ]
    if differ:
        raise SettingsError(
            f"{path}: made with other {', '.join(differ)}; resume with those of settings.yaml"
        )
    return saved


def read_weights(run: Path) -> Mapping[str, Tensor]:
    """Read the weights of generators and discriminators in the checkpoint of a run.

    Raises:
        Unreadable: it is damaged, foreign or of another version.
    """
    weights: Mapping[str, Tensor] = _read(run / CHECKPOINT, "start from a copy of its model folder")["model"]
    return weights


def _read(path: Path, advice: str) -> dict[str, Any]:
    try:
        with ZipFile(path) as archive:
            if broken := archive.testzip():  # torch itself does not compare the checksums it writes
                raise BadZipFile(broken)
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of foreign bytes torch's readers raise almost anything
        raise Unreadable(f"{path}: damaged, or no checkpoint ({type(error).__name__}); {advice}") from None
    schema = saved.get("schema") if isinstance(saved, dict) else None
    if schema != SCHEMA or not isinstance(saved.get("settings"), dict):
        raise Unreadable(f"{path}: no checkpoint of this version ({schema!r}, not {SCHEMA!r}); {advice}")
    return dict(saved)


_ANEW = "train anew with --overwrite"


def restore(settings: TrainSettings, state: State, saved: Mapping[str, Any], fabric: Fabric) -> None:
    """Bring the state to that of a checkpoint, which may be of another number of processes.

    Raises:
        SettingsError: the training images are not those of the checkpoint.
        Unreadable: the checkpoint's parts do not fit this version's networks.
    """
    path = settings.out / CHECKPOINT
    try:
        _load(state, saved, fabric)
        others, reordered = _compare_images(state, saved)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise Unreadable(f"{path}: does not fit this version ({type(error).__name__}); {_ANEW}") from None
    if others:
        raise SettingsError(f"{path}: made with other images than {others}; put those back, or {_ANEW}")
    for key in reordered:
        state.warnings[f"{key}_reordered_{state.images}"] = (
            f"the same {key} images come in another order after {state.images} images: {_NEITHER}"
        )
    for name in _changed(settings, saved):
        if name in STEERING:
            before, now = saved["settings"][name], getattr(settings, name)
            state.warnings[f"{name}_changed_{state.images}"] = (
                f"{name} became {now} instead of {before} after {state.images} images: {_NEITHER}"
            )


_NEITHER = "this is no longer the run that either alone would have been"


def _compare_images(state: State, saved: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Compare the images with those of a checkpoint: files by digests, others by their mean slice.

    Returns:
        A phrase that names the images that differ, empty where none do; and the sources in another order.
    """
    known: Mapping[str, list[str]] = saved.get("digests", {})
    others = [
        f"{which} holds now"
        for which, mean in state.means.items()
        if not torch.allclose(mean, saved["means"][which], rtol=0, atol=SAME_DATA) and which not in known
    ]
    reordered = []
    for key, digests in known.items():
        now, then = Counter(state.digests.get(key, ())), Counter(digests)
        if now != then:
            others.append(
                f"{key} holds now ({(now - then).total()} of {now.total()} are new, {(then - now).total()} of"
                f" {then.total()} are gone)"
            )
        elif list(state.digests[key]) != list(digests):
            reordered.append(key)
    return " and ".join(others), reordered


def _both_paths(settings: TrainSettings, saved: Mapping[str, Any], name: str) -> bool:
    """Tell whether a setting named files before and does so again; which ones, the digests decide later."""
    texts = plain(settings)[name], saved["settings"].get(name)
    return all(isinstance(text, str) and not text.startswith("phantom:") for text in texts)


def _changed(settings: TrainSettings, saved: Mapping[str, Any]) -> list[str]:
    now, then = plain(settings), plain(build(TrainSettings, saved["settings"], CHECKPOINT))
    return [name for name in now if now[name] != then[name]]


def _load(state: State, saved: Mapping[str, Any], fabric: Fabric) -> None:
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    for name, optimiser in state.optimisers.items():
        optimiser.load_state_dict(saved["optimisers"][name])
    for name, pool in state.pools.items():
        images = own_share(fabric, saved["pools"][name])[: pool.size]
        pool.images = [image.to(state.device) for image in images]
    state.judged.extend(saved["judged"])
    state.scores, state.warnings = dict(saved["scores"]), dict(saved["warnings"])
    state.parent = Parent(**saved["parent"]) if saved.get("parent") else None
    state.notice, state.best = str(saved.get("notice", "")), dict(saved.get("best", {}))
    state.images, state.seconds = int(saved["images"]), float(saved["seconds"])
