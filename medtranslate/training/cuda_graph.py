"""Work on a CUDA device, recorded once and replayed.

A step of ours is some thousands of small operations. A host needs longer to start them one by one than a
large GPU needs to do them; a CUDA graph starts all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")

WARM_UP = 3
"""Calls before the recording, in which kernels are chosen and gradients find their stream."""


class Captured(Generic[Made]):
    """A function of tensors on a device, recorded anew where their shapes differ from the last call's.

    What it returns lies in the same memory at each call: take what you need of it before the next. So do the
    gradients that it leaves: nothing else may replace or drop them.

    Args:
        act: must not wait for the device, nor do anything else on the host that differs between calls; random
            numbers of torch's default generator are new at each call.
    """

    def __init__(self, act: Callable[..., Made]) -> None:
        self.act = act
        self.calls = 0
        self.shapes: list[torch.Size | None] = []
        self.graph = torch.cuda.CUDAGraph()
        self.given: list[Tensor | None] = []
        self.made: Made

    def __call__(self, *given: Tensor | None) -> Made:
        shapes = [None if tensor is None else tensor.shape for tensor in given]
        if shapes != self.shapes:
            self.shapes, self.calls, self.graph = shapes, 0, torch.cuda.CUDAGraph()
        self.calls += 1
        if self.calls <= WARM_UP:
            return self._aside(*given)
        if self.calls == WARM_UP + 1:
            self.given = [None if tensor is None else tensor.clone() for tensor in given]
            # Other threads go on meanwhile: one pins the memory of the next batches.
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.made = self.act(*self.given)
        else:
            for kept, tensor in zip(self.given, given, strict=True):
                if kept is not None and tensor is not None:
                    kept.copy_(tensor, non_blocking=True)
        self.graph.replay()
        return self.made

    def _aside(self, *given: Tensor | None) -> Made:
        """On a stream beside the usual one, which is where recording will find the gradients' work."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            made = self.act(*given)
        torch.cuda.current_stream().wait_stream(stream)
        return made
