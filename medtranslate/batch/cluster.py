"""Runs a batch's workers as actors of a Ray cluster, where `runtime.crew` has processes of one machine.

Ray finds places for them, reports lost ones, and ends them with the process that began the batch, however
that ends. `runtime.worker_pool.give_out` distributes the items. Names go out and outcomes come back; images
stay between the actors and the file system, which all machines share.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, TypeVar

from medtranslate import __version__
from medtranslate.batch.cluster_access import look_for_head, resolved, take_token, why_not
from medtranslate.batch.folder import part_of, settings_of, wait_for_workers
from medtranslate.batch.items import Item
from medtranslate.batch.worker import (
    WORKER_BYTES,
    WORKERS_OF_A_DEVICE,
    WorkOnItems,
    open_worker,
)
from medtranslate.checkpoint import describe, find_model
from medtranslate.config import BatchSettings
from medtranslate.errors import RunFailed, UsageError
from medtranslate.records import Outcome
from medtranslate.runtime import reason
from medtranslate.runtime.worker_pool import Serve, Worker, answer, give_out

T = TypeVar("T")
R = TypeVar("R")

_LAST_WORDS = 10.0


def cluster_crew(
    ray: Any, settings: BatchSettings, tasks: Iterator[Item | None], items: int
) -> Generator[tuple[Item, Outcome | None], None, None]:
    """Yield what `runtime.crew` yields, from actors that translate.

    There are as many as the cluster has room for, or `settings.workers`; with more than there is room for,
    the others begin when a node joins. A lost actor is begun again wherever there is a place.

    Args:
        ray: what `joined` gives.
        settings: with absolute paths, as all machines see them, and written to the output's folder.
        items: of the list; 0 if that is not known.

    Raises:
        UsageError: the cluster has no place for a worker.
        RunFailed: a machine does not see the same files, or could not load the model.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    share = {"CPU": 1.0, "memory": float(WORKER_BYTES)}
    if settings.device == "cuda" or (settings.device == "auto" and any("GPU" in node for node in nodes)):
        share["GPU"] = 1 / WORKERS_OF_A_DEVICE
    room = sum(_places(node, share) for node in nodes)
    if not room:
        raise UsageError(
            f"--cluster {settings.cluster}: no node has room for a worker, which takes {share} of what"
            f" Ray reckons with; there are {nodes}"
        )
    own = replace(settings, device="cuda" if "GPU" in share else "cpu")
    begin = partial(open_here, own, signs(own))
    workers = settings.workers or (min(room, items) if items else room)
    try:
        yield from ray_crew(ray, begin, tasks, workers, share)
    finally:
        # An actor that was killed on another machine may still be at its last item.
        with suppress(UsageError):
            wait_for_workers(settings.out, _LAST_WORDS, part_of(settings))


def ray_crew(
    ray: Any,
    begin: Callable[[int], Serve[T, R]],
    tasks: Iterator[T | None],
    workers: int,
    share: Mapping[str, float],
) -> Generator[tuple[T, R | None], None, None]:
    """Yield what `runtime.crew` yields, from actors.

    Args:
        ray: the module, connected to a cluster.
        share: CPU, GPU, memory in bytes: what an actor takes of a node, by Ray's reckoning.
    """
    kind = ray.remote(
        num_cpus=share["CPU"],
        num_gpus=share.get("GPU", 0),
        memory=share.get("memory", 0),
        scheduling_strategy="SPREAD",
        concurrency_groups={"in": 1, "out": 1},
    )(_Actor)

    def wait(signs: list[Any], seconds: float) -> list[Any]:
        ready: list[Any] = ray.wait(signs, timeout=seconds)[0]
        return ready

    yield from give_out(tasks, workers, lambda number: _Remote(ray, kind.remote(), begin, number), wait)


@contextmanager
def joined(settings: BatchSettings) -> Iterator[Any]:
    """Join the cluster at `settings.cluster` for the block; give Ray's module, or None without a cluster.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
    """
    address = settings.cluster
    if address is None:
        yield None
        return
    if settings.device.startswith("cuda:"):
        raise UsageError(f"--device {settings.device}: on a cluster Ray finds the device; give cuda, or auto")
    # Ray reads it when it is imported. Of a cluster at hand, its own `ray start` decides.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            '--cluster: the package ray is not installed; pip install "medtranslate[cluster]"'
        ) from error
    # Ray takes the signal for itself; here it is the command's.
    former = signal.getsignal(signal.SIGTERM)
    try:
        if place := resolved(address):
            look_for_head(place)
            take_token(place)
        ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level="ERROR")
    except (OSError, OverflowError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UsageError(f"--cluster {address}: {why_not(error)}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, former)
    # Of lost nodes Ray tells on stdout, whatever it was asked, and again in the end; stdout is the answer's.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            yield ray
        except SystemExit:
            # Of an exit that the signal's handler asked for inside Ray's calls, Ray drops the code.
            sys.exit(128 + signal.SIGTERM)
        finally:
            ray.shutdown()


def _places(node: Mapping[str, float], share: Mapping[str, float]) -> int:
    """Count the actors that fit on a node."""
    return int(min(node.get(name, 0.0) / part for name, part in share.items()))


def signs(settings: BatchSettings) -> dict[str, object]:
    """Collect what has to be equal on all machines."""
    written = settings_of(settings)
    return {
        "version of medtranslate": __version__,
        "SOURCE": settings.source.exists(),
        "OUT": written.read_text(encoding="utf-8") if written.is_file() else None,
        "model": describe(find_model(settings.model)).sha256,
    }


def open_here(settings: BatchSettings, known: Mapping[str, object], number: int) -> WorkOnItems:
    """Open a worker, on a machine that sees the same files as the first one."""
    here = signs(settings)
    for name, value in known.items():
        if here[name] != value:
            raise RunFailed(
                f"{socket.gethostname()}: its {name} is not that of the machine where the batch began;"
                " all need the same medtranslate, and the same paths for SOURCE, OUT and the model"
            )
    return open_worker(settings, number)


class _Actor:
    """Worker in a process of some machine.

    Tasks and results pass through a pipe to a thread of its own, which takes the next task while it is at
    one.
    """

    def open(self, begin: Callable[[int], Serve[Any, Any]], number: int) -> RunFailed | None:
        try:
            serve = begin(number)
        except Exception as error:
            return RunFailed(reason(error))
        self.own, other = Pipe()
        threading.Thread(target=answer, args=(other, serve), daemon=True).start()
        return None

    def give(self, task: Any) -> None:
        self.own.send(task)

    def hear(self) -> Any:
        return self.own.recv()


class _Remote(Worker[T, R]):
    """Actor, seen from the process that started it; it is ready when Ray has found a place for it."""

    def __init__(self, ray: Any, actor: Any, begin: Callable[[int], Serve[T, R]], number: int) -> None:
        super().__init__(number)
        self.ray, self.actor = ray, actor
        self.ready = False
        self.coming = actor.open.remote(begin, number)

    @property
    def sign(self) -> Any:
        return self.coming

    def send(self, what: T) -> None:
        self.actor.give.options(concurrency_group="in").remote(what)
        if len(self.given) == 1:
            self._listen()

    def receive(self) -> R | RunFailed | None:
        try:
            found: R | RunFailed | None = self.ray.get(self.coming)
        except self.ray.exceptions.RayError as error:
            raise EOFError from error
        self.ready = True
        if len(self.given) > 1:
            self._listen()
        return found

    def end(self, *, at_once: bool) -> None:
        self.ray.kill(self.actor)

    def bury(self) -> None:
        """Do nothing: Ray removes its actors."""

    def _listen(self) -> None:
        self.coming = self.actor.hear.options(concurrency_group="out").remote()
