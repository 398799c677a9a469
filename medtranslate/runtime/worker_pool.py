"""Tasks for workers that may die: one that does costs its tasks another try, and nothing else.

`crew` has processes of this machine; workers of another kind are a class and a way to wait for them
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
    """What `crew` does, with workers of any kind.

    Args:
        hire: begins a worker with a number below `workers` that no other has at the moment.
        wait: of the signs of workers those that are there, after so many seconds at most.

    Raises:
        RunFailed: a worker could not begin, or one after the other ended before it was ready.
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
    """Who answers tasks in their order.

    Attributes:
        number: of this worker among the others.
        given: tasks that it has and has not answered.
        ready: whether it can be given any.
    """

    ready = True

    def __init__(self, number: int) -> None:
        self.number = number
        self.given: deque[_Task[T]] = deque()

    @property
    def alone(self) -> bool:
        """Whether it has a task that lost a worker, and so must be given no other."""
        return any(task.deaths for task in self.given)

    @property
    @abstractmethod
    def sign(self) -> Any:
        """What is waited for: then there is something to receive."""

    @abstractmethod
    def send(self, what: T) -> None:
        """Hand it a task; that it has died is heard when it is listened to."""

    @abstractmethod
    def receive(self) -> R | RunFailed | None:
        """The next result; None when it has become ready.

        Raises:
            EOFError, OSError: it has died.
        """

    @abstractmethod
    def end(self, *, at_once: bool) -> None:
        """Ask it to end, or make it."""

    @abstractmethod
    def bury(self) -> None:
        """Wait until nothing of it is left."""


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
        """Who has fewest tasks, and at most so many; someone new before anyone gets a second."""
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
    """A process of this machine, at the other end of a connection."""

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
            require_guard([self.process])
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
    """Serve until there is nobody to serve."""
    begin_process()
    with suppress(EOFError, OSError):
        try:
            serve = begin(number)
        except Exception as error:
            connection.send(RunFailed(reason(error)))
            return
        answer(connection, serve)


def answer(connection: Connection, serve: Serve[Any, Any]) -> None:
    """Serve what comes through a connection, until it is closed.

    Raises:
        EOFError, OSError: it is closed.
    """
    while True:
        first = connection.recv()
        for result in serve(_at_hand(first, connection)):
            connection.send(result)


def _at_hand(first: T, connection: Connection) -> Iterator[T]:
    """Tasks that have been given; it ends where there is none, so that those before are finished."""
    yield first
    while connection.poll():
        yield connection.recv()
