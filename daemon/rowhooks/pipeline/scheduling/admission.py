"""Admission: runs come in, and wait in memory for their batch or lane; what is far behind waits in the table alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from rowhooks.domain.configuration import JobButton, JobHook, TrackedTable
from rowhooks.domain.events import Events, RunSubmitted
from rowhooks.domain.job import Job
from rowhooks.domain.keys import lane_key
from rowhooks.domain.run import PENDING, Outcome, Run, lane_of
from rowhooks.pipeline.ports import ReceiverCatalog
from rowhooks.pipeline.progress import Step
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.batches import Batches
from rowhooks.pipeline.scheduling.lanes import Lanes
from rowhooks.pipeline.scheduling.pools import pool_for
from rowhooks.pipeline.scheduling.tasks import Lane, Task

FETCHED_TOGETHER = 1000
"""Runs fetched from the table in one query."""
MOST_TAKEN_OVER, MOST_HELD_TAKEN_OVER = 10_000, 64 * 2**20
"""Runs in memory, and characters of rows, beyond which what is taken over is left to the table, by its id."""

Fetch = Callable[[Sequence[int]], Awaitable[list[tuple[Run, datetime | None]]]]
"""Returns runs that wait in the table, by their ids and in this order, each with the time it is due; those that are not
to be run any more are missing."""


class Admission:
    """Makes tasks of runs, and puts them where they wait.

    Args:
        recorder: writes what waits in the table, and hands its connection over for reading it.
        receivers: says how the runs of each job are to be run.
        fetch: reads what waits in the table.
        events: where it is published that a run was submitted.
        ready: called with each task that may begin.
        put_on_record: called with each task that must be on record before something that is put there now.
    """

    def __init__(
        self,
        recorder: Recorder,
        receivers: ReceiverCatalog,
        fetch: Fetch,
        events: Events,
        ready: Callable[[Task], None],
        put_on_record: Callable[[Task], None],
    ) -> None:
        self._recorder = recorder
        self._receivers = receivers
        self._fetch = fetch
        self._events = events
        self._put_on_record = put_on_record
        self._are_short = asyncio.Event()
        self.lanes = Lanes(ready, self._are_short.set)
        self.batches = Batches(self.lanes.add)
        self.held = 0
        """Characters of changes that are in memory, of what waits and what runs."""
        # By pool, the lanes of which the first was left to the table: its own was locked, or there was much in memory.
        self._asleep: defaultdict[str, deque[Lane]] = defaultdict(deque)
        # Of tables with keys of which one value has several texts, how these differ.
        self._loose: dict[int, Mapping[str, str]] = {}
        self._closed = False

    def learn(self, tables: Mapping[int, TrackedTable]) -> None:
        """Take over the tracked tables."""
        self._loose = {id_: table.loose_key for id_, table in tables.items() if table.loose_key}

    @property
    def waiting(self) -> int:
        """How many runs wait in memory: for their lane, their retry, a free place, their row."""
        return len(self.lanes) + len(self.batches)

    def admit(self, run: Run, step: Step | None, *, due: datetime | None = None) -> None:
        """Take a run; see `Scheduler.submit`."""
        if self._closed:
            return
        task = self._task(run, step, due)
        if self._events.wants(RunSubmitted):
            self._events.publish(RunSubmitted(task.run))
        if task.options.batch_size is not None:
            self.held += task.size
            self.batches.gather(task)
            return
        lane, former = task.lane, task.former_lane
        if not self.lanes.is_long(lane) and (former is None or not self.lanes.is_long(former)):
            self.held += task.size
            self.lanes.add(task)
            return
        lanes = (lane,) if former is None else (lane, former)
        self._put_on_record_before(lanes)
        if step is not None:
            self._recorder.take(Outcome(task.run, PENDING, None), step)
        self._asleep[task.pool] += self.lanes.shelve(lanes, run.id)

    def is_better_shelved(self, lanes: Sequence[Lane], job: Job | None) -> bool:
        """Say whether a run that is on record need not be in memory before its turn; see `Scheduler`."""
        if any(self.lanes.is_long(lane) for lane in self._distinct(lanes)):
            return True
        if job is None or (self.waiting < MOST_TAKEN_OVER and self.held < MOST_HELD_TAKEN_OVER):
            return False
        options = self._receivers.options(job.class_path)
        # A batch is made of what is in memory, and so is a singleton's turn.
        return options.ordered and options.batch_size is None and not options.is_singleton

    def shelve(self, lanes: Sequence[Lane], run_id: int, job: Job | None) -> None:
        """Take a run that is on record, by its id alone; see `Scheduler`."""
        pool = pool_for(self._receivers, None if job is None else job.class_path)
        self._asleep[pool] += self.lanes.shelve(self._distinct(lanes), run_id)

    def join(self, origins: Iterable[JobHook | JobButton], table_id: int, key: str, former_key: str) -> bool:
        """Take account of a changed key without a run for it; see `Scheduler`."""
        joined = False
        for origin in origins:
            lanes = self._distinct([lane_of(origin, table_id, one) for one in (key, former_key)])
            if len(lanes) == 2 and self.lanes.is_taken(lanes[1]):
                self._put_on_record_before(lanes if any(map(self.lanes.is_long, lanes)) else ())
                self.lanes.join(*lanes)
                joined = True
        return joined

    async def refill(self) -> None:
        """Fetch what long lanes need next, until cancelled."""
        while True:
            await self._are_short.wait()
            self._are_short.clear()
            while taken := self.lanes.unshelve(FETCHED_TOGETHER):
                # They are on record by then, and nothing else uses the recorder's connection meanwhile.
                fetch = partial(self._fetch, self.lanes.missing(taken))
                found = await self._recorder.undisturbed(fetch)
                tasks = {run.id: self._task(run, None, due) for run, due in found}
                self.held += sum(task.size for task in tasks.values())
                for lane, ids in taken.items():
                    self.lanes.refill(lane, ids, tasks)

    def put_back(self, task: Task) -> bool:
        """Leave a task to the table for as long as its own is locked; the feed goes on for others meanwhile."""
        is_alone = not task.parts and task.on_record and task.step is None and not task.options.is_singleton
        if not is_alone or not self.lanes.put_back(task):
            return False
        self.held -= task.size
        # The feed may wait for it.
        self._recorder.room.set()
        return True

    def sleep(self, lanes: Iterable[tuple[str, Lane]]) -> None:
        """Take lanes whose first is in the table, each with the name of its pool; they are fetched in their turn."""
        for pool, lane in lanes:
            self._asleep[pool].append(lane)

    def replenish(self, pool: str, ready: int) -> None:
        """Let lanes of a pool be fetched whose first is in the table, where little is ready that could begin.

        What is in memory and may not, for its lane, its retry or a locked table, keeps nothing else waiting.
        """
        asleep = self._asleep[pool]
        if ready < FETCHED_TOGETHER:
            for _ in range(min(FETCHED_TOGETHER, len(asleep))):
                self.lanes.wake(asleep.popleft())

    def leave(self, task: Task) -> None:
        """Take a task out that was ready or went on."""
        self.held -= task.size
        self.lanes.leave(task)
        if task.parts and not self._closed:
            self.batches.ended(task)

    def drop(self, task: Task) -> None:
        """Take a task out that waits for its retry."""
        self.held -= task.size
        self.lanes.drop(task)

    def close(self) -> None:
        """Take no more, and forget what waits."""
        self._closed = True
        self.lanes.close()
        self.batches.close()

    def _task(self, run: Run, step: Step | None, due: datetime | None) -> Task:
        path = run.job.class_path
        options = self._receivers.options(path)
        if options.has_sensitive_variables:
            run = replace(run, sensitive=True)
        task = Task(run, step, options, pool_for(self._receivers, path), due=due)
        if options.ordered and (run.former_key is not None or run.cause.table_id in self._loose):
            task.lane, *former = self._distinct(run.lanes)
            task.former_lane = former[0] if former else None
        return task

    def _distinct(self, lanes: Sequence[Lane]) -> Sequence[Lane]:
        """Return lanes by what is the same for all texts of a key."""
        loose = self._loose.get(lanes[0][2])
        if loose is not None:
            lanes = [(*lane[:3], lane_key(lane[3], loose)) for lane in lanes]
        return list(dict.fromkeys(lanes))

    def _put_on_record_before(self, lanes: Sequence[Lane]) -> None:
        """Put on record what a run must not overtake that is put there now: a new leader begins with what is."""
        for task in self.lanes.before(lanes):
            self._put_on_record(task)
