"""Outgoing: what waits for workers, and how it is made into groups."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Container, Iterator, Sequence
from typing import NamedTuple

from rowhooks.domain.configuration import JobButton
from rowhooks.domain.dispatch import Group, LiveWorker, process_of
from rowhooks.domain.run import Run
from rowhooks.pipeline.scheduling.flow import LARGEST_GROUP, Flow
from rowhooks.pipeline.scheduling.placement import Placement

MOST_LOST = 5
"""How many attempts of a run may be lost with the worker that executed it."""
Followers = Callable[[int, int], Sequence[Run]]
"""Returns the runs behind one in its lane, so many at the most; see `PoolOwner.followers`."""


class _Kind(NamedTuple):
    """The queue of runs, whether their receivers are `async def`, and how soon they are taken."""

    queue: str
    asynchronous: bool
    priority: int


class Outgoing:
    """Runs that wait for workers. A press goes before what changes have started.

    Args:
        placement: says which queue a run is in.
        is_allowed: says whether the settings allow a queue; what is in another one waits.
    """

    def __init__(self, placement: Placement, is_allowed: Callable[[str], bool]) -> None:
        self._placement = placement
        self._is_allowed = is_allowed
        self._waiting: defaultdict[_Kind, deque[Run]] = defaultdict(deque)
        self._flows: defaultdict[tuple[str, bool], Flow] = defaultdict(Flow)
        # The processes with which attempts of a run were lost. It may be what ends them: of what may meet in a worker,
        # one such run at a time is handed out, so that it costs the others no second attempt.
        self._lost: defaultdict[int, list[int]] = defaultdict(list)
        self._suspects: defaultdict[_Kind, deque[Run]] = defaultdict(deque)
        self._tried: dict[_Kind, uuid.UUID] = {}

    @property
    def waiting(self) -> dict[str, int]:
        """How many runs wait, by their queues; in any thread."""
        found: Counter[str] = Counter()
        for kind, runs in [*self._waiting.items(), *self._suspects.items()]:
            found[kind.queue] += len(runs)
        return {queue: count for queue, count in found.items() if count}

    def backlog(self, queue: str) -> int:
        """Return how many runs of a queue wait."""
        return sum(len(runs) for kind, runs in self._waiting.items() if kind.queue == queue)

    def add(self, run: Run) -> None:
        """Take a run."""
        (self._suspects if self._lost.get(run.id) else self._waiting)[self._kind_of(run)].append(run)

    def _kind_of(self, run: Run) -> _Kind:
        path = run.job.class_path
        return _Kind(
            self._placement.queue_of(path, run.origin),
            self._placement.receivers.is_asynchronous(path),
            int(isinstance(run.origin, JobButton)),
        )

    def take_moved(self) -> list[Run]:
        """Take those runs out that are in another queue by now; return them."""
        moved: list[Run] = []
        for waiting in (self._waiting, self._suspects):
            for kind, runs in waiting.items():
                moved += (gone := [run for run in runs if self._kind_of(run) != kind])
                if gone:
                    ids = {run.id for run in gone}
                    waiting[kind] = deque(run for run in runs if run.id not in ids)
        return moved

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._suspects.clear()

    def lose(self, run: Run, worker: uuid.UUID) -> bool:
        """Note that an attempt of a run was lost with its worker; say whether there were too many of them."""
        self._lost[run.id].append(process_of(worker))
        if len(self._lost[run.id]) < MOST_LOST:
            return False
        self.forgive(run)
        return True

    def acquit(self, workers: Sequence[LiveWorker]) -> None:
        """Take back what was noted of processes that live: for a lost connection no run is to blame."""
        if not self._lost:
            return
        living = {process_of(worker.id) for worker in workers}
        self._lost = defaultdict(
            list,
            {
                run_id: left
                for run_id, processes in self._lost.items()
                if (left := [one for one in processes if one not in living])
            },
        )

    def forgive(self, run: Run) -> None:
        """Note that a run has ended."""
        self._lost.pop(run.id, None)

    def ended(self, group: Group) -> None:
        """Note that a group has come back."""
        self._flows[group.queue, group.asynchronous].ended(group.lanes)

    def groups(self, workers: Sequence[LiveWorker], out: Container[uuid.UUID], followers: Followers) -> list[Group]:
        """Make groups of what waits, as much of it as the workers get through in a moment.

        Args:
            workers: those that take groups.
            out: the ids of the groups that were handed out and have not come back.
            followers: says what may be executed behind a run.
        """
        made: list[Group] = []
        for kind in sorted({*self._waiting, *self._suspects}, key=lambda one: -one.priority):
            serving = [worker for worker in workers if kind.queue in worker.queues and worker.threads]
            if serving and self._is_allowed(kind.queue):
                made += self._next_suspect(kind, serving, out, {group.id for group in made})
                made += self._groups_of(kind, serving, followers)
        return made

    def _next_suspect(
        self, kind: _Kind, serving: Sequence[LiveWorker], out: Container[uuid.UUID], made: Container[uuid.UUID]
    ) -> Iterator[Group]:
        """Make a group of the next run that was lost, alone, where none of them is out."""
        suspects = self._suspects[kind]
        if not suspects or any(
            (id_ in out or id_ in made) and _may_meet(kind, other, serving) for other, id_ in self._tried.items()
        ):
            return
        for run in suspects:
            if any(run.job.class_path in worker.class_paths for worker in serving):
                suspects.remove(run)
                group = _group(kind, [run])
                self._tried[kind] = group.id
                self._flows[kind.queue, kind.asynchronous].handed(1)
                yield group
                return

    def _groups_of(self, kind: _Kind, serving: Sequence[LiveWorker], followers: Followers) -> Iterator[Group]:
        waiting, flow = self._waiting[kind], self._flows[kind.queue, kind.asynchronous]
        room = flow.room(sum(worker.slots(asynchronous=kind.asynchronous) for worker in serving))
        size = flow.size_of_group(min(room, len(waiting)), len(serving))
        left: list[Run] = []
        while waiting and room > 0:
            group = _next_group(kind, waiting, left, min(size, room), serving, followers)
            if group is None:
                break
            # What stands in one lane takes one slot.
            room -= group.lanes
            flow.handed(group.lanes)
            yield group
        waiting.extendleft(reversed(left))


def can_be_taken(group: Group, workers: Sequence[LiveWorker]) -> bool:
    """Say whether one of these workers takes a group."""
    paths = set(group.class_paths)
    return any(one.threads and group.queue in one.queues and paths <= one.class_paths for one in workers)


def _may_meet(kind: _Kind, other: _Kind, serving: Sequence[LiveWorker]) -> bool:
    """Say whether runs of two kinds may be executed in one worker of those that serve the first."""
    return kind == other or any(other.queue in worker.queues for worker in serving)


def _next_group(
    kind: _Kind,
    waiting: deque[Run],
    left: list[Run],
    size: int,
    serving: Sequence[LiveWorker],
    followers: Followers,
) -> Group | None:
    """Take runs that one worker can execute; what none can is put into `left`."""
    runs: list[Run] = []
    able = serving
    while waiting and len(runs) < size:
        run = waiting.popleft()
        having = [worker for worker in able if run.job.class_path in worker.class_paths]
        if not having and not any(run.job.class_path in worker.class_paths for worker in serving):
            left.append(run)
            continue
        behind = followers(run.id, LARGEST_GROUP - 1)
        if runs and (behind or not having):
            # It goes into another group.
            waiting.appendleft(run)
            break
        if behind:
            return _group(kind, [run, *behind], is_lane=True)
        runs.append(run)
        able = having
    return _group(kind, runs) if runs else None


def _group(kind: _Kind, runs: Sequence[Run], *, is_lane: bool = False) -> Group:
    return Group(uuid.uuid4(), kind.queue, kind.asynchronous, kind.priority, tuple(runs), is_lane)
