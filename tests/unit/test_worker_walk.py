"""Workers: random walks over leaders and workers that come, go and are lost, and over what the scheduler hands them."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from functools import partial

import pytest

from rowhooks.domain.dispatch import Group, LiveWorker
from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.run import FAILURE, PENDING, RETRY, REVOKED, SUCCESS, Outcome, Run
from rowhooks.pipeline.concurrency import running
from rowhooks.pipeline.scheduling import batches, lanes, placement, records
from tests.support.make import run
from tests.support.virtual_time import in_virtual_time
from tests.support.waiting import eventually
from tests.support.walk_tables import NOBODY, Handed, WalkTables
from tests.support.walk_workers import Worker
from tests.support.walking import HERE, THERE, Leadership, Scene, drawn, hooks_of, set_limits
from tests.support.world import working

RUNS, WORKERS = 120, 2
FOR_EVER = 1000.0
OPTIONS = {**THERE, **{name: HERE[name] for name in ("here.Plain", "here.Batch")}}


class Crew:
    """The workers of a walk, and what happens to them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.workers = [Worker(scene) for _ in range(WORKERS)]
        self.gone: list[Worker] = []

    def suffer(self) -> None:
        """Let something happen to a worker, or a new one come."""
        walk = self._scene.tables.walk
        if not self.workers or (len(self.workers) < WORKERS and walk.random() < 0.3):
            self.workers.append(Worker(self._scene))
            return
        what = walk.choice([Worker.kill, Worker.cut, Worker.silence, Worker.stop])
        # One, or all of them.
        for worker in walk.sample(self.workers, walk.choice([1, len(self.workers)])):
            what(worker)
            if what in (Worker.kill, Worker.stop):
                self.workers.remove(worker)
                self.gone.append(worker)

    async def end(self) -> None:
        for worker in self.workers:
            worker.stop()
        await asyncio.gather(*(worker.task for worker in (*self.workers, *self.gone)), return_exceptions=True)


async def _walk(walk: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    # What comes on record early, because it waits long or behind many others, is safe from much.
    monkeypatch.setattr(records, "STARTED_AFTER", walk.choice([0.02, 0.1]))
    if walk.random() < 0.7:
        monkeypatch.setattr(lanes, "LONGEST_LANE", 50)
        monkeypatch.setattr(batches, "LONGEST_LINE", 50)
        monkeypatch.setattr(placement, "MOST_FOR_WORKERS", 100)
    tables = WalkTables(walk, OPTIONS)
    # Few, which are in each other's way.
    hooks = walk.sample(hooks_of(OPTIONS), walk.choice([2, 4]))
    scene, runs = Scene(tables, hooks), list(drawn(walk, hooks, RUNS))
    crew = Crew(scene)
    dispatching: list[asyncio.Task[None]] = []
    come = 0
    while come < len(runs):
        leadership = Leadership(scene)
        until = min(come + walk.choice([15, 30, 60]), len(runs))
        dispatching.append(asyncio.create_task(leadership.workers.run()))
        async with working(leadership):
            await leadership.begin(runs[:come])
            while come < until:
                count = walk.choice([1, 1, 2, 8])
                for one in runs[come : come + count]:
                    leadership.read(one)
                come += count
                await _step(leadership, crew)
            for _ in range(walk.choice([0, 0, 20])):
                await _step(leadership, crew)
            leadership.locked.clear()
            if come >= len(runs):
                if len(crew.workers) < 2:
                    crew.workers.append(Worker(scene))
                await eventually(partial(_ended, leadership, runs))
                assert not tables.problems, tables.problems
            elif walk.random() < 0.3:
                await leadership.scheduler.finish(walk.choice([0.0, 0.01]))
                await leadership.recorder.flush()
            leadership.is_over = True
            if dispatching[-1].done():
                dispatching[-1].result()
        assert not tables.problems, tables.problems
        # Its workers go on without it. So does what it hands out: its board does not know yet that it is over.
        await asyncio.sleep(walk.choice([0, 0.003, 0.03]))
    await crew.end()
    for task in dispatching:
        task.cancel()
    ends = await asyncio.gather(*dispatching, return_exceptions=True)
    assert {type(end) for end in ends} <= {asyncio.CancelledError, LeadershipLost}
    assert {row.status for row in tables.results.values()} <= {SUCCESS, REVOKED, FAILURE}


async def _step(leadership: Leadership, crew: Crew) -> None:
    walk, tables = leadership.walk, leadership.tables
    # Sometimes much of what has come ends meanwhile.
    await asyncio.sleep(walk.choice([0, 0, 0.001, 0.003, 0.006, 0.01, 0.04]))
    match walk.randrange(20):
        case 0 | 1:
            tables.revoke()
        case 2:
            leadership.locked ^= {2}
        case 3 | 4 | 5 | 6:
            crew.suffer()
            if not crew.workers:
                # What they had waits long.
                await asyncio.sleep(walk.choice([0.03, 0.12]))


def _ended(leadership: Leadership, runs: Sequence[Run]) -> bool:
    tables, scheduler = leadership.tables, leadership.scheduler
    left = (scheduler.waiting, scheduler.held, scheduler.running)
    return tables.problems != [] or (all(tables.has_ended(one.id) for one in runs) and left == (0, 0, 0))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_to_leaders_and_workers_each_run_ends_in_its_turn(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits(monkeypatch)
    in_virtual_time(_walk(random.Random(seed), monkeypatch))


def test_a_batch_whose_first_run_is_revoked_before_it_begins_comes_back_from_its_worker() -> None:
    in_virtual_time(_a_batch_without_its_first())


async def _a_batch_without_its_first() -> None:
    tables, (of_batches,) = WalkTables(random.Random(0), OPTIONS), hooks_of({"there.Batch": THERE["there.Batch"]})
    runs = [run(n, origin=of_batches) for n in (1, 2)]
    tables.record([Outcome(one, PENDING, None) for one in runs], NOBODY)
    tables.results[1].status = REVOKED
    group = Group(uuid.uuid4(), "there", True, 0, (Run.batch_of(runs),))
    handed = tables.groups[group.id] = Handed(group, NOBODY)
    worker = Worker(Scene(tables, []))
    await eventually(lambda: handed.is_done)
    worker.stop()
    await worker.task
    assert tables.results[2].status in (SUCCESS, RETRY)


def test_what_stands_behind_a_run_that_a_worker_gives_back_does_not_count_as_going_on() -> None:
    in_virtual_time(_a_lane_that_comes_back())


async def _a_lane_that_comes_back() -> None:
    tables, (plain,) = WalkTables(random.Random(0), OPTIONS), hooks_of({"there.Plain": THERE["there.Plain"]})
    leadership, worker = Leadership(Scene(tables, [])), uuid.uuid4()
    tables.workers[worker] = LiveWorker(worker, "host:1", frozenset({"there"}), 1, 1, frozenset(OPTIONS))
    async with working(leadership), running([leadership.workers.run()]):
        for n in (1, 2, 3):
            leadership.read(run(n, origin=plain))
        await eventually(lambda: tables.groups)
        (handed,) = tables.groups.values()
        handed.worker = worker
        await eventually(lambda: leadership.scheduler.running == 3)
        tables.workers.clear()
        handed.is_done = True
        await eventually(lambda: not tables.groups)
        await eventually(lambda: leadership.scheduler.running == 0)


def test_a_batch_that_goes_on_is_on_record_before_what_was_gathered_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch)
    monkeypatch.setattr(records, "STARTED_AFTER", 0.05)
    in_virtual_time(_a_batch_after_another())


async def _a_batch_after_another() -> None:
    tables, (of_batches,) = WalkTables(random.Random(0), OPTIONS), hooks_of({"here.Batch": HERE["here.Batch"]})
    leadership, called = Leadership(Scene(tables, [])), []

    async def receive(batch: Run) -> None:
        called.append(batch)
        await asyncio.sleep(0.04 if len(called) == 1 else FOR_EVER)

    leadership.receive = receive
    async with working(leadership):
        # The second batch has waited for the first, and what is in the next one has come with it.
        for n in range(1, 10):
            leadership.read(run(n, origin=of_batches))
        await eventually(lambda: 9 in tables.results)
    assert tables.problems == []
