"""Distributes tasks to workers that may be killed; the tasks of a killed worker are tried again.

`crew` uses processes of this machine; another kind of worker needs a class and a function that waits
(`give_out`).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from medtranslate.errors import RunFailed
from medtranslate.runtime.error_text import reason
from medtranslate.runtime.parallel import begin_process, process_context, require_guard

T = TypeVar("T")
R = TypeVar("R")

Serve = Callable[[Iterator[T]], Iterable[R]]
"""Function that takes tasks and gives a result for each, in order."""

AHEAD = 4
"""Most tasks of a process at a time: as many as `staged` holds, so that it never waits for one."""
LIVES = 3
"""Killed processes after which a task is given up; all but the first had no other task."""
_IDLE = 0.2
_LAST_WORDS = 10.0


def crew(
    begin: Callable[[int], Serve[T, R]], tasks: Iterator[T | None], workers: int
) -> Generator[tuple[T, R | None], None, None]:
    """Yield the result of each task, as they arrive, from processes that end with this one.

    At most `AHEAD` times `workers` tasks are taken from the list at a time. A process starts when there is
    a task for it, and stays. If a process is killed from outside (by the OOM killer, for example), its tasks
    are given to others one at a time, which shows the task that caused it.

    Args:
        begin: called first in each process, with the process's number; can be pickled.
        tasks: tasks in order; None means that none is available at the moment.
        workers: largest number of processes.

    Yields:
        A task and its result; None for a task after which `LIVES` processes were killed.

    Raises:
        UsageError: the script that calls this is no file, or calls it where it is imported.
        RunFailed: `begin` raised.
    """
    context = process_context(begin)

    def hire(number: int) -> Worker[T, R]:
        own, other = context.Pipe()
        process = context.Process(target=_work, args=(other, begin, number), daemon=True)
        process.start()
        other.close()
        return _Process(number, own, process)

    yield from give_out(tasks, workers, hire, wait)


def give_out(
    tasks: Iterator[T | None],
    workers: int,
    hire: Callable[[int], Worker[T, R]],
    wait: Callable[[list[Any], float], Iterable[Any]],
) -> Generator[tuple[T, R | None], None, None]:
    """Distribute tasks as `crew` does, to workers of any kind.

    Args:
        hire: starts a worker with a free number below `workers`.
        wait: returns the handles of workers that have a message, after so many seconds at most.

    Raises:
        RunFailed: a worker could not start, or workers ended repeatedly before they were ready.
    """
    working = _Crew(tasks, workers, hire, wait)
    finished = False
    try:
        while working.hand_out():
            yield from working.hear()
        finished = True
    finally:
        working.end(at_once=not finished)


@dataclass(eq=False)
class _Task(Generic[T]):
    what: T
    deaths: int = 0


class Worker(ABC, Generic[T, R]):
    """Worker that answers tasks in their order.

    Attributes:
        number: number of this worker.
        given: tasks without an answer so far.
        ready: True if it can take tasks.
    """

    ready = True

    def __init__(self, number: int) -> None:
        self.number = number
        self.given: deque[_Task[T]] = deque()

    @property
    def alone(self) -> bool:
        """True for a worker whose task has lost a worker; it takes no other task."""
        return any(task.deaths for task in self.given)

    @property
    @abstractmethod
    def sign(self) -> Any:
        """Handle to wait for: when it is ready, there is a message to receive."""

    @abstractmethod
    def send(self, what: T) -> None:
        """Send a task. A dead worker is not noticed here; `receive` raises."""

    @abstractmethod
    def receive(self) -> R | RunFailed | None:
        """Receive the next result; None when the worker has become ready.

        Raises:
            EOFError, OSError: the worker has died.
        """

    @abstractmethod
    def end(self, *, at_once: bool) -> None:
        """Ask the worker to end, or kill it."""

    @abstractmethod
    def bury(self) -> None:
        """Wait until the worker and its resources are gone."""


class _Crew(Generic[T, R]):
    def __init__(
        self,
        tasks: Iterator[T | None],
        workers: int,
        hire: Callable[[int], Worker[T, R]],
        wait: Callable[[list[Any], float], Iterable[Any]],
    ) -> None:
        self.tasks, self.workers, self.hire, self.wait = tasks, workers, hire, wait
        self.staff: list[Worker[T, R]] = []
        self.lost: deque[_Task[T]] = deque()
        self.more = True
        self.stillborn = 0

    def hand_out(self) -> bool:
        """Distribute as many tasks as fit; False when all are done."""
        while self.lost and (idle := self._choose(0)):
            self._give(idle, self.lost.popleft())
        while self.more and (chosen := self._choose(AHEAD - 1)):
            try:
                task = next(self.tasks)
            except StopIteration:
                self.more = False
                break
            if task is None:
                break
            self._give(chosen, _Task(task))
        return self.more or bool(self.lost) or any(worker.given for worker in self.staff)

    def hear(self) -> Iterator[tuple[T, R | None]]:
        """Yield the results that have arrived, after a short wait at most."""
        staff = {worker.sign: worker for worker in self.staff if worker.given or not worker.ready}
        if not staff:
            time.sleep(_IDLE)
        for sign in self.wait(list(staff), _IDLE):
            worker = staff[sign]
            try:
                found = worker.receive()
            except (EOFError, OSError):
                yield from self._bury(worker)
                continue
            if isinstance(found, RunFailed):
                raise found
            if found is None:
                self.stillborn = 0
            else:
                yield worker.given.popleft().what, found

    def end(self, *, at_once: bool) -> None:
        for worker in self.staff:
            worker.end(at_once=at_once)
        for worker in self.staff:
            worker.bury()

    def _choose(self, most: int) -> Worker[T, R] | None:
        """Choose the worker with the fewest tasks, within a limit; start a new one before any gets two."""
        free = [
            worker for worker in self.staff if worker.ready and len(worker.given) <= most and not worker.alone
        ]
        least = min(free, key=lambda worker: len(worker.given), default=None)
        while (least is None or least.given) and len(self.staff) < self.workers:
            taken = {worker.number for worker in self.staff}
            new = self.hire(next(number for number in range(self.workers) if number not in taken))
            self.staff.append(new)
            if new.ready:
                return new
        return least

    def _give(self, worker: Worker[T, R], task: _Task[T]) -> None:
        worker.given.append(task)
        worker.send(task.what)

    def _bury(self, worker: Worker[T, R]) -> Iterator[tuple[T, None]]:
        self.staff.remove(worker)
        worker.end(at_once=True)
        worker.bury()
        self.stillborn += not worker.ready
        if self.stillborn > LIVES * self.workers:
            raise RunFailed(
                f"{self.stillborn} workers in a row were ended from outside before they had the model;"
                " it takes too much memory perhaps: give fewer --workers"
            )
        for task in worker.given:
            task.deaths += 1
            if task.deaths < LIVES:
                self.lost.append(task)
            else:
                yield task.what, None


class _Process(Worker[T, R]):
    """Process of this machine, at the other end of a connection."""

    def __init__(self, number: int, connection: Connection, process: BaseProcess) -> None:
        super().__init__(number)
        self.connection, self.process = connection, process

    @property
    def sign(self) -> Connection:
        return self.connection

    def send(self, what: T) -> None:
        with suppress(OSError):
            self.connection.send(what)

    def receive(self) -> R | RunFailed:
        try:
            found: R | RunFailed = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(_LAST_WORDS)
            require_guard(self.process)
            raise
        return found

    def end(self, *, at_once: bool) -> None:
        self.connection.close()
        if at_once:
            self.process.terminate()

    def bury(self) -> None:
        self.process.join(_LAST_WORDS)
        self.process.kill()


def _work(connection: Connection, begin: Callable[[int], Serve[Any, Any]], number: int) -> None:
    """Serve until the connection is closed."""
    begin_process()
    with suppress(EOFError, OSError):
        try:
            serve = begin(number)
        except Exception as error:
            connection.send(RunFailed(reason(error)))
            return
        answer(connection, serve)


def answer(connection: Connection, serve: Serve[Any, Any]) -> None:
    """Serve the tasks of a connection until it is closed.

    Raises:
        EOFError, OSError: the connection is closed.
    """
    while True:
        first = connection.recv()
        for result in serve(_at_hand(first, connection)):
            connection.send(result)


def _at_hand(first: T, connection: Connection) -> Iterator[T]:
    """Yield the available tasks; end if there is none, so that the earlier ones are finished."""
    yield first
    while connection.poll():
        yield connection.recv()
