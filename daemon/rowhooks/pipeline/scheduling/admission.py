"""Admission: runs come in, and wait in memory for their batch or lane; what is far behind waits in the table alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from rowhooks.domain.configuration import JobButton, JobHook, TrackedTable
from rowhooks.domain.events import Events, RunSubmitted
from rowhooks.domain.job import Job, JobOptions
from rowhooks.domain.keys import lane_key
from rowhooks.domain.run import PENDING, Outcome, Run, lane_of, lane_of_batches, now
from rowhooks.pipeline.progress import Step
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.batches import Batches
from rowhooks.pipeline.scheduling.lanes import Lanes
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.pools import WORKERS
from rowhooks.pipeline.scheduling.retries import LaterRetries
from rowhooks.pipeline.scheduling.tasks import Lane, Task

FETCHED_TOGETHER = 1000
"""Runs fetched from the table in one query."""
MOST_TAKEN_OVER, MOST_HELD_TAKEN_OVER = 10_000, 64 * 2**20
"""Runs in memory, and characters of rows, beyond which what is taken over is left to the table, by its id."""
MOST_RETRIES, MUCH = 5000, 30_000
"""Runs in memory that wait for their retry, and runs that wait at all, beyond which retries are left to the table."""
SOON = timedelta(seconds=5)
"""A retry that is due by then stays in memory."""
FEW = 25
"""Retries that are due and that a sweep fetches, where much is in memory."""
ASKED_TOGETHER = 5000
"""Retries in the table of which it is asked together whether they were revoked."""

Fetch = Callable[[Sequence[int]], Awaitable[list[tuple[Run, datetime | None]]]]
"""Returns runs that wait in the table, by their ids and in this order, each with the time it is due; those that are not
to be run any more are missing."""


class Admission:
    """Makes tasks of runs, and puts them where they wait.

    Args:
        recorder: writes what waits in the table, and hands its connection over for reading it.
        placement: says which pool the runs of each job go to, and knows how they are to be run.
        fetch: reads what waits in the table.
        events: where it is published that a run was submitted.
        ready: called with each task that may begin.
        put_on_record: called with each task that must be on record before something that is put there now.
    """

    def __init__(
        self,
        recorder: Recorder,
        placement: Placement,
        fetch: Fetch,
        events: Events,
        ready: Callable[[Task], None],
        put_on_record: Callable[[Task], None],
    ) -> None:
        self._recorder = recorder
        self._placement = placement
        self._receivers = placement.receivers
        self._fetch = fetch
        self._events = events
        self._put_on_record = put_on_record
        self._are_short = asyncio.Event()
        self.lanes = Lanes(ready, self._are_short.set)
        self.batches = Batches(self.lanes.add, self._are_short.set)
        self.retries = LaterRetries()
        self.held = 0
        """Characters of changes that are in memory, of what waits and what runs."""
        # The lanes of which the first was left to the table: its own was locked, or there was much in memory. By what
        # the first will wait for: a place in its pool or, by the job's id, the turn of a singleton.
        self._asleep: defaultdict[str | int, deque[Lane]] = defaultdict(deque)
        # Runs that were taken by their ids alone, and of which RunSubmitted has not told.
        self._untold: set[int] = set()
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
        """Take a run; runs of one lane must come in the order of their changes.

        Args:
            run: what is to be run.
            step: what of the feed waits for it; None for a run that is on record.
            due: not before this time.
        """
        if self._closed:
            return
        task = self._task(run, step, due)
        if RunSubmitted in self._events.wanted:
            self._events.publish(RunSubmitted(task.run))
        if task.options.batch_size is not None:
            self._admit_to_batch(task)
            return
        lane, former = task.lane, task.former_lane
        is_long = self.lanes.is_long(lane) or (former is not None and self.lanes.is_long(former))
        is_left = task.pool == WORKERS and self._placement.is_far_behind(run) and not self.lanes.is_taken(lane)
        if not is_long and not is_left:
            self.held += task.size
            self.lanes.add(task)
            return
        lanes = (lane,) if former is None else (lane, former)
        self._put_on_record_before(lanes)
        self._put_pending(task)
        line = self._placement.line_of(run.job.class_path, run.origin)
        self._asleep[_waits_for(task.options, line, run.job)] += self.lanes.shelve(lanes, run.id)

    def admit_batch(self, runs: Sequence[Run]) -> None:
        """Take a batch that was formed elsewhere, of runs that are on record, as it is."""
        task = Task.of([self._task(run, None, None) for run in runs])
        self.held += task.size
        self.lanes.add(task)

    def _admit_to_batch(self, task: Task) -> None:
        hook_id = task.run.origin.id
        if not self.batches.is_long(hook_id):
            self.held += task.size
            self.batches.gather(task)
            return
        # First the batch that was made of what came before them.
        self._put_on_record_before([lane_of_batches(hook_id)])
        for one in self.batches.of(hook_id):
            self._put_on_record(one)
        self._put_pending(task)
        self.batches.shelve(hook_id, task.run.id)

    def _put_pending(self, task: Task) -> None:
        if task.step is not None:
            self._recorder.take(Outcome(task.run, PENDING, None), task.step)

    def is_better_shelved(self, lanes: Sequence[Lane], job: Job | None) -> bool:
        """Say whether a run that is on record need not be in memory before its turn, see `shelve`.

        Args:
            lanes: those of the run.
            job: its own; None where it is gone.
        """
        if job is not None and self._receivers.options(job.class_path).batch_size is not None:
            is_behind = self.batches.is_long(lanes[0][1])
        else:
            is_behind = any(self.lanes.is_long(lane) for lane in self._distinct(lanes))
        return is_behind or (job is not None and self._has_much)

    @property
    def _has_much(self) -> bool:
        return self.waiting >= MOST_TAKEN_OVER or self.held >= MOST_HELD_TAKEN_OVER

    def shelve(self, lanes: Sequence[Lane], run_id: int, job: Job | None, due: datetime | None = None) -> None:
        """Take a run that is on record, by its id alone, to the end of its lane and, if it has one, its former lane.

        Args:
            lanes: those of the run.
            run_id: which.
            job: its own; None where it is gone.
            due: not before this time.
        """
        path = None if job is None else job.class_path
        options = JobOptions() if path is None else self._receivers.options(path)
        if RunSubmitted in self._events.wanted:
            self._untold.add(run_id)
        if options.batch_size is not None:
            self.batches.shelve(lanes[0][1], run_id)
            return
        lanes = self._distinct(lanes) if options.ordered else [(run_id,)]
        empty = self.lanes.shelve(lanes, run_id)
        if due is not None and len(empty) == len(lanes) == 1:
            self.retries.put(due, run_id, empty[0])
        else:
            self._asleep[_waits_for(options, self._placement.line_of(path), job)] += empty

    def join(self, origins: Iterable[JobHook | JobButton], table_id: int, key: str, former_key: str) -> bool:
        """Take account of an update that has given a row another key, without a run of these hooks and buttons for it.

        What comes to the new key from now on waits for their runs of the former key.

        Returns:
            Whether there are any.
        """
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
                tasks = await self._fetched(self.lanes.missing(taken))
                for lane, ids in taken.items():
                    self.lanes.refill(lane, ids, tasks)
            while of_hooks := self.batches.unshelve(FETCHED_TOGETHER):
                tasks = await self._fetched([id_ for ids in of_hooks.values() for id_ in ids])
                for hook_id, ids in of_hooks.items():
                    self.batches.refill(hook_id, [tasks[id_] for id_ in ids if id_ in tasks])

    async def _fetched(self, ids: Sequence[int]) -> dict[int, Task]:
        # They are on record by then, and nothing else uses the recorder's connection meanwhile.
        found = await self._recorder.undisturbed(partial(self._fetch, ids))
        if self._closed:
            return {}
        tasks = {run.id: self._task(run, None, due) for run, due in found}
        self.held += sum(task.size for task in tasks.values())
        for id_ in self._untold.intersection(tasks):
            self._events.publish(RunSubmitted(tasks[id_].run))
        self._untold.difference_update(ids)
        return tasks

    def put_back(self, task: Task) -> bool:
        """Leave a task to the table for as long as its own is locked; the feed goes on for others meanwhile."""
        # It would keep its job's turn.
        return task.options.turns is None and self._leave_to_the_table(task)

    def put_retries_back(self) -> None:
        """Leave what waits long for its retry to the table, where there is much: it must not keep the feed waiting."""
        parked = self.lanes.parked()
        latest = now() + SOON
        while parked and (
            len(parked) > MOST_RETRIES or self.waiting > MUCH or self.held > MOST_HELD_TAKEN_OVER
        ):  # fmt: skip
            task = parked.pop()
            due = task.due
            if due is not None and due > latest and self._leave_to_the_table(task):
                self.retries.put(due, task.run.id, task.lane)

    def _leave_to_the_table(self, task: Task) -> bool:
        gone = self.lanes.put_back(task)
        self.held -= sum(one.size for one in gone)
        if gone:
            # The feed may wait for it.
            self._recorder.room.set()
        return bool(gone)

    def wake_retries(self, revoked: Collection[int] = ()) -> None:
        """Let retries be fetched that are due; and those that were revoked, so that their lanes go on."""
        due = self.retries.due(FEW if self.waiting > MUCH else FETCHED_TOGETHER)
        for lane in (*due, *self.retries.take(revoked)):
            self.lanes.wake(lane)

    def sleep(self, lanes: Iterable[tuple[str, Lane]]) -> None:
        """Take lanes whose first is in the table, each with the name of its pool; they are fetched in their turn."""
        for pool, lane in lanes:
            self._asleep[pool].append(lane)

    def replenish(self, ready: Mapping[str, int]) -> None:
        """Let lanes be fetched whose first is in the table, where little is ready that could begin.

        What is in memory and may not, for its lane, its retry or a locked table, keeps nothing else waiting.

        Args:
            ready: how many runs are ready, by the names of their lines, see `Placement.line_of`.
        """
        for key, asleep in self._asleep.items():
            waiting = ready.get(key, 0) if isinstance(key, str) else self.lanes.turns.waiting(key)
            # What is on its way here counts too.
            for _ in range(min(FETCHED_TOGETHER - waiting - self.lanes.hungry, len(asleep))):
                self.lanes.wake(asleep.popleft())

    def leave(self, task: Task) -> None:
        """Take a task out that was ready or went on."""
        self.held -= task.size
        self.lanes.leave(task)
        if task.parts and not self._closed:
            self.batches.ended(task)

    def place(self, task: Task) -> None:
        """Have a task that is ready go to the pool that its hook or button means now; its queue may be another one."""
        pool = self._placement.pool_of(task.run.job.class_path, task.run.origin)
        if pool != task.pool:
            task.pool, task.user = pool, task.user if task.parts else None

    def drop(self, task: Task) -> None:
        """Take a task out that waits for its retry."""
        self.held -= task.size
        self.lanes.drop(task)

    def close(self) -> None:
        """Take no more, and forget what waits."""
        self._closed = True
        self.lanes.close()
        self.batches.close()
        self.retries.clear()

    def _task(self, run: Run, step: Step | None, due: datetime | None) -> Task:
        path = run.job.class_path
        options = self._receivers.options(path)
        if options.has_sensitive_variables:
            run = replace(run, sensitive=True)
        task = Task(run, step, options, self._placement.pool_of(path, run.origin), due=due)
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


def _waits_for(options: JobOptions, line: str, job: Job | None) -> str | int:
    """Return what a run waits for once it is first in its lane: its line, or the turn of its job, by its id."""
    return job.id if options.turns is not None and job is not None else line
