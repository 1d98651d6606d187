"""Lines of a receiver's module: they reach the log of the run that logs them, and of no other."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.testing import Rehearsal
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

logger = logging.getLogger(__name__)
ROWS = 20


def from_a_helper(what: str) -> None:
    logging.getLogger(f"{__name__}.helpers").warning("%s in a helper", what)


def in_a_thread(work: Any, *given: Any) -> None:
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work, *given))
    thread.start()
    thread.join()


class Plain(JobHookReceiver):
    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        logger.debug("below the module's level")
        logger.info("before %s", kwargs["object_change"].object_repr)

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        name = changed_object.name
        logger.info("plain %s", name, extra={"object": changed_object, "grouping": "names"})
        from_a_helper(name)
        in_a_thread(logger.warning, "%s in a thread", name)
        asyncio.run(self.later(name))

    async def later(self, name: str) -> None:
        logger.error("%s on a loop of its own", name)


class Asynchronous(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        name = changed_object.name
        logger.info("async %s", name)
        await asyncio.gather(asyncio.create_task(self.task(name)), asyncio.to_thread(from_a_helper, name))
        await asyncio.sleep(0)
        logger.info("async %s once more", name)

    async def task(self, name: str) -> None:
        await asyncio.sleep(0)
        logger.warning("%s in a task", name)


EXPECTED = {
    Plain: [
        ("info", "before {}"), ("info", "plain {}"), ("warning", "{} in a helper"), ("warning", "{} in a thread"),
        ("error", "{} on a loop of its own"),
    ],
    Asynchronous: [
        ("info", "async {}"), ("info", "async {} once more"), ("warning", "{} in a helper"),
        ("warning", "{} in a task"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("receiver", [Plain, Asynchronous])
async def test_each_run_has_its_own_lines_and_each_line_stands_once_in_the_daemons_log(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture, receiver: type[JobHookReceiver]
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        db.execute("insert into dcim.device select n, 'sw' || n from generate_series(1, %s) as n", (ROWS,))
        await settled(db)
    logged = db.execute(
        "select r.object_repr, e.level, e.message"
        " from rowhooks.results as r join rowhooks.job_log_entry as e on e.job_result_id = r.id"
    ).fetchall()
    names = sorted(f"sw{n}" for n in range(1, ROWS + 1))
    wanted = EXPECTED[receiver]
    assert sorted(logged) == sorted((name, level, text.format(name)) for name in names for level, text in wanted)
    mine = [record for record in caplog.records if record.name.startswith(__name__)]
    assert sorted(record.getMessage() for record in mine) == sorted(
        text.format(name) for name in names for _, text in wanted
    )
    # Each has its run's fields, as the lines of self.logger have.
    ids = dict(db.execute("select r.object_repr, r.id from rowhooks.results as r").fetchall())
    assert all(
        vars(record)["run"] == ids[name] for record in mine for name in names if name in record.getMessage().split()
    )


async def test_a_row_and_a_grouping_are_kept(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Plain, device)
    async with running_daemon(daemon_dsn, Plain):
        db.execute("insert into dcim.device values (1, 'sw1')")
        await settled(db)
    assert db.execute(
        "select e.object_type, e.object_repr, e.grouping from rowhooks.job_log_entry as e where e.message ~ '^plain'"
    ).fetchall() == [("dcim.device", "sw1", "names")]


def test_the_kit_reports_them_as_the_daemon_records_them(kit: Rehearsal) -> None:
    for receiver, wanted in EXPECTED.items():
        run = kit.run_hook(receiver, table="dcim.device", after={"name": "sw9"})
        assert run.exception is None
        assert sorted((line.level, line.message) for line in run.logs) == sorted(
            (level, text.format("sw9")) for level, text in wanted
        )
    assert logging.getLogger(__name__).handlers == []


async def test_nothing_is_heard_after_the_daemon(db: Connection, daemon_dsn: str, device: str) -> None:
    before = [logging.getLogger(name).handlers[:] for name in ("tests", __name__)]
    async with running_daemon(daemon_dsn, Plain):
        assert len(logging.getLogger(__name__).handlers) == 1
    assert [logging.getLogger(name).handlers for name in ("tests", __name__)] == before
