"""The scheduler between its ports, all of which a test holds in its hands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import TableLocked
from rowhooks.domain.events import Events, InternalErrorOccurred, RunEnded
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.job import JobOptions
from rowhooks.domain.names import TableName
from rowhooks.domain.run import REVOKED, LogEntry, Outcome, Run, now
from rowhooks.pipeline.concurrency import running
from rowhooks.pipeline.execution.runner import Runner
from rowhooks.pipeline.ports import EndOnRecord
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.loop_pool import LoopPool
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.pools import ExecutionPool
from rowhooks.pipeline.scheduling.preparation import Preparation
from rowhooks.pipeline.scheduling.rows import Rows
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.pipeline.scheduling.tasks import Task
from rowhooks.pipeline.scheduling.thread_pool import ThreadPool
from tests.support.make import change, run

START = Position(Snapshot(1, 1), Snapshot(2, 2))


class Call:
    """A receiver whose `run` is given."""

    defines: frozenset[str] = frozenset()
    failure = None

    def __init__(self, work: Callable[[], Any]) -> None:
        self.run = work


class Workspace:
    used = False

    def unawaited(self) -> None:
        pass

    def close(self) -> None:
        pass

    def attach(self, changed_object: Any) -> Any:
        return changed_object

    def cancel(self) -> None:
        pass

    abort = cancel


class World:
    """The scheduler between its ports, all of which are here.

    Args:
        pool: replaces the pool of its name, or comes beside the event loop and the threads.
        threads: how many there are for plain receivers.
        tasks: how many receivers go on at the same time on the event loop.
        placement: says which pool executes a run.
        left: see `Scheduler`; given in a worker.
    """

    def __init__(
        self,
        pool: ExecutionPool | None = None,
        *,
        threads: int = 1,
        tasks: int = 100,
        placement: Placement | None = None,
        left: Callable[[Task], None] | None = None,
    ) -> None:
        self.written: list[tuple[int, str]] = []
        self.asked: list[int] = []
        self.submitted: dict[int, Run] = {}
        self.called: list[int] = []
        self.fetched: list[list[int]] = []
        self.revoked_ids: set[int] = set()
        self.users: list[str] | None = None
        self.loading: dict[int, asyncio.Event] = {}
        self.locked: set[int] = set()
        self.loads = 0
        self.job_options = JobOptions()
        self.asynchronous = True
        self.known_user: str | None = None
        self.unreachable = 0
        self.known_problem: Exception | None = None
        self.errors = 0
        self.receive: Callable[[Run], Any] = lambda run: asyncio.sleep(0)
        self.progress = Progress(START)
        events = self.events = Events()
        events.subscribe(InternalErrorOccurred, self.count_error)
        self.ends: list[tuple[int, str]] = []
        events.subscribe(RunEnded, lambda event: self.ends.append((event.outcome.run.id, event.outcome.status)))
        self.recorder = Recorder(self, self.progress, events)
        self.threads = ThreadPoolExecutor(threads)
        self.rows = Rows(self, self)
        runner = Runner(self, self, self.threads, self.reload, events=events)
        pools: list[ExecutionPool] = [LoopPool(tasks, runner), ThreadPool(10, runner, self.threads)]
        if pool is not None:
            pools = [one for one in pools if one.name != pool.name] + [pool]
        preparation = Preparation(self.recorder, self.rows, self, pools)
        self.scheduler = Scheduler(
            self.recorder, preparation, placement or Placement(self), self.fetch, events, left
        )  # fmt: skip
        self.scheduler.learn(
            {
                n: TrackedTable(n, TableName(f"dcim.t{n}"), f"dcim.t{n}", n, (("id", 23),), (("id", "id", "integer"),))
                for n in (1, 2)
            }
        )

    # ResultSink
    async def record(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> set[int]:
        self.written += [(outcome.run.id, outcome.status) for outcome in outcomes]
        return {outcome.run.id for outcome in outcomes} & self.revoked_ids

    async def on_record(self, run_ids: Collection[int]) -> dict[int, EndOnRecord]:
        return {id_: EndOnRecord(REVOKED, None, now(), None, None, None, None) for id_ in run_ids}

    async def ended(self, run_ids: Collection[int]) -> set[int]:
        self.asked += run_ids
        return set(run_ids) & self.revoked_ids

    async def revoked(self, run_ids: Collection[int]) -> set[int]:
        return set(run_ids) & self.revoked_ids

    async def fetch(self, result_ids: Sequence[int]) -> list[tuple[Run, datetime | None]]:
        # What is fetched is on record by then.
        assert set(result_ids) <= {id_ for id_, _ in self.written}
        self.fetched.append(list(result_ids))
        return [(self.submitted[id_], None) for id_ in result_ids if id_ not in self.revoked_ids]

    # ObjectLoader and UserResolver
    async def load(
        self, table: TrackedTable, keys: Sequence[str], ahead: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        self.loads += 1
        if table.id in self.locked:
            raise TableLocked(f"{table.name} is locked")
        if table.id in self.loading:
            await self.loading[table.id].wait()
        return dict.fromkeys(keys, "row")

    def known(self, claimed: str | None, db_user: str) -> str | None:
        if self.known_problem is not None:
            raise self.known_problem
        return self.known_user

    async def resolve(self, pairs: Sequence[tuple[str | None, str]]) -> list[str | Exception]:
        return list([db_user for _, db_user in pairs] if self.users is None else self.users)

    # ReceiverCatalog and WorkspaceFactory
    def is_asynchronous(self, class_path: str) -> bool:
        return self.asynchronous

    def options(self, class_path: str) -> JobOptions:
        return self.job_options

    def prepare(self, run: Run, *_: Any) -> Any:
        self.called.append(run.id)
        return Call(lambda: self.receive(run))

    def open(self, run: Run, user: str, *, asynchronous: bool) -> Any:
        return Workspace()

    def is_unreachable(self, error: BaseException) -> bool:
        self.unreachable -= 1
        return self.unreachable >= 0

    def count_error(self, event: InternalErrorOccurred) -> None:
        self.errors += 1

    def is_transient(self, error: BaseException) -> bool:
        return False

    async def reload(self, run: Run) -> Any:
        return "row"

    @staticmethod
    def run(id_: int, row: int = 1, table: int = 1) -> Run:
        return run(id_, cause=change(id_, table_id=table, object_id_json=f'{{"id": {row}}}'))

    def submit(self, id_: int, row: int = 1, table: int = 1) -> None:
        self.submitted[id_] = self.run(id_, row, table)
        self.scheduler.admission.admit(self.submitted[id_], self.progress.add(START.past(id_), 1))


@contextlib.asynccontextmanager
async def working(world: World) -> AsyncIterator[None]:
    """Let the scheduler and the recorder work for the length of a block."""
    scheduler = world.scheduler
    work = [
        scheduler.dispatch(), scheduler.sweep(), scheduler.admission.refill(), scheduler.watch_revocations(),
        world.recorder.run(),
    ]  # fmt: skip
    async with running(work):
        yield
