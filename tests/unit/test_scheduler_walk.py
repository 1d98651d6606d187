"""Scheduler: random walks over lanes, retries, revocations, locks, batches, turns and take-overs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from rowhooks.domain.feed import Position
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import FAILURE, PENDING, RETRY, REVOKED, STARTED, SUCCESS, LogEntry, Outcome, Run, now
from rowhooks.pipeline import recorder
from rowhooks.pipeline.ports import EndOnRecord
from rowhooks.pipeline.scheduling import admission, batches, lanes, loads, records
from rowhooks.pipeline.scheduling import scheduler as module
from tests.support.make import change, hook, job, run
from tests.support.waiting import eventually
from tests.support.world import START, World, working

RUNS, ROWS = 200, 5
RETRYING: dict[str, Any] = {
    "max_retries": 2, "autoretry_for": (ValueError,), "retry_backoff": 0.03, "retry_jitter": False,
}  # fmt: skip
KINDS = {
    "walk.Plain": JobOptions(**RETRYING),
    "walk.Unordered": JobOptions(**RETRYING, ordered=False),
    "walk.Singleton": JobOptions(**RETRYING, is_singleton=True),
    "walk.Threesome": JobOptions(**RETRYING, max_concurrency=3),
    "walk.UnorderedSingleton": JobOptions(**RETRYING, is_singleton=True, ordered=False),
    "walk.Batch": JobOptions(**RETRYING, batch_size=4, batch_wait=0.01),
}
HOOKS = [hook(n, job=job(n, path)) for n, path in enumerate(KINDS, start=1)]
UNFINISHED = (PENDING, STARTED, RETRY)
Rows = dict[int, tuple[Run, str, datetime | None]]


class Leadership(World):
    """One leadership over a table of results.

    Args:
        walk: the random numbers.
        table: status, and when a retry is due, of what is on record, by the ids of the runs.
    """

    def __init__(self, walk: random.Random, table: Rows) -> None:
        super().__init__()
        self.walk = walk
        self.table = table
        self.is_over = False
        self.going: set[int] = set()
        self.came: list[Run] = []
        self.done: set[int] = set()
        self.problems: list[str] = []
        self.receive = self.work

    # The feed.

    def begin(self, runs: Sequence[Run]) -> None:
        """Take over what is unfinished, as Recovery does, and take the other runs that had come."""
        admitting = self.scheduler.admission
        self.done = {id_ for id_, (_, status, _) in self.table.items() if status not in UNFINISHED}
        for one in runs:
            if one.id not in self.table:
                continue
            self.came.append(one)
            current, status, due = self.table[one.id]
            if status not in UNFINISHED:
                continue
            if admitting.is_better_shelved(one.lanes, one.job):
                admitting.shelve(one.lanes, one.id, one.job, due)
            else:
                admitting.admit(_current(current, status), None, due=due)
        for one in runs:
            if one.id not in self.table:
                self.read(one)

    def read(self, one: Run) -> None:
        """Take a run of a change."""
        self.came.append(one)
        self.scheduler.admission.admit(one, self.progress.add(START.past(one.id), 1))

    # The receivers.

    def options(self, class_path: str) -> JobOptions:
        return KINDS[class_path]

    async def work(self, called: Run) -> None:
        together = {one.id for one in called.singles}
        for one in called.singles:
            self._check(one, together)
        self.going |= together
        try:
            await asyncio.sleep(self.walk.choice([0, 0, 0, 0.003, 0.03]))
        finally:
            self.going -= together
        if called.retries < 2 and self.walk.random() < 0.4:
            raise ValueError("not now")
        self.done |= together

    def _check(self, one: Run, together: set[int]) -> None:
        options = KINDS[one.job.class_path]
        if one.id in self.going or one.id in self.done:
            self.problems.append(f"{one.id} runs twice")
        beside = [other for other in self.came if other.id in self.going and other.job == one.job]
        # One that was revoked while it went on gives its turn away, and is ended a moment later.
        if options.turns is not None and sum(not self._has_ended(other.id) for other in beside) >= options.turns:
            self.problems.append(f"{one.id} runs beside another one of its singleton")
        if not options.ordered:
            return
        for other in self.came:
            if other.id < one.id and other.id not in together and not self._has_ended(other.id) and _meet(other, one):
                self.problems.append(f"{one.id} comes before {other.id}")

    def _has_ended(self, id_: int) -> bool:
        return id_ in self.done or (id_ in self.table and self.table[id_][1] not in UNFINISHED)

    # The table.

    async def record(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> set[int]:
        await asyncio.sleep(self.walk.choice([0, 0.002]))
        left = set()
        for outcome in outcomes if not self.is_over else ():
            id_ = outcome.run.id
            if self._is_on_record_as_ended(id_):
                left.add(id_)
            else:
                self.table[id_] = (outcome.run, outcome.status, outcome.retry_at)
        return left

    def _is_on_record_as_ended(self, id_: int) -> bool:
        return id_ in self.table and self.table[id_][1] not in UNFINISHED

    async def ended(self, run_ids: Collection[int]) -> set[int]:
        await asyncio.sleep(self.walk.choice([0, 0.002]))
        return {id_ for id_ in run_ids if self._is_on_record_as_ended(id_)}

    async def revoked(self, run_ids: Collection[int]) -> set[int]:
        found = {id_ for id_ in run_ids if id_ in self.table and self.table[id_][1] == REVOKED}
        await asyncio.sleep(self.walk.choice([0, 0.002]))
        return found

    async def on_record(self, run_ids: Collection[int]) -> dict[int, EndOnRecord]:
        return {id_: EndOnRecord(self.table[id_][1], None, now(), None, None, None, None) for id_ in run_ids}

    async def fetch(self, result_ids: Sequence[int]) -> list[tuple[Run, datetime | None]]:
        found = [self.table[id_] for id_ in result_ids]
        await asyncio.sleep(self.walk.choice([0, 0.002]))
        return [(_current(one, status), due) for one, status, due in found if status in UNFINISHED]

    def revoke(self) -> None:
        """Revoke something, as `rowhooks.revoke` does."""
        unfinished = [id_ for id_, (_, status, _) in self.table.items() if status in UNFINISHED]
        if unfinished:
            id_ = self.walk.choice(unfinished)
            self.table[id_] = (self.table[id_][0], REVOKED, None)


def _current(one: Run, status: str) -> Run:
    return one.again() if status == RETRY else one


def _meet(one: Run, other: Run) -> bool:
    if one.origin != other.origin:
        return False
    return KINDS[one.job.class_path].batch_size is not None or bool(set(one.lanes) & set(other.lanes))


def _drawn(walk: random.Random) -> Iterator[Run]:
    for id_ in range(1, RUNS + 1):
        # A hot row, and now and then a change of a key.
        row, former = walk.choice([1, *range(1, ROWS)]), walk.choice([None] * 8 + list(range(1, ROWS)))
        origin = walk.choice(HOOKS)
        cause = change(id_, table_id=walk.choice([1, 1, 2]), object_id_json=f'{{"id": {row}}}')
        former_key = None if former in (None, row) else f'{{"id": {former}}}'
        yield run(id_, cause=cause, origin=origin, former_key=former_key)


@pytest.fixture(params=range(6))
def walk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> random.Random:
    """Random numbers, and limits that are soon reached."""
    limits: dict[Any, dict[str, Any]] = {
        admission: {"FETCHED_TOGETHER": 7, "MOST_TAKEN_OVER": 10, "MOST_RETRIES": 2, "MUCH": 20, "FEW": 2,
                    "ASKED_TOGETHER": 3, "SOON": timedelta(0)},
        batches: {"LONGEST_LINE": 5},
        lanes: {"LONGEST_LANE": 4, "REFILL_BELOW": 2},
        loads: {"KEPT": 2, "SHORTEST_PAUSE": 0.01},
        module: {"SWEEP_INTERVAL": 0.001, "REVOCATION_INTERVAL": 0.002},
        records: {"STARTED_AFTER": 0.01},
        recorder: {"GROUP_INTERVAL": 0.001, "GROUP_SIZE": 20},
    }  # fmt: skip
    for where, values in limits.items():
        for name, value in values.items():
            monkeypatch.setattr(where, name, value)
    return random.Random(request.param)


async def test_whatever_comes_together_each_run_ends_in_its_turn(walk: random.Random) -> None:
    runs, table = list(_drawn(walk)), Rows()
    come = 0
    while come < len(runs):
        leadership = Leadership(walk, table)
        until = min(come + walk.choice([30, 60, 120]), len(runs))
        async with working(leadership):
            leadership.begin(runs[:come])
            for one in runs[come:until]:
                leadership.read(one)
                match walk.randrange(30):
                    case 0 | 1 | 2 | 3 | 4 | 5:
                        await asyncio.sleep(walk.choice([0, 0.001, 0.005]))
                    case 6 | 7:
                        leadership.revoke()
                    case 8:
                        leadership.locked ^= {2}
            leadership.locked.clear()
            come = until
            if come == len(runs):
                await eventually(partial(_ended, leadership, runs))
                assert (leadership.scheduler.waiting, leadership.scheduler.held) == (0, 0)
            leadership.is_over = True
        assert leadership.problems == []
        _check_gaps(runs, table)
    assert {status for _, status, _ in table.values()} <= {SUCCESS, REVOKED, FAILURE}


def _ended(leadership: Leadership, runs: Sequence[Run]) -> bool:
    unfinished = [id_ for id_ in (one.id for one in runs) if not leadership._is_on_record_as_ended(id_)]
    return leadership.problems != [] or not unfinished


def _check_gaps(runs: Sequence[Run], table: Rows) -> None:
    """See that nothing is on record before what it must wait for: the next leader begins with what is there."""
    for one in runs:
        if one.id in table and KINDS[one.job.class_path].ordered:
            for other in runs[: one.id - 1]:
                assert other.id in table or not _meet(other, one), (other.id, one.id)
