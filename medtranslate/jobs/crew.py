"""Tasks for processes that may die: one that does costs its tasks another try, and nothing else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from medtranslate.errors import RunFailed
from medtranslate.jobs.advice import reason
from medtranslate.jobs.parallel import begin_process, process_context

T = TypeVar("T")
R = TypeVar("R")

Serve = Callable[[Iterator[T]], Iterable[R]]
"""Takes tasks and gives a result for each, in their order."""

AHEAD = 4
"""Tasks that a process is given at most: as many as `staged` holds, so that it never waits for one."""
LIVES = 3
"""Processes that a task may lose before it is given up; all but the first work on nothing else meanwhile."""
_IDLE = 0.2
_LAST_WORDS = 10.0


def crew(
    begin: Callable[[int], Serve[T, R]], tasks: Iterator[T | None], workers: int
) -> Generator[tuple[T, R | None], None, None]:
    """The result of each task, as they come, from processes that end with this one.

    Tasks are taken when there is a process for them: of the list no more than `AHEAD` times `workers` are
    under way. A process starts when there is a task for it, and lives on. When one is ended from outside (as
    one is that takes too much memory), its tasks are given to others, one at a time, so that it shows which
    of them it was.

    Args:
        begin: called in each process first, with the process's number; can be pickled.
        tasks: None for "nothing at the moment, ask again".
        workers: processes at most.

    Yields:
        A task and its result; None for a task that lost `LIVES` processes.

    Raises:
        RunFailed: `begin` raised.
    """
    working = _Crew(begin, tasks, workers)
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


@dataclass(eq=False)
class _Worker(Generic[T]):
    """A process, and the tasks that it was given and has not answered."""

    number: int
    process: BaseProcess
    connection: Connection
    given: deque[_Task[T]] = field(default_factory=deque)

    @property
    def alone(self) -> bool:
        """Whether it has a task that lost a process, and so must be given no other."""
        return any(task.deaths for task in self.given)


class _Crew(Generic[T, R]):
    def __init__(self, begin: Callable[[int], Serve[T, R]], tasks: Iterator[T | None], workers: int) -> None:
        self.begin, self.tasks, self.workers = begin, tasks, workers
        self.context = process_context(begin)
        self.staff: list[_Worker[T]] = []
        self.lost: deque[_Task[T]] = deque()
        self.more = True

    def hand_out(self) -> bool:
        """Give out what there is room for; False when all is done."""
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
        """Results that have come, after a short while at most."""
        staff = {worker.connection: worker for worker in self.staff if worker.given}
        if not staff:
            time.sleep(_IDLE)
        for connection in wait(list(staff), _IDLE):
            worker = staff[connection]  # type: ignore[index]  # it is one of ours
            try:
                found: Any = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._bury(worker)
                continue
            if isinstance(found, RunFailed):
                raise found
            yield worker.given.popleft().what, found

    def end(self, *, at_once: bool) -> None:
        for worker in self.staff:
            worker.connection.close()
            if at_once:
                worker.process.terminate()
        for worker in self.staff:
            worker.process.join(_LAST_WORDS)
            worker.process.kill()

    def _choose(self, most: int) -> _Worker[T] | None:
        """Who has fewest tasks, and at most so many; someone new before anyone gets a second."""
        free = [worker for worker in self.staff if len(worker.given) <= most and not worker.alone]
        least = min(free, key=lambda worker: len(worker.given), default=None)
        if (least is None or least.given) and len(self.staff) < self.workers:
            return self._hire()
        return least

    def _hire(self) -> _Worker[T]:
        taken = {worker.number for worker in self.staff}
        number = next(number for number in range(self.workers) if number not in taken)
        own, other = self.context.Pipe()
        process = self.context.Process(target=_work, args=(other, self.begin, number), daemon=True)
        process.start()
        other.close()
        self.staff.append(_Worker(number, process, own))
        return self.staff[-1]

    def _give(self, worker: _Worker[T], task: _Task[T]) -> None:
        worker.given.append(task)
        # That it has died is heard when its results are asked for.
        with suppress(OSError):
            worker.connection.send(task.what)

    def _bury(self, worker: _Worker[T]) -> Iterator[tuple[T, None]]:
        self.staff.remove(worker)
        worker.connection.close()
        worker.process.join()
        for task in worker.given:
            task.deaths += 1
            if task.deaths < LIVES:
                self.lost.append(task)
            else:
                yield task.what, None


def _work(connection: Connection, begin: Callable[[int], Serve[Any, Any]], number: int) -> None:
    """Serve until there is nobody to serve."""
    begin_process()
    with suppress(EOFError, OSError):
        try:
            serve = begin(number)
        except Exception as error:
            connection.send(RunFailed(reason(error)))
            return
        while True:
            first = connection.recv()
            for result in serve(_at_hand(first, connection)):
                connection.send(result)


def _at_hand(first: T, connection: Connection) -> Iterator[T]:
    """Tasks that have been given; it ends where there is none, so that those before are finished."""
    yield first
    while connection.poll():
        yield connection.recv()
