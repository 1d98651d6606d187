"""Scheduler: which run starts when. Per lane one after another, different lanes side by side, both kinds bounded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from rowhooks.domain.configuration import JobButton, JobHook, TrackedTable
from rowhooks.domain.errors import ConnectionFailed, LeadershipLost, RunRevoked, TimeLimitExceeded
from rowhooks.domain.events import Events, InternalErrorOccurred, RunSubmitted
from rowhooks.domain.job import Job, JobOptions
from rowhooks.domain.keys import lane_key
from rowhooks.domain.run import PENDING, RETRY, STARTED, Batch, Outcome, Run, lane_of, now
from rowhooks.pipeline.execution.outcomes import failed, log_outcome
from rowhooks.pipeline.execution.runner import Execution, Runner
from rowhooks.pipeline.ports import ObjectLoader, ReceiverCatalog, UserResolver
from rowhooks.pipeline.progress import Step
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.batches import Batches, put_off, put_on_record
from rowhooks.pipeline.scheduling.lanes import Lanes
from rowhooks.pipeline.scheduling.pools import TaskWorkers, ThreadWorkers
from rowhooks.pipeline.scheduling.preparation import FRESH, Preparation, Window
from rowhooks.pipeline.scheduling.tickets import Lane, Member, Ticket, size_of
from rowhooks.pipeline.tasks import first_of

logger = logging.getLogger(__name__)

STARTED_AFTER = 1.0
"""Seconds after which a run that still goes on is recorded as STARTED, so that it holds the position back no longer."""
SWEEP_INTERVAL = 0.25
FETCHED_AT_ONCE = 1000
"""Runs fetched from the table in one query."""
MOST_TAKEN_OVER, MOST_HELD_TAKEN_OVER = 10_000, 64 * 2**20
"""Runs in memory, and characters of rows, beyond which what is taken over is left to the table, by its id."""
REVOCATION_INTERVAL = 1.0
"""Seconds between looks for long runs that somebody has revoked."""


_ENDS_THE_LEADERSHIP = (ConnectionFailed, LeadershipLost)


class Scheduler:
    """Starts runs as their lanes and the two limits allow.

    Args:
        runner: executes one run.
        recorder: takes the outcomes.
        loader: loads the rows of all runs that start together, one query a table.
        users: says whom runs are for.
        receivers: tells plain from asynchronous receivers, and how each is to be run.
        fetch: returns runs that wait in the table, by their ids and in this order, each with the time it is due; those
            that are not to be run any more are missing.
        tasks: how many asynchronous receivers run at once.
        threads: how many plain receivers run at once.
        count_error: called for each run that an error of rowhooks' own has ended.
        events: where it is published that a run was submitted, and that an error of rowhooks' own has ended one.
    """

    def __init__(
        self,
        runner: Runner,
        recorder: Recorder,
        loader: ObjectLoader,
        users: UserResolver,
        receivers: ReceiverCatalog,
        fetch: Callable[[Sequence[int]], Awaitable[list[tuple[Run, datetime | None]]]],
        *,
        tasks: int,
        threads: int,
        count_error: Callable[[], None] = lambda: None,
        events: Events | None = None,
    ) -> None:
        self._runner = runner
        self._recorder = recorder
        self._receivers = receivers
        self._fetch = fetch
        self._count_error = count_error
        self._events = events or Events()
        self._workers: dict[bool, TaskWorkers | ThreadWorkers] = {
            True: TaskWorkers(tasks, self._run, self._ended),
            False: ThreadWorkers(threads, runner.threads, self._run_in_thread, self._ended),
        }
        self._windows = {True: Window(tasks), False: Window(threads)}
        # Lanes of which the first was left to the table: its own was locked, or there was much in memory.
        self._asleep: dict[bool, deque[Lane]] = {True: deque(), False: deque()}
        self._preparation = Preparation(
            recorder, loader, users, receivers,
            self._start, self._leave, self._free_place, self._make_ready, self._sleep, self._fail,
        )  # fmt: skip
        self._ready: dict[bool, deque[Ticket]] = {True: deque(), False: deque()}
        self._are_short = asyncio.Event()
        self._lanes = Lanes(self._make_ready, self._are_short.set)
        self._batches = Batches(self._lanes.add)
        self._running: dict[Ticket, None] = {}
        self._none_runs = asyncio.Event()
        self._again: set[asyncio.Task[None]] = set()
        self._abandoned: list[Execution] = []
        self._wake = asyncio.Event()
        self._problem: BaseException | None = None
        self._closing = False
        self._held = 0
        # Of tables with keys of which one value has several texts, how these differ.
        self._loose: dict[int, Mapping[str, str]] = {}

    def learn(self, tables: Mapping[int, TrackedTable]) -> None:
        """Take over the tracked tables."""
        self._preparation.tables = tables
        self._loose = {id_: table.loose_key for id_, table in tables.items() if table.loose_key}

    @property
    def waiting(self) -> int:
        """How many runs wait in memory: for their lane, their retry, a free place, their row."""
        return len(self._lanes) + len(self._batches)

    @property
    def held(self) -> int:
        """How many characters of changes and rows are in memory, of what waits and what runs."""
        return self._held + self._preparation.loaded

    @property
    def running(self) -> int:
        """How many receivers run at this moment."""
        return len(self._running)

    def submit(self, run: Run, step: Step | None, *, due: datetime | None = None) -> None:
        """Take a run; runs of one lane must be submitted in the order of their changes.

        Args:
            run: what is to be run.
            step: what of the feed waits for it; None for a run that is on record.
            due: not before this time.
        """
        if self._closing:
            return
        options = self._receivers.options(run.job.class_path)
        if options.has_sensitive_variables:
            run = replace(run, sensitive=True)
        if self._events.wants(RunSubmitted):
            self._events.publish(RunSubmitted(run))
        if options.batch_size is not None:
            member = Member(run, step, due, size_of(run))
            self._held += member.size
            self._batches.submit(member, options, self._receivers.is_asynchronous(run.job.class_path))
            return
        ticket = self._ticket(run, step, due, options)
        lane, former = ticket.lane, ticket.former_lane
        if not self._lanes.is_long(lane) and (former is None or not self._lanes.is_long(former)):
            self._held += ticket.size
            self._lanes.add(ticket)
            return
        lanes = (lane,) if former is None else (lane, former)
        self._put_on_record_before(lanes)
        if step is not None:
            self._recorder.submit(Outcome(ticket.run, PENDING, None), step)
        self._asleep[ticket.asynchronous] += self._lanes.shelve(lanes, run.id)

    def is_better_shelved(self, lanes: Sequence[Lane], job: Job | None) -> bool:
        """Say whether a run that is on record need not be in memory before its turn, see `shelve`.

        Args:
            lanes: those of the run.
            job: its own; None where it is gone.
        """
        if any(self._lanes.is_long(lane) for lane in self._distinct(lanes)):
            return True
        if job is None or (self.waiting < MOST_TAKEN_OVER and self._held < MOST_HELD_TAKEN_OVER):
            return False
        options = self._receivers.options(job.class_path)
        # A batch is made of what is in memory, and so is a singleton's turn.
        return options.ordered and options.batch_size is None and not options.is_singleton

    def shelve(self, lanes: Sequence[Lane], run_id: int, job: Job | None) -> None:
        """Take a run that is on record, by its id alone, to the end of its lane and, if it has one, its former lane."""
        is_asynchronous = job is not None and self._receivers.is_asynchronous(job.class_path)
        self._asleep[is_asynchronous] += self._lanes.shelve(self._distinct(lanes), run_id)

    def join(self, origins: Iterable[JobHook | JobButton], table_id: int, key: str, former_key: str) -> bool:
        """Take account of an update that has given a row another key, without a run of these hooks and buttons for it.

        What comes to the new key from now on waits for their runs of the former key.

        Returns:
            Whether there are any.
        """
        joined = False
        for origin in origins:
            lanes = self._distinct([lane_of(origin, table_id, one) for one in (key, former_key)])
            if len(lanes) == 2 and self._lanes.is_taken(lanes[1]):
                self._put_on_record_before(lanes if any(map(self._lanes.is_long, lanes)) else ())
                self._lanes.join(*lanes)
                joined = True
        return joined

    def _ticket(self, run: Run, step: Step | None, due: datetime | None, options: JobOptions) -> Ticket:
        asynchronous = self._receivers.is_asynchronous(run.job.class_path)
        ticket = Ticket(run, step, options, asynchronous, on_record=step is None, due=due)
        if options.ordered and (run.former_key is not None or run.cause.table_id in self._loose):
            ticket.lane, *former = self._distinct(run.lanes)
            ticket.former_lane = former[0] if former else None
        return ticket

    def _distinct(self, lanes: Sequence[Lane]) -> Sequence[Lane]:
        """Return lanes by what is the same for all texts of a key."""
        loose = self._loose.get(lanes[0][2])
        if loose is not None:
            lanes = [(*lane[:3], lane_key(lane[3], loose)) for lane in lanes]
        return list(dict.fromkeys(lanes))

    def _put_on_record_before(self, lanes: Sequence[Lane]) -> None:
        """Put on record what a run must not overtake that is put there at once: a new leader begins with what is."""
        for ticket in self._lanes.before(lanes):
            if ticket in self._running:
                self._put_started(ticket)
            elif put_off(self._recorder, ticket):
                ticket.on_record = True

    async def refill(self) -> None:
        """Fetch what long lanes need next, for ever."""
        while True:
            await self._are_short.wait()
            self._are_short.clear()
            while taken := self._lanes.unshelve(FETCHED_AT_ONCE):
                # They are on record by then, and the recorder's connection is nobody else's.
                fetch = partial(self._fetch, self._lanes.missing(taken))
                found = await self._recorder.undisturbed(fetch)
                tickets = {
                    run.id: self._ticket(run, None, due, self._receivers.options(run.job.class_path))
                    for run, due in found
                }
                self._held += sum(ticket.size for ticket in tickets.values())
                for lane, ids in taken.items():
                    self._lanes.refill(lane, ids, tickets)

    async def dispatch(self) -> None:
        """Get ready what may start, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._problem is not None:
                raise self._problem
            for kind, ready in self._ready.items():
                window = self._windows[kind]
                if ready and self._workers[kind].is_idle:
                    window.widen()
                while ready and window.take(ready[0]):
                    self._preparation.submit(ready.popleft())
            self._wake_lanes()

    async def sweep(self) -> None:
        """Look after runs that take or wait long, for ever.

        They are put on record, because one slow receiver must not hold the position back; their lines are written
        while they go on; their time limits are enforced.
        """
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            moment = time.monotonic()
            for ticket in list(self._running):
                # A thread has begun it without us.
                self._lanes.begin(ticket)
                self._look_after(ticket, moment)
            for ticket in self._lanes:
                for one in ticket.members or (ticket,):
                    if _is_late(one, moment) and put_off(self._recorder, one):
                        ticket.on_record, ticket.may_begin = True, False
            for member in self._batches:
                if _is_late(member, moment):
                    put_off(self._recorder, member)
            self._preparation.put_back(self._put_back)
            self._wake_lanes()

    def _sleep(self, lanes: Iterable[tuple[bool, Lane]]) -> None:
        for is_asynchronous, lane in lanes:
            self._asleep[is_asynchronous].append(lane)

    def _wake_lanes(self) -> None:
        """Let lanes be fetched whose first is in the table, where little is ready that could begin.

        What is in memory and may not, for its lane, its retry or a locked table, keeps nobody else waiting.
        """
        for kind, asleep in self._asleep.items():
            if asleep and len(self._ready[kind]) < FETCHED_AT_ONCE:
                for _ in range(min(FETCHED_AT_ONCE, len(asleep))):
                    self._lanes.wake(asleep.popleft())

    def _put_back(self, ticket: Ticket) -> bool:
        """Leave a run to the table for as long as its own is locked; the feed goes on for others meanwhile."""
        is_alone = (
            ticket.members is None and ticket.on_record and ticket.step is None and not ticket.options.is_singleton
        )
        if not is_alone or not self._lanes.put_back(ticket):
            return False
        self._held -= ticket.size
        # Whoever reads the feed may wait for it.
        self._recorder.room.set()
        return True

    async def watch_revocations(self) -> None:
        """End runs that somebody has revoked while they go on or wait for their retry, for ever."""
        while True:
            await asyncio.sleep(REVOCATION_INTERVAL)
            running = {t.run.id: t for t in list(self._running) if t.started_on_record and not t.members}
            # Of a batch those that were revoked are left out when it begins.
            parked = {t.run.id: t for t in self._lanes.parked() if not t.members}
            if not (running or parked):
                continue
            for run_id in await self._recorder.revoked([*running, *parked]):
                if run_id in running and running[run_id] in self._running:
                    self._abandon(running[run_id], RunRevoked())
                elif run_id in parked and parked[run_id].due is not None:
                    self._held -= parked[run_id].size
                    self._lanes.drop(parked[run_id])

    async def finish(self, grace: float) -> int:
        """Start nothing more and wait for what runs.

        Args:
            grace: seconds after which asynchronous receivers are cancelled and plain ones left behind.

        Returns:
            How many receivers had not ended by then, counting those that were abandoned at their time limit.
        """
        self._closing = True
        self._preparation.close()
        for workers in self._workers.values():
            workers.close()
        self._lanes.close()
        self._batches.close()
        if self._running:
            await first_of(self._none_runs.wait(), asyncio.sleep(grace))
        late = list(self._running)
        names = sorted({ticket.run.job.class_path for ticket in late})
        tasks = {ticket.worker for ticket in late if isinstance(ticket.worker, asyncio.Task)} | self._again
        for task in tasks:
            task.cancel()
        if late:
            logger.warning("%d receivers did not end within %s s: %s", len(late), grace, ", ".join(names))
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        return len(late) + sum(execution.alive for execution in self._abandoned)

    async def reload(self, run: Run) -> Any:
        """Load the row of one run again; None when it is gone, or when the receiver does not look at it."""
        return await self._preparation.reload(run)

    # From submission to the start.

    def _make_ready(self, ticket: Ticket) -> None:
        try:
            needs = self._preparation.needs(ticket)
        except Exception as error:
            # Here it would come up in the run that has made way for this one.
            ticket.refused, needs = error, False
        if needs:
            self._ready[ticket.asynchronous].append(ticket)
            self._wake.set()
        else:
            self._start(ticket)

    def _start(self, ticket: Ticket) -> None:
        self._workers[ticket.asynchronous].submit(ticket)

    def _fail(self, problem: BaseException) -> None:
        self._problem = self._problem or problem
        self._wake.set()

    # From the start to the end.

    def _begin(self, ticket: Ticket) -> bool:
        """Note that a worker takes a ticket, in its thread; False where it must be got ready again."""
        if ticket.loaded_at is not None and time.monotonic() - ticket.loaded_at > FRESH:
            return False
        if ticket.on_record and not ticket.may_begin and ticket.refused is None:
            # It was put there while it was got ready, or waited for a worker: it may have been revoked since.
            return False
        ticket.execution = self._runner.prepare(ticket.run, ticket.user or "")
        self._running[ticket] = None
        return True

    def _run(self, ticket: Ticket) -> Awaitable[Outcome] | None:
        if not self._begin(ticket):
            return None
        self._lanes.begin(ticket)
        assert ticket.execution is not None
        if ticket.refused is not None:
            return _answer(ticket.execution.failed(ticket.refused))
        return ticket.execution.result(ticket.changed_object, ticket.worker)

    def _run_in_thread(self, ticket: Ticket) -> Outcome | None:
        if ticket.execution is None and not self._begin(ticket):
            return None
        assert ticket.execution is not None
        if ticket.refused is not None:
            return ticket.execution.failed(ticket.refused)
        return ticket.execution.attempt(ticket.changed_object)

    async def _try_again(self, ticket: Ticket) -> None:
        """Let a plain receiver have another attempt after a while, when it is its turn among the threads."""
        assert ticket.execution is not None
        again = problem = None
        try:
            again = await ticket.execution.pause()
        except Exception as error:
            problem = error
        if ticket not in self._running:
            return
        if problem is not None or isinstance(again, Outcome):
            self._ended(ticket, again, problem)
        else:
            ticket.changed_object = again
            self._workers[False].submit(ticket, first=True)

    def _look_after(self, ticket: Ticket, moment: float) -> None:
        execution, options = ticket.execution, ticket.options
        assert execution is not None
        # What stands there as PENDING says so no longer than it must.
        if ticket.on_record or _is_late(ticket, moment):
            self._put_started(ticket)
        if ticket.started_on_record:
            self._recorder.add_lines(ticket.run, execution.log.take())
        seconds = moment - execution.began
        if options.time_limit is not None and seconds >= options.time_limit:
            self._abandon(ticket, TimeLimitExceeded(f"the run was ended at its time limit of {options.time_limit} s"))
        elif options.soft_time_limit is not None and seconds >= options.soft_time_limit and not ticket.interrupted:
            ticket.interrupted = True
            execution.interrupt()

    def _put_started(self, ticket: Ticket) -> None:
        if not ticket.started_on_record and ticket.execution is not None:
            put_on_record(self._recorder, ticket, Outcome(ticket.run, STARTED, ticket.execution.started_at))
            ticket.started_on_record = True

    def _abandon(self, ticket: Ticket, error: TimeLimitExceeded | RunRevoked) -> None:
        """End a run that may not end by itself, and go on without it."""
        assert ticket.execution is not None
        del self._running[ticket]
        outcome = ticket.execution.abandon(error)
        self._workers[ticket.asynchronous].abandon(ticket)
        self._abandoned = [other for other in self._abandoned if other.alive] + [ticket.execution]
        if isinstance(error, RunRevoked):
            logger.info("the run was revoked while it went on", extra=ticket.run.log_fields())
            # Its status is on record already.
            outcome = replace(outcome, recorded=True)
        else:
            log_outcome(outcome)
        put_on_record(self._recorder, ticket, outcome)
        self._leave(ticket)

    def _ended(self, ticket: Ticket, outcome: Outcome | None, problem: BaseException | None) -> None:
        """Take what a worker has of a run; see `Ended`."""
        try:
            self._end(ticket, outcome, problem)
        except Exception as error:
            # Nobody would see it in the worker. What is in memory may be wrong now: the next leadership makes it anew.
            self._fail(error)

    def _end(self, ticket: Ticket, outcome: Outcome | None, problem: BaseException | None) -> None:
        if problem is not None and not isinstance(problem, _ENDS_THE_LEADERSHIP):
            # Ours, not the receiver's; it must not take the daemon down, and come again at each start.
            logger.error("the run ended by an error of rowhooks", exc_info=problem, extra=ticket.run.log_fields())
            self._count_error()
            self._events.publish(InternalErrorOccurred())
            execution = ticket.execution
            outcome = failed(ticket.run, now(), problem) if execution is None else execution.failed(problem)
        if outcome is not None:
            self._running.pop(ticket, None)
            log_outcome(outcome)
            put_on_record(self._recorder, ticket, outcome)
            if outcome.status == RETRY:
                self._park(ticket, outcome)
            else:
                self._leave(ticket)
        elif problem is not None:
            self._running.pop(ticket, None)
            self._fail(problem)
        elif ticket.execution is not None:
            task = asyncio.get_running_loop().create_task(self._try_again(ticket))
            self._again.add(task)
            task.add_done_callback(self._again.discard)
        elif not self._closing and ticket.place is None:
            # It needed nothing when it became ready, and takes its place among the others now.
            self._make_ready(ticket)
        elif not self._closing:
            self._windows[ticket.asynchronous].narrow()
            self._preparation.submit(ticket)
        if self._closing and not self._running:
            self._none_runs.set()

    def _park(self, ticket: Ticket, outcome: Outcome) -> None:
        ticket.run = ticket.run.again()
        if ticket.members is not None and isinstance(ticket.run, Batch):
            for member, run in zip(ticket.members, ticket.run.runs, strict=True):
                member.run, member.on_record = run, True
        ticket.on_record, ticket.due = True, outcome.retry_at
        ticket.started_on_record = ticket.interrupted = False
        ticket.user = ticket.changed_object = ticket.execution = None
        self._free_place(ticket)
        self._lanes.park(ticket)

    def _leave(self, ticket: Ticket) -> None:
        self._held -= ticket.size
        self._free_place(ticket)
        self._lanes.leave(ticket)
        if ticket.members is not None and not self._closing:
            self._batches.ended(ticket)

    def _free_place(self, ticket: Ticket) -> None:
        self._preparation.release(ticket)
        if ticket.place is not None:
            ticket.place()
            ticket.place = None
            self._wake.set()


async def _answer(outcome: Outcome) -> Outcome:
    return outcome


def _is_late(ticket: Ticket | Member, moment: float) -> bool:
    return ticket.submitted_at <= moment - STARTED_AFTER
