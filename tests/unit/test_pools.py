"""Execution pools: a pool of another kind needs nothing but the protocol, and nothing but ids crosses it."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rowhooks.domain.errors import RunRevoked
from rowhooks.domain.events import AttemptStarted, RunExecuted
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import FAILURE, PENDING, RETRY, SUCCESS, LogEntry, Outcome, Run, now
from rowhooks.pipeline.execution.outcomes import failed
from rowhooks.pipeline.scheduling import records, scheduler
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.pools import LOOP, THREADS, PoolOwner, PreparedRun
from tests.support.waiting import eventually
from tests.support.world import World, working


class Remote:
    """What is known here of a run that goes on elsewhere."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.started_at: datetime = now()
        self.began = asyncio.get_running_loop().time()

    def take_lines(self) -> tuple[LogEntry, ...]:
        return ()


class Elsewhere:
    """A pool whose workers hear of runs by their ids alone, as text, and answer in the same way."""

    limit = 2
    needs_rows = False
    is_elsewhere = False
    waiting: Mapping[str, int] = {}

    def __init__(self, name: str = LOOP) -> None:
        self.name = name
        self.running: dict[int, Remote] = {}
        self.joined: dict[int, Remote] = {}
        self.sent: list[str] = []
        self.hangs: set[int] = set()
        self.retries: set[int] = set()
        self._waiting: list[Run] = []
        self._owner: PoolOwner

    def attach(self, owner: PoolOwner) -> None:
        self._owner = owner

    def knows(self, run_id: int) -> bool:
        return False

    def accept(self, group: Collection[PreparedRun]) -> None:
        self._waiting += [prepared.run for prepared in group]
        self._send()

    def interrupt(self, run_id: int) -> bool:
        raise AssertionError("no run has a soft time limit")

    def abandon(self, run_id: int, error: BaseException) -> Outcome:
        remote = self.running.pop(run_id)
        self._send()
        return failed(remote.run, remote.started_at, error)

    async def drain(self, grace: float) -> int:
        return len(self.running)

    def _send(self) -> None:
        while self._waiting and len(self.running) < self.limit:
            run = self._waiting.pop(0)
            if not self._owner.may_begin(run.id):
                self._owner.ended(run.id, None, None)
                continue
            self.running[run.id] = Remote(run)
            self.sent.append(json.dumps({"run": run.id}))
            if run.id not in self.hangs:
                asyncio.get_running_loop().call_soon(self._answer, self.sent[-1])

    def _answer(self, message: str) -> None:
        remote = self.running.pop(json.loads(message)["run"])
        outcome = Outcome(remote.run, SUCCESS, remote.started_at, now())
        if remote.run.id in self.retries:
            self.retries.remove(remote.run.id)
            outcome = replace(outcome, status=RETRY, finished_at=None, retry_at=now() + timedelta(seconds=0.01))
        self._owner.ended(remote.run.id, outcome, None)
        self._send()


async def test_a_pool_of_another_kind_needs_nothing_but_the_protocol() -> None:
    pool = Elsewhere()
    pool.retries = {2}
    world = World(pool)
    async with working(world):
        for number in range(1, 7):
            world.submit(number, row=number % 2)
        await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 6)
    sent = [json.loads(message)["run"] for message in pool.sent]
    # Order per row is the scheduler's, also behind a retry.
    assert [number for number in sent if number % 2] == [1, 3, 5]
    assert [number for number in sent if not number % 2] == [2, 2, 4, 6]
    assert world.called == []
    # Its workers load the rows themselves.
    assert world.loads == 0
    assert world.scheduler.waiting == world.scheduler.running == world.scheduler.held == 0


async def test_a_third_pool_needs_no_other_change_than_the_choice_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Elsewhere("elsewhere")
    monkeypatch.setattr(Placement, "pool_of", lambda placement, class_path, origin=None: pool.name)
    world = World(pool)
    async with working(world):
        world.submit(1)
        await eventually(lambda: (1, SUCCESS) in world.written)
        # Left to the table, as at a start with much on record: fetched when the pool is replenished.
        other = world.submitted[2] = world.run(2, row=2)
        world.written.append((2, PENDING))
        world.scheduler.admission.shelve([other.lane], 2, other.job)
        world.scheduler.replenish()
        await eventually(lambda: (2, SUCCESS) in world.written)
    assert [json.loads(message)["run"] for message in pool.sent] == [1, 2]
    assert world.fetched == [[2]]
    assert world.called == []


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "given back"])
async def test_what_is_behind_a_run_that_comes_back_from_elsewhere_is_not_on_record_before_it(
    is_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "SWEEP_INTERVAL", 0.001)
    pool = Elsewhere()
    pool.hangs = {1}
    world = World(pool)
    async with working(world):
        world.submit(1)
        await eventually(lambda: world.scheduler.admission.waiting == 0)
        # Nothing has room for it any more.
        pool.limit = 0
        del pool.running[1]
        if is_lost:
            world.scheduler.lost(1, "its process has ended", for_good=False)
        else:
            world.scheduler.ended(1, None, None)
        world.submit(2)
        assert world.scheduler.waiting == 2
        assert world.written == []
        monkeypatch.setattr(records, "STARTED_AFTER", 0.0)
        await eventually(lambda: (2, PENDING) in world.written)
    assert world.written == [(1, PENDING), (2, PENDING)]


async def test_a_run_elsewhere_is_ended_at_its_time_limit() -> None:
    pool = Elsewhere()
    pool.hangs = {1}
    world = World(pool)
    world.job_options = JobOptions(time_limit=0.0)
    async with working(world):
        world.submit(1)
        world.submit(2)
        await eventually(lambda: (2, SUCCESS) in world.written)
    assert (1, FAILURE) in world.written


async def test_plain_receivers_that_are_prepared_together_begin_side_by_side() -> None:
    world, goes_on = World(threads=10), threading.Event()
    world.asynchronous = False
    world.receive = lambda run: goes_on.wait(10) and None
    async with working(world):
        for id_ in range(1, 6):
            world.submit(id_, row=id_)
        try:
            await eventually(lambda: len(world.called) == 5)
        finally:
            goes_on.set()
        await eventually(lambda: not world.scheduler.running)


class Large:
    """What a receiver has in its hands."""


@pytest.mark.parametrize("is_watched", [False, True])
@pytest.mark.parametrize("is_asynchronous", [False, True])
async def test_what_a_receiver_that_raised_has_held_is_gone_with_its_run(
    is_asynchronous: bool, is_watched: bool
) -> None:
    world = World()
    world.asynchronous = is_asynchronous
    held: list[weakref.ref[Large]] = []
    if is_watched:
        world.events.subscribe(RunExecuted, str)

    def receive(run: Run) -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise ValueError(run.id)

    world.receive = receive
    # The collector comes seldom, see rowhooks.runtime.process.
    gc.disable()
    try:
        async with working(world):
            for id_ in range(1, 4):
                world.submit(id_, row=id_)
            await eventually(lambda: len(world.written) == 3)
        assert [one() for one in held] == [None] * 3
    finally:
        gc.enable()


async def test_nothing_begins_any_more_from_the_moment_at_which_the_scheduler_is_to_finish() -> None:
    world, has_begun = World(), asyncio.Event()
    world.known_user = "alice"

    async def receive(run: Run) -> None:
        has_begun.set()
        await asyncio.sleep(0)

    world.receive = receive
    async with working(world):
        for id_ in range(1, 1001):
            world.submit(id_, row=id_)
        await has_begun.wait()
        before = len(world.called)
        await world.scheduler.finish(5)
        assert len(world.called) == before < 1000


async def test_a_plain_run_that_is_ended_while_it_waits_for_another_attempt_has_none() -> None:
    world, goes_on = World(), threading.Event()
    world.asynchronous, world.unreachable = False, 1
    attempts: list[int] = []
    world.events.subscribe(AttemptStarted, lambda event: attempts.append(event.run.id))
    pool: Any = world.scheduler._pools[THREADS]

    def receive(run: Run) -> None:
        if run.id == 1:
            raise OSError("no connection")
        goes_on.wait(10)

    world.receive = receive
    async with working(world):
        try:
            world.submit(1, row=1)
            await eventually(lambda: pool._pauses)
            world.submit(2, row=2)
            await eventually(lambda: pool._queue)
            world.scheduler._abandon(world.scheduler._handed[1], RunRevoked())
        finally:
            goes_on.set()
        await eventually(lambda: not world.scheduler.running and not pool._active)
    assert attempts == [1, 2]
