"""What a training step and a translated slice cost on paper, and what this machine can do.

    python -m benchmarks.speed.step_cost [--threads 2] [--device cuda] [--paper]

On paper (`--paper` stops there): floating-point operations of convolutions, matrix products and attention,
a multiplication and an addition counted as two, and bytes, as if every operation read its inputs and
wrote its outputs once. Nothing is computed for this, so it takes seconds at any size. Then the machine's
ceilings, the floor that these set, and times by kind of operation.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from monai.networks.blocks import SpatialAttentionBlock
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from benchmarks.ablation.methods import cyclegan
from benchmarks.speed.training import contender
from medtranslate.config import NetworkSettings
from medtranslate.networks import MultiScaleDiscriminator, VariationalGenerator
from medtranslate.networks.generator import Hourglass

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
        super().__init__()
        self.kinds: defaultdict[str, Cost] = defaultdict(Cost)

    @property
    def cost(self) -> Cost:
        return sum(self.kinds.values(), Cost())

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            counted = COUNTED.get(func.overloadpacket)
            flop = counted(*args, **(kwargs or {}), out_val=out) if counted else 0
            size = sum(one.numel() * one.element_size() for one in tensors)
            self.kinds[kind(str(func.overloadpacket).replace(".", "::"))] += Cost(flop, size)
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=256, help="of what is measured")
    parser.add_argument("--paper", action="store_true", help="count only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for size in (256, 512):
        for name, parts in (("ours, bfloat16", ours(size)), ("as published, float32", theirs(size))):
            print(f"\n{name}, {size} pixels" + " " * 12 + "forward         forward and backward")
            for part, (forward, both) in parts.items():
                print(f"  {part:30} {_written(forward)}   {_written(both)}")
            print(f"  {'a step, per image':30} {'':22}   {_written(step_cost(parts))}")
    if options.paper:
        return
    peaks = ceilings(options.device)
    print("\nceilings:", ", ".join(f"{name} {value:.0f}" for name, value in peaks.items()))
    parts = ours(options.size)
    for name, cost, seconds in (
        ("a translated slice", parts["generator"][0], timed_slice(options)),
        ("a step, per image", step_cost(parts), timed_step(options)),
    ):
        arithmetic = cost.flop / peaks["bfloat16 GFLOP/s"] / 1e9
        memory = cost.bytes / peaks["copy GB/s"] / 1e9
        print(f"ours, {name}: {seconds:.4f} s; at the ceilings {arithmetic:.4f} s of", end=" ")
        print(f"arithmetic, {memory:.4f} s of memory")
    for name, (share, rate, flow) in by_kind(options).items():
        print(f"  {name:22} {share:6.1%} of the step's time {rate:7.0f} GFLOP/s {flow:6.1f} GB/s")


def ours(size: int, precision: torch.dtype = torch.bfloat16) -> Parts:
    """Costs of one slice by part of our networks: forward, and forward with backward."""
    settings = NetworkSettings(size=size)
    generator, judge = VariationalGenerator(settings), MultiScaleDiscriminator(settings)
    for network in (generator, judge):
        network.to(memory_format=torch.channels_last)
    with _paper(), _autocast(precision):
        layers = [*generator.encoder, *generator.decoder]
        parts = {
            "body": [layer for layer in layers if not isinstance(layer, Hourglass)],
            "hourglass": [layer for layer in layers if isinstance(layer, Hourglass)],
            "attention": [one for one in generator.modules() if isinstance(one, SpatialAttentionBlock)],
            "unfold": [generator.unfold],
        }
        costs = _costs(generator, parts, size)
        costs["hourglass"] = _less(costs["hourglass"], costs["attention"])
        return costs | {"discriminator": _cost(judge, torch.empty(1, 1, size, size))} | _frozen(judge, size)


def theirs(size: int) -> Parts:
    """The same of the networks as published, in float32."""
    generator, judge = cyclegan.ResNetGenerator(), cyclegan.PatchDiscriminator()
    with _paper():
        blocks = [layer for layer in generator if isinstance(layer, cyclegan.Residual)]
        costs = _costs(generator, {"nine blocks": blocks}, size)
        costs["ways in and out"] = _less(costs["generator"], costs["nine blocks"])
        return costs | {"discriminator": _cost(judge, torch.empty(1, 1, size, size))} | _frozen(judge, size)


def _paper() -> FakeTensorMode:
    """Shapes without values."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def _autocast(precision: torch.dtype) -> torch.autocast:
    # Without its cache: weights are cast anew in every pass, as they are between two steps.
    return torch.autocast("cpu", precision, enabled=precision is not torch.float32, cache_enabled=False)


def step_cost(parts: Parts) -> Cost:
    """One image of each modality through a whole step, without optimisers and losses."""
    return (
        parts["generator"][1] * GENERATOR_PASSES
        + parts["discriminator"][1] * JUDGED
        + parts["discriminator, frozen"][1] * JUDGED_FROZEN
    )


def _costs(generator: nn.Module, parts: Mapping[str, list[nn.Module]], size: int) -> dict[str, Both]:
    """Costs of a generator and of parts of it, each on what it is given in a pass."""
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


def _written(cost: Cost) -> str:
    return f"{cost.flop / 1e9:8.2f} GFLOP {cost.bytes / 2**20:8.0f} MiB"


def ceilings(device: str) -> dict[str, float]:
    """Best of several: products of square matrices, and a copy (bytes read and written)."""
    found = {}
    side = 1024 if device == "cpu" else 8192  # short enough to fit between what else a CPU does
    for dtype in (torch.float32, torch.bfloat16):
        square = torch.rand(side, side, device=device).to(dtype)
        seconds = fastest(partial(torch.matmul, square, square), device)
        found[f"{str(dtype).removeprefix('torch.')} GFLOP/s"] = 2 * side**3 / seconds / 1e9
    block = torch.ones(2**28 // 4, device=device)
    into = torch.empty_like(block)
    found["copy GB/s"] = 2 * block.numel() * 4 / fastest(lambda: into.copy_(block), device) / 1e9
    return found


def fastest(act: Callable[[], object], device: str, turns: int = 50) -> float:
    """Seconds of the fastest turn."""
    times = []
    for _ in range(turns):
        started = time.perf_counter()
        act()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times)


def timed_slice(options: argparse.Namespace) -> float:
    """Seconds of one translated slice, in batches."""
    device, settings = options.device, NetworkSettings(size=options.size)
    generator = VariationalGenerator(settings).eval().to(device).to(memory_format=torch.channels_last)
    images = torch.rand(options.batch, 1, options.size, options.size, device=device) * 2 - 1
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
        return fastest(lambda: generator(images), device) / options.batch


def timed_step(options: argparse.Namespace) -> float:
    """Seconds of our step per image."""
    step, batch = contender("ours", options)
    image = torch.rand(batch, 1, options.size, options.size, device=options.device) * 2 - 1
    return fastest(lambda: step(image, image), options.device, turns=4) / batch


def by_kind(options: argparse.Namespace) -> dict[str, tuple[float, float, float]]:
    """Of each kind of operation in our step: share of time, GFLOP/s, and GB/s; the longest first."""
    step, batch = contender("ours", options)
    image = torch.rand(batch, 1, options.size, options.size, device=options.device) * 2 - 1
    with Tally() as done:
        step(image, image)
    cuda = options.device != "cpu"
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda) as watched:
        step(image, image)
    seconds: defaultdict[str, float] = defaultdict(float)
    for event in watched.key_averages():
        seconds[kind(event.key)] += (
            event.self_device_time_total if cuda else event.self_cpu_time_total
        ) / 1e6
    whole = sum(seconds.values())
    return {
        name: (took / whole, done.kinds[name].flop / took / 1e9, done.kinds[name].bytes / took / 1e9)
        for name, took in sorted(seconds.items(), key=lambda item: -item[1])
        if took > 0
    }


def kind(operation: str) -> str:
    return next(
        (name for name, words in KINDS.items() if any(word in operation for word in words)),
        "element by element" if operation.startswith("aten::") else "the rest",
    )


if __name__ == "__main__":
    main()
