"""Scheduler: which run starts when. Per lane one after another, different lanes side by side, both kinds bounded."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rowhooks.domain.errors import ConnectionFailed, LeadershipLost, NotFound
from rowhooks.domain.hook import TrackedTable
from rowhooks.domain.run import PENDING, STARTED, Outcome, Run, now
from rowhooks.pipeline.ports import ObjectLoader, ReceiverCatalog
from rowhooks.pipeline.progress import Step
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.runner import Runner, failed

logger = logging.getLogger(__name__)

STARTED_AFTER = 1.0
"""Seconds after which a run that still goes on is recorded as STARTED, so that it holds the position back no longer."""
SWEEP_INTERVAL = 0.25

Lane = tuple[int, int, str]


@dataclass(slots=True)
class Ticket:
    """A run on its way through the scheduler."""

    run: Run
    step: Step | None
    submitted_at: datetime = field(default_factory=now)
    started_at: datetime = field(default_factory=now)
    started_on_record: bool = False


class Scheduler:
    """Starts runs as their lanes and the two limits allow.

    Args:
        runner: executes one run.
        recorder: takes the outcomes.
        loader: loads the changed objects of all runs that start together, one query a table.
        receivers: tells plain from asynchronous receivers.
        tasks: how many asynchronous receivers run at once.
        threads: how many plain receivers run at once.
    """

    def __init__(
        self,
        runner: Runner,
        recorder: Recorder,
        loader: ObjectLoader,
        receivers: ReceiverCatalog,
        *,
        tasks: int,
        threads: int,
    ) -> None:
        self._runner = runner
        self._recorder = recorder
        self._loader = loader
        self._receivers = receivers
        self._free = {True: tasks, False: threads}
        self._ready: dict[bool, deque[Ticket]] = {True: deque(), False: deque()}
        self._lanes: dict[Lane, deque[Ticket]] = {}
        self._running: dict[asyncio.Task[None], Ticket] = {}
        self._wake = asyncio.Event()
        self._problem: BaseException | None = None
        self._closing = False
        self._starting: list[Ticket] = []
        self.tables: dict[int, TrackedTable] = {}

    @property
    def waiting(self) -> int:
        """How many runs wait for their lane or for a free place."""
        return sum(map(len, self._ready.values())) + sum(map(len, self._lanes.values()))

    @property
    def running(self) -> int:
        """How many receivers run at this moment."""
        return len(self._running)

    def submit(self, run: Run, step: Step | None, *, started_on_record: bool = False) -> None:
        """Take a run; runs of one lane must be submitted in the order of their changes."""
        if self._closing:
            return
        ticket = Ticket(run, step, started_on_record=started_on_record)
        lane = self._lanes.get(run.lane)
        if lane is None:
            self._lanes[run.lane] = deque()
            self._make_ready(ticket)
        else:
            lane.append(ticket)

    async def dispatch(self) -> None:
        """Start what is ready, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._problem is not None:
                raise self._problem
            starting = [self._ready[kind].popleft() for kind in (True, False) for _ in range(self._startable(kind))]
            self._starting = starting
            await self._start(starting)
            self._starting = []

    async def sweep(self) -> None:
        """Record runs that take or wait long, for ever: one slow receiver must not hold the position back."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            before = now() - timedelta(seconds=STARTED_AFTER)
            for ticket in list(self._running.values()):
                if not ticket.started_on_record and ticket.submitted_at <= before:
                    self._recorder.submit(Outcome(ticket.run, STARTED, ticket.started_at), ticket.step)
                    ticket.started_on_record, ticket.step = True, None
            # Heads before followers: a later run of a lane is never on record before an earlier one.
            for queue in (self._starting, *self._ready.values(), *self._lanes.values()):
                for ticket in queue:
                    if ticket.step is not None and ticket.submitted_at <= before:
                        self._recorder.submit(Outcome(ticket.run, PENDING, None), ticket.step)
                        ticket.step = None

    async def finish(self, grace: float) -> int:
        """Start nothing more and wait for what runs.

        Args:
            grace: seconds after which asynchronous receivers are cancelled and plain ones left behind.

        Returns:
            How many receivers had not ended by then.
        """
        self._closing = True
        self._ready = {True: deque(), False: deque()}
        self._lanes.clear()
        if not self._running:
            return 0
        _, late = await asyncio.wait(set(self._running), timeout=grace)
        names = sorted({self._running[task].run.hook.job.class_path for task in late})
        for task in late:
            task.cancel()
        if late:
            logger.warning("%d receivers did not end within %s s: %s", len(late), grace, ", ".join(names))
            await asyncio.wait(late, timeout=1.0)
        return len(late)

    def _startable(self, kind: bool) -> int:
        count = min(self._free[kind], len(self._ready[kind]))
        self._free[kind] -= count
        return count

    def _make_ready(self, ticket: Ticket) -> None:
        self._ready[self._receivers.is_asynchronous(ticket.run.hook.job.class_path)].append(ticket)
        self._wake.set()

    async def _start(self, tickets: list[Ticket]) -> None:
        # Two hooks on one row must not share an object, so each round loads a row once.
        while tickets:
            round_: dict[tuple[int, str], Ticket] = {}
            rest: list[Ticket] = []
            for ticket in tickets:
                row = (ticket.run.change.table_id, ticket.run.change.object_id_json)
                if round_.setdefault(row, ticket) is not ticket:
                    rest.append(ticket)
            found, problems = await self._load([ticket.run for ticket in round_.values()])
            if self._closing:
                return
            for row, ticket in round_.items():
                ticket.started_at = now()
                task = asyncio.create_task(self._run(ticket, found.get(row), problems.get(row[0])))
                self._running[task] = ticket
                task.add_done_callback(self._ended)
            tickets = rest

    async def _load(self, runs: list[Run]) -> tuple[dict[tuple[int, str], Any], dict[int, Exception]]:
        wanted: dict[int, list[str]] = {}
        for run in runs:
            if run.change.action != "delete":
                wanted.setdefault(run.change.table_id, []).append(run.change.object_id_json)
        found: dict[tuple[int, str], Any] = {}
        problems: dict[int, Exception] = {}
        for table_id, keys in wanted.items():
            try:
                objects = await self._loader.load(self._table(table_id), keys)
            except ConnectionFailed:
                raise
            except Exception as error:
                # A missing privilege or a dropped table costs the runs of this table, and only them.
                problems[table_id] = error
            else:
                found.update(((table_id, key), row) for key, row in objects.items())
        return found, problems

    def _table(self, table_id: int) -> TrackedTable:
        table = self.tables.get(table_id)
        if table is None:
            raise NotFound(f"tracked table {table_id} was dropped or untracked since the change was made")
        return table

    async def reload(self, run: Run) -> Any:
        """Load the changed object of one run again; None when the row is gone."""
        if run.change.action == "delete":
            return None
        key = run.change.object_id_json
        return (await self._loader.load(self._table(run.change.table_id), [key])).get(key)

    async def _run(self, ticket: Ticket, changed_object: Any, problem: Exception | None) -> None:
        if problem is not None and ticket.run.change.action != "delete":
            outcome = failed(ticket.run, ticket.started_at, problem, [])
        else:
            try:
                outcome = await self._runner.execute(ticket.run, changed_object)
            except (ConnectionFailed, LeadershipLost):
                raise
            except Exception as error:
                # Ours, not the receiver's; it must not take the daemon down, and come again at each start.
                logger.exception("the run ended by an error of rowhooks", extra=ticket.run.log_fields())
                outcome = failed(ticket.run, ticket.started_at, error, [])
        self._log(outcome)
        self._recorder.submit(outcome, ticket.step)

    def _ended(self, task: asyncio.Task[None]) -> None:
        ticket = self._running.pop(task)
        self._free[self._receivers.is_asynchronous(ticket.run.hook.job.class_path)] += 1
        lane = self._lanes.get(ticket.run.lane)
        if lane:
            self._make_ready(lane.popleft())
        elif lane is not None:
            del self._lanes[ticket.run.lane]
        if not task.cancelled():
            self._problem = self._problem or task.exception()
        self._wake.set()

    @staticmethod
    def _log(outcome: Outcome) -> None:
        fields = outcome.run.log_fields()
        if outcome.exception_type is None:
            logger.debug(
                "run %d of %s: %s", outcome.run.id, outcome.run.hook.job.class_path, outcome.status, extra=fields
            )
        else:
            logger.error(
                "run %d of %s: %s: %s: %s", outcome.run.id, outcome.run.hook.job.class_path, outcome.status,
                outcome.exception_type, outcome.exception_message, extra=fields,
            )  # fmt: skip
