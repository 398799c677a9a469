"""Lets contenders take turns, each in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import torch

from benchmarks.speed.memory import peak_mib

Figures = dict[str, float]
"""Figures of one turn by name."""

Turns = tuple[list[Figures], float]
"""The turns of a contender, and its peak memory in MiB."""

Contender = tuple[Callable[..., Callable[[], Figures]], *tuple[Any, ...]]
"""A function that makes ready and returns a turn, and what it is given after the options."""


def in_turns(
    contenders: Mapping[str, Contender], turns: int, options: argparse.Namespace
) -> dict[str, Turns]:
    """Let contenders take turns.

    Args:
        options: have `threads` and `device`; handed on to each contender.
    """
    context = get_context("spawn")
    ends: dict[str, Connection] = {}
    workers = []
    try:
        for name, contender in contenders.items():
            ends[name], other = context.Pipe()
            workers.append(context.Process(target=_contend, args=(other, options, *contender)))
            workers[-1].start()
            other.close()  # so that a contender that dies, for lack of memory say, ends this too
            ends[name].recv()  # ready; one after the other, so that nobody's start disturbs a turn
        found: dict[str, list[Figures]] = {name: [] for name in contenders}
        for _ in range(turns):
            for name, end in ends.items():
                end.send("turn")
                found[name].append(end.recv())
        for end in ends.values():
            end.send("end")
        return {name: (found[name], float(end.recv())) for name, end in ends.items()}
    finally:
        for end in ends.values():
            end.close()  # ends those that still wait for their turn
        for worker in workers:
            worker.join()


def ratio(ours: Turns, theirs: Turns, figure: str) -> float:
    """Return the median over turns of a figure's ratio; turns that are neighbours in time are compared."""
    pairs = zip(ours[0], theirs[0], strict=True)
    return float(median(one[figure] / other[figure] for one, other in pairs))


def middle(turns: Turns, figure: str) -> float:
    """Return the median over turns of a figure."""
    return float(median(turn[figure] for turn in turns[0]))


def _contend(
    parent: Connection,
    options: argparse.Namespace,
    make_ready: Callable[..., Callable[[], Figures]],
    *given: object,
) -> None:
    """Take turns as told; then say the peak of memory."""
    torch.set_num_threads(options.threads)
    turn = make_ready(options, *given)
    parent.send("ready")
    while parent.recv() == "turn":
        parent.send(turn())
    parent.send(peak_mib(options.device))
