"""A random walk over the scheduler: leaders and workers over the same tables, and what holds at each of its steps."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from rowhooks.domain.configuration import JobHook
from rowhooks.domain.errors import ConnectionFailed
from rowhooks.domain.events import RunLost
from rowhooks.domain.feed import Position
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import REVOKED, LogEntry, Outcome, Run, now
from rowhooks.pipeline import recorder
from rowhooks.pipeline.ports import AlreadyRecorded, EndOnRecord
from rowhooks.pipeline.scheduling import admission, batches, lanes, loads, outgoing, placement, records, scheduler
from rowhooks.pipeline.scheduling import worker_pool as pool_module
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.worker_pool import WorkerPool
from tests.support.make import change, hook, job, run
from tests.support.walk_tables import WalkBoard, WalkTables
from tests.support.world import START, Workspace, World

LONGEST_LOCK = 0.02
"""Seconds for which a group is locked while something is recorded under it."""
RETRYING: dict[str, Any] = {
    "max_retries": 2, "autoretry_for": (ValueError,), "retry_backoff": 0.03, "retry_jitter": False,
}  # fmt: skip
KINDS: Mapping[str, Mapping[str, Any]] = {
    "Plain": {},
    "Unordered": {"ordered": False},
    "Singleton": {"is_singleton": True},
    "Threesome": {"max_concurrency": 3},
    "UnorderedSingleton": {"is_singleton": True, "ordered": False},
    "Batch": {"batch_size": 4, "batch_wait": 0.01},
}
HERE = {f"here.{name}": JobOptions(**RETRYING, **given) for name, given in KINDS.items()}
"""Jobs that the leader executes itself."""
THERE = {f"there.{name}": JobOptions(**RETRYING, **given, queue="there") for name, given in KINDS.items()}
"""Jobs that workers execute."""
# Limits that are soon reached.
LIMITS: Mapping[Any, Mapping[str, Any]] = {
    admission: {"FETCHED_TOGETHER": 7, "MOST_TAKEN_OVER": 10, "MOST_RETRIES": 2, "MUCH": 20, "FEW": 2,
                "ASKED_TOGETHER": 3, "SOON": timedelta(0)},
    batches: {"LONGEST_LINE": 5},
    lanes: {"LONGEST_LANE": 4, "REFILL_BELOW": 2},
    loads: {"KEPT": 2, "SHORTEST_PAUSE": 0.01},
    outgoing: {"LARGEST_GROUP": 4},
    pool_module: {"LIMIT": 20, "LOOK_INTERVAL": 0.002, "WORKERS_INTERVAL": 0.004},
    placement: {"MOST_FOR_WORKERS": 6},
    recorder: {"GROUP_INTERVAL": 0.002, "GROUP_SIZE": 20},
    records: {"STARTED_AFTER": 0.01},
    scheduler: {"SWEEP_INTERVAL": 0.002, "REVOCATION_INTERVAL": 0.004},
}  # fmt: skip


def set_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for where, values in LIMITS.items():
        for name, value in values.items():
            monkeypatch.setattr(where, name, value)


def drawn(walk: random.Random, hooks: Sequence[JobHook], count: int) -> Iterator[Run]:
    """Draw runs of hooks for a few rows."""
    rows, keys = walk.choice([2, 3, 5]), walk.choice([8, 40])
    for id_ in range(1, count + 1):
        # A hot row, and now and then a change of a key.
        row, former = walk.choice([1, *range(1, rows)]), walk.choice([None] * keys + list(range(1, rows)))
        origin = walk.choice(hooks)
        cause = change(id_, table_id=walk.choice([1, 1, 2]), object_id_json=f'{{"id": {row}}}')
        former_key = None if former in (None, row) else f'{{"id": {former}}}'
        yield run(id_, cause=cause, origin=origin, former_key=former_key)


def hooks_of(options: Mapping[str, JobOptions]) -> list[JobHook]:
    return [hook(n, job=job(n, path)) for n, path in enumerate(options, start=1)]


@dataclass(eq=False)
class Execution:
    """A receiver that is executed for a run, and by what right: a leadership or a group."""

    run: Run
    token: uuid.UUID
    process: Process

    @property
    def counts(self) -> bool:
        """Whether what it does can still be recorded."""
        return self.process.has(self.token)


class Scene:
    """All that is executed anywhere, and whether it may be.

    Args:
        tables: what is on record.
        hooks: of the walk.
    """

    def __init__(self, tables: WalkTables, hooks: Sequence[JobHook]) -> None:
        self.tables = tables
        self.writing = {one.id for one in hooks if tables.walk.random() < 0.5}
        """The hooks whose receivers write rows."""
        self.going: list[Execution] = []
        self.done: dict[int, Execution] = {}
        self.lost: dict[int, int] = {}
        """The last attempts that were lost with a worker, of the present leadership."""
        self.raised: Counter[int] = Counter()
        """How often the receiver has raised an error for a run."""

    def begin(self, executions: Sequence[Execution]) -> None:
        """See that a receiver may be executed."""
        for one in executions:
            if one.counts:
                self._check(one, {other.run.id for other in executions})
        self.going += executions

    def _check(self, one: Execution, together: Collection[int]) -> None:
        tables, id_ = self.tables, one.run.id
        options, say = tables.options[one.run.job.class_path], tables.problems.append
        going = [other for other in self.going if other.counts]
        if id_ in (other.run.id for other in going) or (id_ in self.done and self.done[id_].counts):
            say(f"{id_} runs twice")
        if tables.has_ended(id_) and tables.results[id_].status != REVOKED:
            say(f"{id_} runs although it has ended")
        if one.run.retries > self.raised[id_]:
            say(f"{id_} is retried more often than its receiver has raised an error")
        if one.run.attempt <= self.lost.get(id_, 0):
            say(f"{id_} has the attempt {one.run.attempt} again")
        # One that was revoked while it went on gives its turn away, and is ended a moment later.
        beside = [
            other for other in going if other.run.job == one.run.job and not self._has_ended(other.run, one.token)
        ]
        if options.turns is not None and len(beside) >= options.turns:
            say(f"{id_} runs beside {[other.run.id for other in beside]} of its singleton")
        before = [other for other in tables.admitted if other.id < id_ and other.id not in together]
        for other in before:
            if tables.meet(other, one.run) and not self._has_ended(other, one.token):
                say(f"{id_} comes before {other.id}")

    def _has_ended(self, run: Run, token: uuid.UUID) -> bool:
        # What was done by another right counts once it is on record.
        return self.tables.has_ended(run.id) or (run.id in self.done and self.done[run.id].token == token)


class Writing(Workspace):
    """The workspace of a receiver that writes rows: the result is recorded in its own transaction."""

    used = True

    def __init__(self, process: Process, run: Run) -> None:
        self._process = process
        self._token = process.token_of(run.id)

    async def commit(self, outcome: Outcome) -> Collection[int]:
        process = self._process
        await process.tables.pause()
        with process.fence(self._token):
            await process.tables.pause(LONGEST_LOCK)
            if process.is_over:
                raise ConnectionFailed("the connection is lost")
            left = process.tables.record(outcome.each(), process.epoch)
        await process.tables.pause()
        if len(left) == len(outcome.run.singles):
            raise AlreadyRecorded
        return left

    async def rollback(self) -> None:
        await self._process.tables.pause()


class Process(World):
    """The scheduler of a leader or of a worker, over the tables.

    Args:
        scene: where it executes.
        epoch: the leadership under which it records.
        given: to World.
    """

    def __init__(self, scene: Scene, epoch: uuid.UUID, **given: Any) -> None:
        super().__init__(**given)
        self.scene = scene
        self.tables = scene.tables
        self.walk = scene.tables.walk
        self.epoch = epoch
        self.is_over = False
        self.receive = self.work

    def has(self, token: uuid.UUID) -> bool:
        """Say whether something can be recorded by a right of this process."""
        raise NotImplementedError

    def token_of(self, run_id: int) -> uuid.UUID:
        """Return by what right a run is executed."""
        raise NotImplementedError

    def fence(self, token: uuid.UUID) -> AbstractContextManager[Any]:
        """Hold a right for as long as something is recorded by it; raise AlreadyRecorded where it is gone."""
        raise NotImplementedError

    # The receivers.

    def options(self, class_path: str) -> JobOptions:
        return self.tables.options[class_path]

    def open(self, run: Run, user: str, *, asynchronous: bool) -> Any:
        return Writing(self, run) if run.origin.id in self.scene.writing else Workspace()

    async def work(self, called: Run) -> None:
        token = self.token_of(called.id)
        executions = [Execution(one, token, self) for one in called.singles]
        self.scene.begin(executions)
        try:
            await asyncio.sleep(self.walk.choice([0, 0, 0, 0.003, 0.03]))
        finally:
            for one in executions:
                self.scene.going.remove(one)
        if called.retries < 2 and self.walk.random() < 0.4:
            self.scene.raised.update(one.id for one in called.singles)
            raise ValueError("not now")
        if self.has(token):
            self.scene.done |= {one.run.id: one for one in executions}

    # The results.

    async def ended(self, run_ids: Collection[int]) -> set[int]:
        await self.tables.pause()
        rows = self.tables.results
        found = {id_ for id_ in run_ids if id_ in rows and (rows[id_].has_ended or rows[id_].epoch != self.epoch)}
        await self.tables.pause()
        return found

    async def revoked(self, run_ids: Collection[int]) -> set[int]:
        rows = self.tables.results
        found = {id_ for id_ in run_ids if id_ in rows and rows[id_].status == REVOKED}
        await self.tables.pause()
        return found

    async def on_record(self, run_ids: Collection[int]) -> dict[int, EndOnRecord]:
        rows = {id_: self.tables.results[id_] for id_ in run_ids if self.tables.has_ended(id_)}
        return {id_: EndOnRecord(row.status, None, now(), None, None, None, None) for id_, row in rows.items()}


class Leadership(Process):
    """One leadership. It begins when it is made, and what former ones have handed out is taken back by `begin`."""

    def __init__(self, scene: Scene) -> None:
        tables = scene.tables
        tables.epoch = uuid.UUID(int=tables.walk.getrandbits(128))
        placement = Placement(self, backlog=lambda queue: self.workers.backlog(queue))
        self.workers = WorkerPool(WalkBoard(tables), placement, lambda queue: True)
        super().__init__(scene, tables.epoch, pool=self.workers, placement=placement)
        self.events.subscribe(RunLost, self._note_loss)

    def has(self, token: uuid.UUID) -> bool:
        return not self.is_over

    def token_of(self, run_id: int) -> uuid.UUID:
        return self.epoch

    def fence(self, token: uuid.UUID) -> AbstractContextManager[Any]:
        return nullcontext()

    def _note_loss(self, event: RunLost) -> None:
        if not self.is_over:
            self.scene.lost.update((one.id, one.attempt) for one in event.run.singles)

    async def begin(self, runs: Sequence[Run]) -> None:
        """Take over what is unfinished, as Recovery does, and take the other runs that had come."""
        tables, admitting = self.tables, self.scheduler.admission
        await tables.pause()
        await tables.take_back_all()
        tables.admitted.clear()
        self.scene.lost.clear()
        for one in runs:
            if one.id not in tables.results:
                continue
            tables.admitted.append(one)
            row = tables.results[one.id]
            if row.has_ended:
                continue
            if admitting.is_better_shelved(one.lanes, one.job):
                admitting.shelve(one.lanes, one.id, one.job, row.retry_at)
            else:
                current, due = tables.take_over(one.id)
                admitting.admit(current, None, due=due)
        for one in runs:
            if one.id not in tables.results:
                self.read(one)

    def read(self, one: Run) -> None:
        """Take a run of a change."""
        self.tables.admitted.append(one)
        self.scheduler.admission.admit(one, self.progress.add(START.past(one.id), 1))

    async def record(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> set[int]:
        await self.tables.pause()
        left = set() if self.is_over else self.tables.record(outcomes, self.epoch)
        await self.tables.pause()
        return left

    async def fetch(self, result_ids: Sequence[int]) -> list[tuple[Run, datetime | None]]:
        await self.tables.pause()
        return [self.tables.take_over(id_) for id_ in result_ids if not self.tables.has_ended(id_)]
