"""What a worker has in hand: the groups that it has taken, and which of their runs have not ended."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from rowhooks.domain.errors import LeadershipLost
from rowhooks.postgres.dispatch.working import Claimed

AHEAD = 2
"""For how many runs of each slot a worker takes groups."""
TAKEN = "runs were taken from this worker"
NOBODYS = uuid.UUID(int=0)
"""A group that does not exist: nothing can be recorded under it."""


@dataclass
class Group:
    """A group in hand: of how many runs, which of them have not ended, and why some could not be executed."""

    id: uuid.UUID
    asynchronous: bool
    lanes: int
    size: int
    runs: set[int]
    refused: dict[int, str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """How many of its runs can go on at the same time, of those that have not ended."""
        return min(self.lanes, len(self.runs))


class InHand:
    """The groups of a worker.

    Args:
        slots: how many receivers it executes at the same time, by their kind: whether they are `async def`.
        wake: set when there is room for more of a kind of which there was none.
    """

    def __init__(self, slots: Mapping[bool, int], wake: asyncio.Event) -> None:
        self._slots = slots
        self._wake = wake
        self._count = dict.fromkeys(slots, 0)
        self.groups: dict[uuid.UUID, Group] = {}
        self.group_of: dict[int, uuid.UUID] = {}
        """The ids of the groups, by those of the runs."""
        # A batch goes by the id of its first run, also when that is revoked and the others go on.
        self._first_of: dict[int, int] = {}
        self.has_finished = asyncio.Event()
        """Set when all runs of a group have ended."""

    def kinds_with_room(self) -> list[bool]:
        """Return the kinds of receivers, `async def` or not, of which more can be begun soon."""
        return [kind for kind in self._slots if self._has_room(kind)]

    def take(self, claimed: Claimed) -> None:
        """Note a group.

        Raises:
            LeadershipLost: some of its runs are in hand: they were taken from this worker, which has not noticed it.
        """
        ids = [run["result_id"] for task in claimed.tasks for run in task]
        if not self.group_of.keys().isdisjoint(ids):
            raise LeadershipLost(TAKEN)
        runs = {task[0]["result_id"] for task in claimed.tasks}
        self._first_of.update((run["result_id"], task[0]["result_id"]) for task in claimed.tasks for run in task)
        group = self.groups[claimed.id] = Group(claimed.id, claimed.asynchronous, claimed.lanes, len(runs), runs)
        self._count[group.asynchronous] += group.width
        self.group_of.update(dict.fromkeys(ids, claimed.id))

    def end(self, run_id: int, problem: str | None = None) -> None:
        """Note that a run or a batch is not in hand any more.

        Args:
            run_id: the run, or one of the batch.
            problem: why it could not be executed at all.
        """
        group = self.groups.get(self.group_of.get(run_id, NOBODYS))
        if group is None:
            return
        run_id = self._first_of[run_id]
        if problem is not None:
            group.refused[run_id] = problem
        width = group.width
        group.runs.discard(run_id)
        if not group.runs:
            self.has_finished.set()
        had_room = self._has_room(group.asynchronous)
        self._count[group.asynchronous] -= width - group.width
        if self._has_room(group.asynchronous) and not had_room:
            self._wake.set()

    def finished(self) -> list[Group]:
        """Return the groups of which all runs have ended."""
        self.has_finished.clear()
        return [group for group in self.groups.values() if not group.runs]

    def forget(self, ids: Collection[uuid.UUID]) -> None:
        """Forget groups: what their runs still do is not recorded."""
        for id_ in ids:
            group = self.groups.pop(id_, None)
            if group is not None:
                self._count[group.asynchronous] -= group.width
        gone = set(ids)
        for run_id in [run_id for run_id, id_ in self.group_of.items() if id_ in gone]:
            del self.group_of[run_id], self._first_of[run_id]

    def _has_room(self, kind: bool) -> bool:
        return self._count[kind] < AHEAD * self._slots[kind]
