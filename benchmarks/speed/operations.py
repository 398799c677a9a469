"""Counts what networks and steps cost on paper: floating-point operations, and bytes read and written.

Operations are those of convolutions, matrix products and attention, a multiplication and an addition counted
as two; bytes are counted as if every operation read its inputs and wrote its outputs once. Nothing is
computed for this, so it takes seconds at any size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from benchmarks.ablation.methods import cyclegan
from medtranslate.config import NetworkSettings
from medtranslate.networks import MultiScaleDiscriminator, VariationalGenerator
from medtranslate.networks.blocks import AttentionBlock
from medtranslate.networks.hourglass import Hourglass

GENERATOR_PASSES = 6
"""Of one pair of slices: two translations, two ways back, two identities; forward and backward each."""

JUDGED = 4
"""Slices that discriminators are shown in their own step, forward and backward: two real, two made."""

JUDGED_FROZEN = 2
"""Slices that they judge for the generators: forward, and backward to the image alone."""

KINDS = {
    "convolution": ("conv",),
    "attention": ("scaled_dot_product", "addmm", "::mm", "bmm"),
    "normalisation": ("norm",),
    "resizing": ("upsample",),
    "optimiser and average": ("_foreach", "_fused", "lerp", "Optimizer"),
    "copies and casts": ("copy", "cat", "clone", "contiguous", "fill", "zero", "pad"),
}
"""Kinds of operation by what their names contain; the first that fits. What is left is element by element."""

_aten = torch.ops.aten
COUNTED = flop_registry | {
    _aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(
        q.shape, k.shape, v.shape
    ),
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda g, q, k, v, *_, **__: (
        sdpa_backward_flop_count(g.shape, q.shape, k.shape, v.shape)
    ),
}
"""How operations are counted: by torch's table, which lacks attention on a CPU."""


@dataclass(frozen=True)
class Cost:
    """Floating-point operations, and bytes read and written."""

    flop: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flop + other.flop, self.bytes + other.bytes)

    def __mul__(self, count: float) -> Cost:
        return Cost(self.flop * count, self.bytes * count)


Both = tuple[Cost, Cost]
"""Of a forward pass, and of a forward and a backward one."""

Parts = Mapping[str, Both]


class Tally(TorchDispatchMode):
    """Adds up every operation that is no mere view, by kind."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.kinds: defaultdict[str, Cost] = defaultdict(Cost)

    @property
    def cost(self) -> Cost:
        return sum(self.kinds.values(), Cost())

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            counted = COUNTED.get(func.overloadpacket)
            flop = counted(*args, **(kwargs or {}), out_val=out) if counted else 0
            size = sum(one.numel() * one.element_size() for one in tensors)
            self.kinds[kind(str(func.overloadpacket).replace(".", "::"))] += Cost(flop, size)
        return out


def ours(size: int, precision: torch.dtype = torch.bfloat16) -> Parts:
    """Count the cost of one slice by part of our networks: forward, and forward with backward."""
    settings = NetworkSettings(size=size)
    generator, judge = VariationalGenerator(settings), MultiScaleDiscriminator(settings)
    for network in (generator, judge):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    with _paper(), _autocast(precision):
        layers = [*generator.encoder, *generator.decoder]
        parts = {
            "body": [layer for layer in layers if not isinstance(layer, Hourglass)],
            "hourglass": [layer for layer in layers if isinstance(layer, Hourglass)],
            "attention": [one for one in generator.modules() if isinstance(one, AttentionBlock)],
            "unfold": [*generator.unfold],
        }
        costs = _costs(generator, parts, size)
        costs["hourglass"] = _less(costs["hourglass"], costs["attention"])
        return costs | {"discriminator": _cost(judge, torch.empty(1, 1, size, size))} | _frozen(judge, size)


def theirs(size: int) -> Parts:
    """Count the same of the networks as published, in float32."""
    generator, judge = cyclegan.ResNetGenerator(), cyclegan.PatchDiscriminator()
    with _paper():
        blocks: list[nn.Module] = [layer for layer in generator if isinstance(layer, cyclegan.Residual)]
        costs = _costs(generator, {"nine blocks": blocks}, size)
        costs["ways in and out"] = _less(costs["generator"], costs["nine blocks"])
        return costs | {"discriminator": _cost(judge, torch.empty(1, 1, size, size))} | _frozen(judge, size)


def _paper() -> FakeTensorMode:
    """Compute shapes without values."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def _autocast(precision: torch.dtype) -> torch.autocast:
    # Without its cache: weights are cast anew in every pass, as they are between two steps.
    return torch.autocast("cpu", precision, enabled=precision is not torch.float32, cache_enabled=False)


def step_cost(parts: Parts) -> Cost:
    """Count one image of each modality through a whole step, without optimisers and losses."""
    return (
        parts["generator"][1] * GENERATOR_PASSES
        + parts["discriminator"][1] * JUDGED
        + parts["discriminator, frozen"][1] * JUDGED_FROZEN
    )


def _costs(generator: nn.Module, parts: Mapping[str, list[nn.Module]], size: int) -> dict[str, Both]:
    """Count the cost of a generator and of parts of it, each on what it is given in a pass."""
    given: dict[nn.Module, Tensor] = {}
    hooks = [
        part.register_forward_pre_hook(lambda module, inputs: given.update({module: inputs[0]}))
        for chosen in parts.values()
        for part in chosen
    ]
    image = torch.empty(1, 1, size, size)
    generator(image)
    for hook in hooks:
        hook.remove()
    costs = {"generator": _cost(generator, image)}
    for name, chosen in parts.items():
        each = [_cost(part, given[part]) for part in chosen]
        costs[name] = sum((one[0] for one in each), Cost()), sum((one[1] for one in each), Cost())
    return costs


def _cost(module: nn.Module, given: Tensor) -> Both:
    module.zero_grad()  # what accumulates would be counted too
    with torch.no_grad(), Tally() as forward:
        module(given)
    with Tally() as both:
        made = module(given.detach().requires_grad_())
        heads = made if isinstance(made, list) else [getattr(made, "image", made)]
        torch.autograd.backward(heads, [torch.ones_like(head) for head in heads])
    return forward.cost, both.cost


def _frozen(judge: nn.Module, size: int) -> dict[str, Both]:
    judge.requires_grad_(False)
    return {"discriminator, frozen": _cost(judge, torch.empty(1, 1, size, size))}


def _less(whole: Both, *parts: Both) -> Both:
    forward, both = whole
    for part in parts:
        forward, both = forward + part[0] * -1, both + part[1] * -1
    return forward, both


def kind(operation: str) -> str:
    return next(
        (name for name, words in KINDS.items() if any(word in operation for word in words)),
        "element by element" if operation.startswith("aten::") else "the rest",
    )
