"""What a random walk over leaders and workers has in the place of a database, with the rules of the statements."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from rowhooks.domain.dispatch import Group, LiveWorker, Progress
from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import PENDING, RETRY, REVOKED, STARTED, Outcome, Run, now
from rowhooks.pipeline.ports import StateOnRecord

UNFINISHED = (PENDING, STARTED, RETRY)
NOBODY = uuid.UUID(int=0)


@dataclass
class Row:
    """A row of rowhooks.job_result."""

    run: Run
    status: str
    epoch: uuid.UUID
    started_at: datetime | None = None
    retry_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.status not in UNFINISHED


@dataclass
class Handed:
    """A row of rowhooks.dispatch."""

    group: Group
    epoch: uuid.UUID
    worker: uuid.UUID | None = None
    claimed_at: float = 0.0
    is_done: bool = False
    refused: Mapping[int, str] = field(default_factory=dict)


class WalkTables:
    """Results, groups that are handed out, and workers.

    Args:
        walk: the random numbers.
        options: how the runs of each job are to be run, by its class.
    """

    def __init__(self, walk: random.Random, options: Mapping[str, JobOptions]) -> None:
        self.walk = walk
        self.options = options
        self.epoch = NOBODY
        self.results: dict[int, Row] = {}
        self.groups: dict[uuid.UUID, Handed] = {}
        self.workers: dict[uuid.UUID, LiveWorker] = {}
        self.bells: list[Callable[[], None]] = []
        """Called when groups are handed out."""
        self.ring_leader: Callable[[], None] = lambda: None
        self.admitted: list[Run] = []
        """What the present leadership has been told of."""
        self.problems: list[str] = []
        self._locked: Counter[uuid.UUID] = Counter()

    async def pause(self, longest: float = 0.002) -> None:
        """Take some time, as a statement does."""
        await asyncio.sleep(self.walk.choice([0, 0, longest]))

    def has_ended(self, run_id: int) -> bool:
        """Say whether a run has ended on record."""
        return run_id in self.results and self.results[run_id].has_ended

    def meet(self, one: Run, other: Run) -> bool:
        """Say whether two runs must keep their order. Batches of a hook do, whatever they are about."""
        options = self.options[one.job.class_path]
        if one.origin != other.origin or not options.ordered:
            return False
        return options.batch_size is not None or bool(set(one.lanes) & set(other.lanes))

    # Results.

    def record(self, outcomes: Sequence[Outcome], epoch: uuid.UUID) -> set[int]:
        """Write results, as results.sql does; return what was left as it is."""
        left, new = set(), [outcome.run for outcome in outcomes if outcome.run.id not in self.results]
        for outcome in outcomes:
            run, row = outcome.run, self.results.get(outcome.run.id)
            if row is not None and (row.has_ended or row.epoch != epoch or outcome.status == PENDING):
                left.add(run.id)
                continue
            if row is not None and row.run.attempt > run.attempt:
                self.problems.append(f"{run.id}: attempt {row.run.attempt} is followed by {run.attempt}")
            self.results[run.id] = Row(run, outcome.status, epoch, outcome.started_at, outcome.retry_at)
        for run in new:
            self._see_what_is_before(run)
        return left

    def _see_what_is_before(self, run: Run) -> None:
        for other in self.admitted:
            if other.id < run.id and other.id not in self.results and self.meet(other, run):
                self.problems.append(f"{run.id} is on record and {other.id} is not")

    def take_over(self, run_id: int) -> tuple[Run, datetime | None]:
        """Take an unfinished run over, as recovery.sql does; return it, with the time when it is due."""
        row = self.results[run_id]
        row.epoch = self.epoch
        if row.status == STARTED:
            row.run = row.run.with_attempt(row.run.attempt + 1)
        return (row.run.again(), row.retry_at) if row.status == RETRY else (row.run, None)

    def revoke(self) -> None:
        """Revoke something, as `rowhooks.revoke` does; often what is in the hands of workers."""
        handed = [one.id for group in self.groups.values() for run in group.group.runs for one in run.singles]
        ids = handed if self.walk.random() < 0.5 else list(self.results)
        unfinished = [id_ for id_ in ids if id_ in self.results and not self.has_ended(id_)]
        if unfinished:
            self.results[self.walk.choice(unfinished)].status = REVOKED

    # Groups.

    @contextmanager
    def fence(self, ids: Collection[uuid.UUID]) -> Iterator[set[uuid.UUID]]:
        """Lock those of these groups that are there; return them."""
        held = {id_ for id_ in ids if id_ in self.groups}
        self._locked.update(held)
        try:
            yield held
        finally:
            self._locked.subtract(held)

    async def take_back_all(self) -> None:
        """Take back what former leaders have handed out."""
        for id_, handed in list(self.groups.items()):
            while self._locked[id_] > 0:
                await self.pause()
            if handed.epoch != self.epoch:
                self.groups.pop(id_, None)

    def take_back(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Take groups back; return what is locked."""
        locked = {id_ for id_ in ids if self._locked[id_] > 0}
        for id_ in ids:
            if id_ not in locked:
                self.groups.pop(id_, None)
        return locked


class WalkBoard:
    """What a leader writes and reads of groups, see `rowhooks.pipeline.scheduling.board.Board`."""

    hears = True

    def __init__(self, tables: WalkTables) -> None:
        self._tables = tables
        self._epoch = tables.epoch

    async def open(self, rung: Callable[[], None]) -> None:
        await self._tables.pause()
        self._tables.ring_leader = rung

    async def hand_out(self, groups: Sequence[Group]) -> None:
        await self._tables.pause()
        if self._tables.epoch != self._epoch:
            raise LeadershipLost("another one leads")
        self._tables.groups.update((group.id, Handed(group, self._epoch)) for group in groups)
        for bell in self._tables.bells:
            bell()
        await self._tables.pause()

    async def workers(self) -> list[LiveWorker]:
        await self._tables.pause()
        found = list(self._tables.workers.values())
        await self._tables.pause()
        return found

    async def progress(self, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Progress]:
        await self._tables.pause()
        groups = self._tables.groups
        found = {id_: groups[id_] for id_ in ids if id_ in groups}
        moment = time.monotonic()
        await self._tables.pause()
        return {
            id_: Progress(one.worker, moment - one.claimed_at, one.is_done, one.refused) for id_, one in found.items()
        }

    async def take_back(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        await self._tables.pause()
        locked = self._tables.take_back(ids)
        await self._tables.pause()
        return locked

    async def take_back_unclaimed(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        await self._tables.pause()
        groups = self._tables.groups
        return {id_ for id_ in ids if id_ in groups and groups[id_].worker is None and groups.pop(id_)}

    async def on_record(self, runs: Collection[Run]) -> dict[int, StateOnRecord]:
        await self._tables.pause()
        rows = {run.id: self._tables.results[run.id] for run in runs if run.id in self._tables.results}
        return {
            id_: StateOnRecord(
                row.status, row.started_at, now() if row.has_ended else None, row.retry_at, row.run.attempt,
                None, None, None, None,
            )
            for id_, row in rows.items() if row.epoch == self._epoch
        }  # fmt: skip
