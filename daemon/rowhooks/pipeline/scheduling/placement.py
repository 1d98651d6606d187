"""Placement: which pool executes a run, and which queue it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rowhooks.domain.configuration import JobButton, JobHook
from rowhooks.domain.queues import DEFAULT, queue_of
from rowhooks.domain.run import Run
from rowhooks.pipeline.ports import ReceiverCatalog
from rowhooks.pipeline.scheduling.pools import LOOP, THREADS, WORKERS

MOST_FOR_WORKERS = 5000
"""Runs of one queue that wait in memory for a worker, beyond which they wait in the table alone."""


@dataclass(frozen=True)
class Placement:
    """Chooses the pool that executes a run; all choice between pools is here.

    Args:
        receivers: say which of the classes are asynchronous, and to which queue their runs go.
        default_queue: that of jobs that name none.
        own_queues: the queues whose runs this process executes itself; None: all of them.
        backlog: returns how many runs of another queue wait in memory for a worker.
    """

    receivers: ReceiverCatalog
    default_queue: str = DEFAULT
    own_queues: frozenset[str] | None = frozenset({DEFAULT})
    backlog: Callable[[str], int] = lambda queue: 0
    # It is asked for every run.
    _pools: dict[tuple[str, str | None], str] = field(default_factory=dict)
    _origins: dict[tuple[bool, int], JobHook | JobButton] = field(default_factory=dict)
    moved: dict[tuple[bool, int], JobHook | JobButton] = field(default_factory=dict)
    """Hooks and buttons that have got another queue since they were first seen. There are hardly ever any."""

    def learn(self, origins: Iterable[JobHook | JobButton]) -> None:
        """Take over the hooks and buttons: their queues hold for runs that were started before, too."""
        for one in origins:
            key = isinstance(one, JobHook), one.id
            if key in self.moved or self._origins.setdefault(key, one).queue != one.queue:
                self.moved[key] = one

    def queue_of(self, class_path: str, origin: JobHook | JobButton | None = None) -> str:
        """Return the queue of a job's runs; of those of one hook or button where that is given."""
        options, origin = self.receivers.options(class_path), origin and self._as_it_is(origin)
        return queue_of(origin, options, self.default_queue) if origin else options.queue or self.default_queue

    def pool_of(self, class_path: str | None, origin: JobHook | JobButton | None = None) -> str:
        """Return the name of the pool for a job's runs.

        Args:
            class_path: the job's; None where it is gone. Its runs end before they reach a pool.
            origin: the hook or button, where that is known.
        """
        if class_path is None:
            return THREADS
        if self.moved and origin is not None:
            origin = self._as_it_is(origin)
        key = class_path, origin.queue if origin else None
        found = self._pools.get(key)
        if found is None:
            found = LOOP if self.receivers.is_asynchronous(class_path) else THREADS
            if self._is_elsewhere(self.queue_of(class_path, origin)):
                found = WORKERS
            self._pools[key] = found
        return found

    def line_of(self, class_path: str | None, origin: JobHook | JobButton | None = None) -> str:
        """Return what a job's runs wait for, by the name of their pool or, where workers execute them, by their queue.

        A queue that has no worker keeps no other one waiting.
        """
        queue = None if class_path is None else self.queue_of(class_path, origin)
        return line_of(queue) if queue is not None and self._is_elsewhere(queue) else self.pool_of(class_path, origin)

    def is_far_behind(self, run: Run) -> bool:
        """Say whether so many runs wait in memory for the workers of a run's queue that it is left to the table."""
        queue = self.queue_of(run.job.class_path, run.origin)
        return self._is_elsewhere(queue) and self.backlog(queue) >= MOST_FOR_WORKERS

    def _as_it_is(self, origin: JobHook | JobButton) -> JobHook | JobButton:
        return self.moved.get((isinstance(origin, JobHook), origin.id), origin)

    def _is_elsewhere(self, queue: str) -> bool:
        return self.own_queues is not None and queue not in self.own_queues


def line_of(queue: str) -> str:
    """Return the name for what waits for the workers of a queue, see `Placement.line_of`."""
    return f"{WORKERS} of {queue}"
