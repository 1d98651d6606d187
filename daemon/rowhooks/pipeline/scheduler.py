"""Scheduler: which run starts when. Per lane one after another, different lanes side by side, both kinds bounded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from rowhooks.domain.errors import (
    ConnectionFailed,
    LeadershipLost,
    NotFound,
    ReceiverError,
    RunRevoked,
    TimeLimitExceeded,
)
from rowhooks.domain.hook import TrackedTable
from rowhooks.domain.run import PENDING, RETRY, STARTED, Outcome, Run
from rowhooks.pipeline.lanes import Lane, Lanes, Ticket
from rowhooks.pipeline.outcomes import log_outcome
from rowhooks.pipeline.ports import ObjectLoader, ReceiverCatalog, UserResolver
from rowhooks.pipeline.progress import Step
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.runner import Execution, Runner

logger = logging.getLogger(__name__)

STARTED_AFTER = 1.0
"""Seconds after which a run that still goes on is recorded as STARTED, so that it holds the position back no longer."""
SWEEP_INTERVAL = 0.25
FETCHED_AT_ONCE = 1000
"""Runs fetched from the table in one query."""
REVOCATION_INTERVAL = 1.0
"""Seconds between looks for long runs that somebody has revoked."""


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
    ) -> None:
        self._runner = runner
        self._recorder = recorder
        self._loader = loader
        self._users = users
        self._receivers = receivers
        self._fetch = fetch
        self._free = {True: tasks, False: threads}
        self._ready: dict[bool, deque[Ticket]] = {True: deque(), False: deque()}
        self._are_short = asyncio.Event()
        self._lanes = Lanes(self._make_ready, self._are_short.set)
        self._loading: dict[int, deque[Ticket]] = {}
        self._loaders: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[Outcome], Ticket] = {}
        self._abandoned: list[Execution] = []
        self._wake = asyncio.Event()
        self._problem: BaseException | None = None
        self._closing = False
        self._held = 0
        self.tables: dict[int, TrackedTable] = {}

    @property
    def waiting(self) -> int:
        """How many runs wait in memory: for their lane, their retry, a free place, their row."""
        return len(self._lanes)

    @property
    def held(self) -> int:
        """How many characters of rows are in memory, of what waits and what runs."""
        return self._held

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
        ticket = self._ticket(run, step, due)
        if not self._lanes.is_long(ticket.lane):
            self._held += ticket.size
            self._lanes.add(ticket)
            return
        if step is not None:
            self._recorder.submit(Outcome(ticket.run, PENDING, None), step)
        self._lanes.shelve(ticket.lane, run.id)

    def shelve(self, lane: Lane, run_id: int) -> bool:
        """Take a run that is on record, by its id alone; False where its lane is too short for that."""
        if not self._lanes.is_long(lane):
            return False
        self._lanes.shelve(lane, run_id)
        return True

    def _ticket(self, run: Run, step: Step | None, due: datetime | None) -> Ticket:
        options = self._receivers.options(run.job.class_path)
        if options.has_sensitive_variables:
            run = replace(run, sensitive=True)
        asynchronous = self._receivers.is_asynchronous(run.job.class_path)
        return Ticket(run, step, options, asynchronous, on_record=step is None, due=due)

    async def refill(self) -> None:
        """Fetch what long lanes need next, for ever."""
        while True:
            await self._are_short.wait()
            self._are_short.clear()
            while taken := self._lanes.unshelve(FETCHED_AT_ONCE):
                # They are on record by then, and the recorder's connection is nobody else's.
                fetch = partial(self._fetch, [id_ for ids in taken.values() for id_ in ids])
                found = await self._recorder.undisturbed(fetch)
                tickets = {run.id: self._ticket(run, None, due) for run, due in found}
                self._held += sum(ticket.size for ticket in tickets.values())
                for lane, ids in taken.items():
                    self._lanes.refill(lane, [tickets[id_] for id_ in ids if id_ in tickets])

    async def dispatch(self) -> None:
        """Start what is ready, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._problem is not None:
                raise self._problem
            for kind, ready in self._ready.items():
                while ready and self._free[kind]:
                    self._free[kind] -= 1
                    self._load_soon(ready.popleft())

    async def sweep(self) -> None:
        """Look after runs that take or wait long, for ever.

        They are put on record, because one slow receiver must not hold the position back; their lines are written
        while they go on; their time limits are enforced.
        """
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            moment = time.monotonic()
            for ticket in list(self._running.values()):
                if ticket.task is not None and not ticket.task.done():
                    self._look_after(ticket, moment)
            for ticket in self._lanes:
                if ticket.step is not None and _is_late(ticket, moment):
                    self._recorder.submit(Outcome(ticket.run, PENDING, None), ticket.step)
                    ticket.on_record, ticket.step = True, None

    async def watch_revocations(self) -> None:
        """End runs that somebody has revoked while they go on or wait for their retry, for ever."""
        while True:
            await asyncio.sleep(REVOCATION_INTERVAL)
            running = {t.run.id: t for t in self._running.values() if t.started_on_record}
            parked = {t.run.id: t for t in self._lanes.parked()}
            if not (running or parked):
                continue
            for run_id in await self._recorder.revoked([*running, *parked]):
                if run_id in running and running[run_id].task in self._running:
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
        self._ready = {True: deque(), False: deque()}
        self._lanes.close()
        late: set[asyncio.Task[Outcome]] = set()
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=grace)
        names = sorted({self._running[task].run.job.class_path for task in late})
        for task in late:
            task.cancel()
        if late:
            logger.warning("%d receivers did not end within %s s: %s", len(late), grace, ", ".join(names))
            await asyncio.wait(late, timeout=1.0)
        return len(late) + sum(execution.alive for execution in self._abandoned)

    async def reload(self, run: Run) -> Any:
        """Load the row of one run again; None when it is gone."""
        if run.cause.action == "delete":
            return None
        key = run.cause.object_id_json
        return (await self._loader.load(self._table(run.cause.table_id), [key])).get(key)

    # From submission to the start.

    def _make_ready(self, ticket: Ticket) -> None:
        self._ready[ticket.asynchronous].append(ticket)
        self._wake.set()

    def _load_soon(self, ticket: Ticket) -> None:
        # A table at a time, each in a task of its own: one that somebody has locked holds up its own runs alone.
        table_id = ticket.run.cause.table_id
        if table_id in self._loading:
            self._loading[table_id].append(ticket)
            return
        self._loading[table_id] = deque([ticket])
        task = asyncio.create_task(self._load_table(table_id))
        self._loaders.add(task)
        task.add_done_callback(self._loaded)

    async def _load_table(self, table_id: int) -> None:
        queue = self._loading[table_id]
        try:
            # What became ready in this round of the event loop is loaded together.
            await asyncio.sleep(0)
            while queue and not self._closing:
                # Two hooks on one row must not share an object, so each round loads a row once.
                rounds: dict[tuple[int, str], Ticket] = {}
                rest: deque[Ticket] = deque()
                for ticket in queue:
                    if rounds.setdefault(ticket.run.row, ticket) is not ticket:
                        rest.append(ticket)
                queue.clear()
                queue.extend(rest)
                await self._start(table_id, list(rounds.values()))
        finally:
            del self._loading[table_id]

    def _loaded(self, task: asyncio.Task[None]) -> None:
        self._loaders.discard(task)
        if not task.cancelled():
            self._problem = self._problem or task.exception()
        self._wake.set()

    async def _start(self, table_id: int, tickets: list[Ticket]) -> None:
        # Asked now: while the rows are loaded, others may be put on record by the sweep.
        on_record = {ticket.run.id: ticket.run for ticket in tickets if ticket.on_record}
        begun = await self._recorder.begin(list(on_record.values())) if on_record else set()
        found, problem = await self._load(table_id, tickets)
        users = await self._resolve(tickets)
        if self._closing:
            return
        for ticket, user in zip(tickets, users, strict=True):
            if ticket.run.id in on_record and ticket.run.id not in begun:
                logger.info("the run was revoked before it began", extra=ticket.run.log_fields())
                self._leave(ticket)
                continue
            self._lanes.begin(ticket)
            ticket.started_on_record, ticket.on_record = ticket.run.id in begun, False
            ticket.execution = self._runner.prepare(ticket.run, user if isinstance(user, str) else "")
            refused = user if isinstance(user, Exception) else problem if ticket.run.cause.action != "delete" else None
            task = asyncio.create_task(
                self._run(ticket, found.get(ticket.run.cause.object_id_json), refused),
                name=f"run {ticket.run.id} of {ticket.run.job.class_path}",
            )
            ticket.task = task
            self._running[task] = ticket
            task.add_done_callback(self._ended)

    async def _load(self, table_id: int, tickets: list[Ticket]) -> tuple[dict[str, Any], Exception | None]:
        keys = [ticket.run.cause.object_id_json for ticket in tickets if ticket.run.cause.action != "delete"]
        if not keys:
            return {}, None
        try:
            return await self._loader.load(self._table(table_id), keys), None
        except ConnectionFailed:
            raise
        except Exception as error:
            # A missing privilege or a dropped table costs the runs of this table, and only them.
            return {}, error

    async def _resolve(self, tickets: list[Ticket]) -> list[str] | list[Exception]:
        pairs = [(ticket.run.cause.user_name, ticket.run.cause.db_user) for ticket in tickets]
        try:
            users = await self._users.resolve(pairs)
            if len(users) != len(pairs):
                raise ReceiverError(f"the permission backend answered {len(users)} users for {len(pairs)} runs")
        except ConnectionFailed:
            raise
        except Exception as error:
            return [error] * len(tickets)
        return users

    def _table(self, table_id: int) -> TrackedTable:
        table = self.tables.get(table_id)
        if table is None:
            raise NotFound(f"tracked table {table_id} was dropped or untracked since the change was made")
        return table

    # From the start to the end.

    async def _run(self, ticket: Ticket, changed_object: Any, refused: Exception | None) -> Outcome:
        assert ticket.execution is not None
        if refused is not None:
            return ticket.execution.failed(refused)
        try:
            return await ticket.execution.result(changed_object)
        except (ConnectionFailed, LeadershipLost):
            raise
        except Exception as error:
            # Ours, not the receiver's; it must not take the daemon down, and come again at each start.
            logger.exception("the run ended by an error of rowhooks", extra=ticket.run.log_fields())
            return ticket.execution.failed(error)

    def _look_after(self, ticket: Ticket, moment: float) -> None:
        execution, options = ticket.execution, ticket.options
        assert execution is not None
        if not ticket.started_on_record and _is_late(ticket, moment):
            self._recorder.submit(Outcome(ticket.run, STARTED, execution.started_at), ticket.step)
            ticket.started_on_record, ticket.step = True, None
        if ticket.started_on_record:
            self._recorder.add_lines(ticket.run, execution.log.take())
        seconds = moment - execution.began
        if options.time_limit is not None and seconds >= options.time_limit:
            self._abandon(ticket, TimeLimitExceeded(f"the run was ended at its time limit of {options.time_limit} s"))
        elif options.soft_time_limit is not None and seconds >= options.soft_time_limit and not ticket.interrupted:
            ticket.interrupted = True
            execution.interrupt()

    def _abandon(self, ticket: Ticket, error: TimeLimitExceeded | RunRevoked) -> None:
        """End a run that may not end by itself, and go on without it."""
        assert ticket.execution is not None
        assert ticket.task is not None
        del self._running[ticket.task]
        outcome = ticket.execution.abandon(error)
        ticket.task.cancel()
        self._abandoned = [other for other in self._abandoned if other.alive] + [ticket.execution]
        if isinstance(error, RunRevoked):
            logger.info("the run was revoked while it went on", extra=ticket.run.log_fields())
            # Its status is on record already.
            outcome = replace(outcome, recorded=True)
        else:
            log_outcome(outcome)
        self._recorder.submit(outcome, ticket.step)
        self._leave(ticket)

    def _ended(self, task: asyncio.Task[Outcome]) -> None:
        ticket = self._running.pop(task, None)
        if ticket is None:
            # Abandoned before; what became of it is on record.
            if not task.cancelled() and task.exception() is not None:
                logger.info("an abandoned run ended with %r", task.exception())
            return
        if task.cancelled():
            return
        problem = task.exception()
        if problem is not None:
            self._problem = self._problem or problem
            self._wake.set()
            return
        outcome = task.result()
        log_outcome(outcome)
        self._recorder.submit(outcome, ticket.step)
        ticket.step = None
        if outcome.status == RETRY:
            self._park(ticket, outcome)
        else:
            self._leave(ticket)

    def _park(self, ticket: Ticket, outcome: Outcome) -> None:
        ticket.run = ticket.run.again()
        ticket.on_record, ticket.due = True, outcome.retry_at
        ticket.started_on_record = ticket.interrupted = False
        self._free_place(ticket)
        self._lanes.park(ticket)

    def _leave(self, ticket: Ticket) -> None:
        self._held -= ticket.size
        self._free_place(ticket)
        self._lanes.leave(ticket)

    def _free_place(self, ticket: Ticket) -> None:
        self._free[ticket.asynchronous] += 1
        self._wake.set()


def _is_late(ticket: Ticket, moment: float) -> bool:
    return ticket.submitted_at <= moment - STARTED_AFTER
