"""Scheduler: which run begins when. Per lane one after another, different lanes side by side, every pool bounded.

A task goes from its admission to its preparation, to its pool, and back to its lane, whose next one may begin then.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import ExecutorLost, Interruption, RunRevoked, RunTaken, TimeLimitExceeded
from rowhooks.domain.events import Events, RunFailed, RunLost
from rowhooks.domain.run import RETRY, Outcome, Run, now, revoked
from rowhooks.pipeline.execution.outcomes import failed
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling import records
from rowhooks.pipeline.scheduling.admission import ASKED_TOGETHER, Admission, Fetch
from rowhooks.pipeline.scheduling.placement import Placement, line_of
from rowhooks.pipeline.scheduling.pools import ExecutionPool, PreparedRun, RunningRun
from rowhooks.pipeline.scheduling.preparation import Preparation
from rowhooks.pipeline.scheduling.records import Records
from rowhooks.pipeline.scheduling.tasks import Lane, Task

logger = logging.getLogger(__name__)

FRESH = 0.1
"""Seconds for which a row that was loaded ahead is good enough to begin with."""
SWEEP_INTERVAL = 0.25
REVOCATION_INTERVAL = 1.0
"""Seconds between looks for long runs that were revoked."""


class Scheduler:
    """Begins runs as their lanes and the limits of the pools allow.

    Args:
        recorder: takes the outcomes.
        preparation: has what a run needs before it can begin, and knows the pools.
        placement: says which pool the runs of a job go to, and knows how each is to be run.
        fetch: reads runs that wait in the table.
        events: where it is published that a run was submitted, or has failed.
        left: called with each task that leaves, in a worker. There a run that waits for its retry leaves too: it is the
            leader that waits. None: this is the leader.
    """

    def __init__(
        self,
        recorder: Recorder,
        preparation: Preparation,
        placement: Placement,
        fetch: Fetch,
        events: Events,
        left: Callable[[Task], None] | None = None,
    ) -> None:
        self._left = left
        self._recorder = recorder
        self._records = Records(recorder)
        self._events = events
        self._preparation = preparation
        self._pools: Mapping[str, ExecutionPool] = preparation.pools
        self._moved = placement.moved
        self.admission = Admission(recorder, placement, fetch, events, self._offer, self._put_on_record_as_it_is)
        """Where runs are handed in."""
        # What was handed to the pools, by the ids of the runs.
        self._handed: dict[int, Task] = {}
        self._closing = False
        preparation.attach(self)
        for pool in self._pools.values():
            pool.attach(self)

    def learn(self, tables: Mapping[int, TrackedTable]) -> None:
        """Take over the tracked tables."""
        self._preparation.rows.tables = tables
        self.admission.learn(tables)

    @property
    def waiting(self) -> int:
        """How many runs wait in memory: for their lane, their retry, a free place, their row."""
        # A run that goes on is taken out of what waits by the next sweep, not before.
        begun = sum(self._is_waiting(id_) for pool in self._pools.values() for id_ in list(pool.running))
        return self.admission.waiting - begun

    def _is_waiting(self, run_id: int) -> bool:
        task = self._handed.get(run_id)
        return task is not None and self.admission.lanes.is_head(task)

    @property
    def held(self) -> int:
        """How many characters of changes and rows are in memory, of what waits and what runs."""
        return self.admission.held + self._preparation.rows.loaded

    @property
    def running(self) -> int:
        """How many receivers run at this moment."""
        return sum(len(pool.running) for pool in self._pools.values())

    # What goes on beside the feed.

    async def dispatch(self) -> None:
        """Prepare what may begin, until cancelled; raise an error that ends the leadership."""
        await self._preparation.run()

    async def sweep(self) -> None:
        """Watch runs that take or wait long, until cancelled.

        They are put on record, because one slow receiver must not hold the position back; their lines are written
        while they go on; their time limits are enforced.
        """
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            moment = time.monotonic()
            for pool in self._pools.values():
                for running in list(pool.running.values()):
                    task = self._handed.get(running.run.id)
                    if task is not None:
                        self.admission.lanes.begin(task)
                        self._watch(task, pool, running, moment)
                for joined in list(pool.joined.values()):
                    task = self._handed.get(joined.run.id)
                    if task is not None and (task.on_record or records.is_late(task, moment)):
                        # It waits for as long as the run takes that is executed beside it.
                        self._records.put_started(task, joined.started_at)
            # Tens of thousands may wait, most of them on record already.
            for task in itertools.chain(self.admission.lanes, self.admission.batches):
                if task.step is not None or task.parts:
                    self._records.put_late(task, moment)
            if self._left is None:
                self._preparation.rows.locks.put_back(self.admission.put_back)
                self.admission.put_retries_back()
            self.admission.wake_retries()
            self.replenish()

    async def watch_revocations(self) -> None:
        """End runs that were revoked while they go on or wait for their retry, until cancelled."""
        while True:
            await asyncio.sleep(REVOCATION_INTERVAL)
            # Of a batch those that were revoked are left out when it begins.
            running = {id_ for id_, task in self._handed.items() if task.started_on_record and not task.parts}
            parked = {task.run.id: task for task in self.admission.lanes.parked() if not task.parts}
            in_the_table = self.admission.retries.next_to_ask(ASKED_TOGETHER)
            if not (running or parked or in_the_table):
                continue
            revoked_ids = await self._recorder.revoked([*running, *parked, *in_the_table])
            self.admission.wake_retries(revoked_ids)
            for run_id in revoked_ids:
                task = self._handed.get(run_id)
                if task is not None and run_id in running and run_id in self._pools[task.pool].running:
                    self._abandon(task, RunRevoked())
                elif (
                    run_id in parked and parked[run_id].due is not None and self.admission.lanes.is_head(parked[run_id])
                ):
                    self._records.put(parked[run_id], revoked(parked[run_id].run))
                    self.admission.drop(parked[run_id])

    async def finish(self, grace: float) -> int:
        """Begin nothing more and wait for what runs.

        Args:
            grace: seconds after which asynchronous receivers are cancelled and plain ones left behind.

        Returns:
            How many receivers had not ended by then, counting those that were abandoned at their time limit.
        """
        self._close()
        return sum(await asyncio.gather(*(pool.drain(grace) for pool in self._pools.values())))

    def _close(self) -> None:
        self._closing = True
        self._preparation.close()
        self.admission.close()

    def _offer(self, task: Task) -> None:
        """Take a task that may begin."""
        pool = self._pools[task.pool]
        if pool.is_elsewhere and pool.knows(task.run.id):
            self.start((task,))
        else:
            if self._moved:
                self.admission.place(task)
            self._preparation.offer(task)

    # From the preparation.

    def start(self, tasks: Sequence[Task]) -> None:
        """Hand tasks that are prepared to their pools."""
        groups: dict[str, list[PreparedRun]] = {}
        for task in tasks:
            run = task.run
            if self._handed.setdefault(run.id, task) is not task:
                # One of the two would be lost without a word. The next leadership begins with what is on record.
                problem = RuntimeError(f"run {run.id} is in memory twice: the leadership ends")
                self._preparation.background.fail(problem)
                return
            prepared = PreparedRun(run, task.user or "", task.changed_object, task.refused, task.options.group_commit)
            if len(tasks) == 1:
                self._pools[task.pool].accept((prepared,))
                return
            groups.setdefault(task.pool, []).append(prepared)
        for name, group in groups.items():
            self._pools[name].accept(group)

    def leave(self, task: Task) -> None:
        """Take a task out that has ended, or of which nothing is to be run any more."""
        if task.place or task.loaded:
            # Most runs have needed nothing.
            self._preparation.release(task)
        self.admission.leave(task)
        if self._left is not None:
            self._left(task)

    def wake(self, lanes: Iterable[tuple[str, Lane]]) -> None:
        """Take lanes of tasks that were left to the table and can go on."""
        self.admission.sleep(lanes)

    def replenish(self) -> None:
        """Let more become ready, where little is that could begin."""
        ready = {name: self._preparation.waiting(name) for name in self._pools}
        for pool in self._pools.values():
            ready.update((line_of(queue), runs) for queue, runs in pool.waiting.items())
        self.admission.replenish(ready)

    # From the pools: their owner.

    def may_begin(self, run_id: int) -> bool:
        """Say whether a run may begin with what was had for it; in any thread."""
        if self._closing:
            # The pools hear of it a moment later.
            return False
        task = self._handed.get(run_id)
        if task is None:
            return False
        if task.loaded_at is not None:
            task.waited = time.monotonic() - task.loaded_at
            if task.waited > FRESH:
                return False
        # It may have been put on record while it was prepared, or waited for a worker, and revoked since.
        return not task.on_record or task.may_begin or task.refused is not None

    def followers(self, run_id: int, limit: int) -> Sequence[Run]:
        """Return runs that stand behind one in its lane, and may be handed to a worker with it."""
        task = self._handed.get(run_id)
        if task is None or task.parts or task.options.turns is not None:
            return []
        return [one.run for one in self.admission.lanes.followers(task, limit)]

    def ended(self, run_id: int, outcome: Outcome | None, problem: BaseException | None) -> None:
        """Take what became of a run."""
        try:
            self._end(run_id, outcome, problem)
        except Exception as error:
            # The pool would not see it. What is in memory may be wrong now: the next leadership makes it anew.
            self._preparation.background.fail(error)

    def _end(self, run_id: int, outcome: Outcome | None, problem: BaseException | None) -> None:
        task = self._handed.pop(run_id, None)
        if problem is not None:
            self._preparation.background.fail(problem)
        elif task is None:
            return
        elif outcome is None:
            if not self._closing:
                self._begin_again(task)
        else:
            if outcome.exception_type is not None:
                self._events.publish(RunFailed(outcome))
            self._records.put(task, outcome)
            if outcome.status == RETRY and self._left is not None:
                # The leader has it executed again before what stands behind it.
                for one in self.admission.lanes.drop_followers(task):
                    self.admission.held -= one.size
                    self._left(one)
            if outcome.status == RETRY and self._left is None:
                self._preparation.release(task)
                task.retry(outcome.retry_at)
                self.admission.lanes.park(task)
            else:
                self.leave(task)

    def abandon(self) -> None:
        """End what goes on, in a worker from which it was taken, and begin nothing more; nothing of it is recorded."""
        self._close()
        for pool in self._pools.values():
            for run_id in list(pool.running):
                if pool.abandon(run_id, RunTaken()) is not None:
                    del self._handed[run_id]

    def lost(self, run_id: int, reason: str, *, for_good: bool) -> None:
        """Take a run back whose executor has ended in the middle of it."""
        task = self._handed.pop(run_id, None)
        if task is None or self._closing:
            return
        logger.warning("attempt %d was lost: %s", task.run.attempt, reason, extra=task.run.log_fields())
        self._events.publish(RunLost(task.run, reason, for_good))
        if for_good:
            outcome = failed(task.run, now(), ExecutorLost(reason))
            self._events.publish(RunFailed(outcome))
            self._records.put(task, outcome)
            self.leave(task)
        else:
            task.lose_attempt()
            self._begin_again(task)

    def _begin_again(self, task: Task) -> None:
        # Among what waits, so that nothing behind it in its lane comes on record before it.
        self.admission.lanes.wait_again(task)
        self.admission.place(task)
        self._preparation.offer_again(task)

    def _watch(self, task: Task, pool: ExecutionPool, running: RunningRun, moment: float) -> None:
        options, run_id = task.options, task.run.id
        if pool.is_elsewhere:
            # The worker puts it on record as STARTED, and watches it.
            self._records.put_late(task, moment)
            return
        # What stands there as PENDING says so no longer than it must.
        if task.on_record or records.is_late(task, moment):
            self._records.put_started(task, running.started_at)
        if task.started_on_record:
            self._recorder.add_lines(task.run, running.take_lines())
        seconds = moment - running.began
        if options.time_limit is not None and seconds >= options.time_limit:
            self._abandon(task, TimeLimitExceeded(f"the run was ended at its time limit of {options.time_limit} s"))
        elif options.soft_time_limit is not None and seconds >= options.soft_time_limit and not task.interrupted:
            task.interrupted = pool.interrupt(run_id)

    def _abandon(self, task: Task, error: Interruption) -> None:
        """End a run that may not end by itself, and go on without it."""
        outcome = self._pools[task.pool].abandon(task.run.id, error)
        if outcome is None:
            # It has ended a moment ago, or only its COMMIT is missing.
            return
        del self._handed[task.run.id]
        if isinstance(error, RunRevoked):
            logger.info("the run was revoked while it went on", extra=task.run.log_fields())
            outcome = outcome.as_revoked()
        else:
            self._events.publish(RunFailed(outcome))
        self._records.put(task, outcome)
        self.leave(task)

    def _put_on_record_as_it_is(self, task: Task) -> None:
        running = self._pools[task.pool].running.get(task.run.id)
        if running is not None:
            self._records.put_started(task, running.started_at)
        else:
            self._records.put_pending(task)
