"""The model that a run starts from: weights in place of noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

from torch import Tensor

from medtranslate.checkpoint import Parent, as_parent, find_model, load_model
from medtranslate.config import NetworkSettings, ScaleSettings, TrainSettings
from medtranslate.errors import SettingsError
from medtranslate.model import Generators
from medtranslate.networks.enlarge import between, grown
from medtranslate.training.resume import CHECKPOINT, read_weights
from medtranslate.training.state import State

_RENAMED_UNITS = "mr_range"
"""The one setting of the scale that may differ: a translated MR has other arbitrary units, which is a linear
map of the same [-1, 1]. A network's output ends at the CT window, and a percentile is another value in each
image, so neither can be mapped."""


@dataclass(frozen=True)
class Start:
    """Weights to begin with.

    Attributes:
        generators: state of both, the moving average of the parent.
        discriminators: state of both; None where the parent is no run.
        parent: the model that they are of.
        notice: its terms, as the new model carries them.
        calibrated: the parent has a calibration, which the new model loses.
    """

    generators: Mapping[str, Tensor]
    discriminators: Mapping[str, Tensor] | None
    parent: Parent
    notice: str
    calibrated: bool


def read_start(settings: TrainSettings) -> Start | None:
    """Read the model that the settings name to start from, if any.

    A network of more blocks begins with blocks that change nothing, and one for slices of twice the side and
    fold, or four times, and so on, with enlarged weights.

    Raises:
        SettingsError: anatomy, network or scale differ from the model's otherwise; names them.
        ModelRefused: there is no such model, or its terms forbid it.
        Unreadable: the checkpoint of the run that it belongs to is damaged.
    """
    if settings.parent is None:
        return None
    folder = find_model(settings.parent)
    model = load_model(str(folder))
    description = model.description
    if settings.anatomy != description.anatomy:
        raise SettingsError(
            f"train --from {description.name}: anatomy is {settings.anatomy}, and the model's is"
            f" {description.anatomy}; leave --anatomy out, or train without --from"
        )
    # Limits that the parent does not estimate begin with noise, and planes have no weights of their own.
    wanted = settings.network
    known = replace(
        description.network, limits=description.network.limits or wanted.limits, planes=wanted.planes
    )
    sizes = between(known, settings.network)
    if sizes is None or (sizes and settings.network.generator != "vae"):
        _require_same("network", settings.network, known, description.name)
    _require_same("scale", settings.scale, description.scale, description.name)
    parent, notice = as_parent(folder, description)
    return Start(
        _grown(model.generators.state_dict(), known, sizes or []),
        _discriminators(folder),
        parent,
        notice,
        bool(description.calibration or description.limits),
    )


def start_from(state: State, start: Start) -> None:
    """Put weights into the state of a run that has not begun."""
    for generators in (state.model.generators, state.average):
        generators.load_state_dict({**generators.state_dict(), **start.generators})
    if start.discriminators is not None:
        state.model.discriminators.load_state_dict(start.discriminators)
    state.parent, state.notice = start.parent, start.notice
    if start.calibrated:
        state.warnings["uncalibrated"] = (
            f"the calibration of {start.parent.name} does not hold for weights trained on from it and is"
            " dropped; `medtranslate calibrate` fits one"
        )


def _grown(
    state: Mapping[str, Tensor], network: NetworkSettings, sizes: Sequence[NetworkSettings]
) -> Mapping[str, Tensor]:
    """Give both generators the weights of a larger network, step by step."""
    for before, after in pairwise((network, *sizes)):
        fresh = Generators(after).state_dict()
        state = {
            f"{side}{name}": weight
            for side in _SIDES
            for name, weight in grown(_of(state, side), _of(fresh, side), before, after).items()
        }
    return state


_SIDES = ("to_ct.", "to_mr.")


def _of(state: Mapping[str, Tensor], side: str) -> dict[str, Tensor]:
    return {name.removeprefix(side): weight for name, weight in state.items() if name.startswith(side)}


def _discriminators(folder: Path) -> Mapping[str, Tensor] | None:
    """Read the discriminators of the run whose model lies in `folder`."""
    if folder.name != "model" or not (folder.parent / CHECKPOINT).is_file():
        return None
    weights, within = read_weights(folder.parent), "discriminators."
    return {key.removeprefix(within): value for key, value in weights.items() if key.startswith(within)}


def _require_same(
    group: str,
    given: NetworkSettings | ScaleSettings,
    known: NetworkSettings | ScaleSettings,
    name: str,
) -> None:
    differ = [
        f"{group}.{field.name} is {getattr(given, field.name)} and not {getattr(known, field.name)}"
        for field in fields(known)
        if getattr(given, field.name) != getattr(known, field.name) and field.name != _RENAMED_UNITS
    ]
    if differ:
        raise SettingsError(
            f"train --from {name}: {', '.join(differ)}; leave out the settings that differ from the model's,"
            " or train without --from"
        )
