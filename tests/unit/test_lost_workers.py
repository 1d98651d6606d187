"""Workers that are lost: what their sessions are called, and what becomes of their runs and processes."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, cast

import pytest
from psycopg.conninfo import conninfo_to_dict

from rowhooks.domain.dispatch import Group, Progress, new_process, process_of, session_name, worker_id
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import STARTED, Outcome, now
from rowhooks.pipeline.ports import StateOnRecord
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.worker_pool import WorkerPool
from rowhooks.postgres.connections.target import Target
from rowhooks.runtime.processes import Processes
from tests.support.make import run
from tests.support.waiting import eventually


class Receivers:
    def is_asynchronous(self, class_path: str) -> bool:
        return False

    def options(self, class_path: str) -> JobOptions:
        return JobOptions(time_limit=60.0)

    def prepare(self, *_: Any) -> Any:
        raise AssertionError("nothing is executed here")


class Owner:
    def __init__(self) -> None:
        self.said: list[str] = []

    def ended(self, run_id: int, outcome: Outcome | None, error: BaseException | None) -> None:
        self.said.append(f"ended: {outcome and outcome.exception_type}")

    def lost(self, run_id: int, why: str, *, for_good: bool) -> None:
        self.said.append("lost")


def test_a_lost_run_is_not_beyond_its_time_limit_because_the_clock_of_its_worker_is_slow() -> None:
    pool = WorkerPool(cast("Any", None), Placement(Receivers()), bool)
    owner, one, worker = Owner(), run(1), uuid.uuid4()
    pool.attach(cast("Any", owner))
    group = Group(uuid.uuid4(), "default", False, 0, (one,))
    began = now() - timedelta(hours=3)
    state = StateOnRecord(STARTED, began, None, None, 1, None, None, None, None)
    for seconds in (2.0, 61.0):
        pool._lose(one, group, Progress(worker, seconds, is_done=False), {one.id: state})
    assert owner.said == ["lost", "ended: rowhooks.domain.errors.TimeLimitExceeded"]


def test_the_sessions_of_a_worker_have_a_name_of_their_own_that_the_server_keeps_whole() -> None:
    process = new_process()
    first, second = worker_id(process), worker_id(process)
    assert process_of(first) == process_of(second) == process
    assert session_name("web:1", first) == f"rowhooks worker web:1 {first.hex[-8:]}"
    assert session_name("web:1", first) != session_name("web:1", second)
    for host in ("h" * 40, "é" * 40):
        named = session_name(f"{host}:4194304", first)
        assert len(named.encode()) == 63
        assert named.endswith(f":4194304 {first.hex[-8:]}")
    target = Target("host=db application_name=acme").named("rowhooks worker web:1")
    assert conninfo_to_dict(target.conninfo)["application_name"] == "rowhooks worker web:1"


async def test_a_process_that_cannot_be_started_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    processes = Processes(1, ["/nowhere/python"], {}, 0.0)
    processes.start()
    try:
        await eventually(lambda: caplog.text.count("a worker process could not be started") > 1)
    finally:
        await processes.stop()
