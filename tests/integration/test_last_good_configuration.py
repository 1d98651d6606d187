"""A configuration that cannot be read while the daemon runs: it goes on with what it knows, and says so."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class First(JobHookReceiver):
    """Does nothing."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        pass


class Second(First):
    """Does nothing either."""


async def test_a_configuration_that_cannot_be_read_leaves_the_last_good_one_in_force(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, First, device, name="first")
    caplog.set_level(logging.INFO)

    def started() -> list[str]:
        return [row[0] for row in db.execute("select hook_name from rowhooks.job_result order by id").fetchall()]

    async with running_daemon(daemon_dsn, First, Second, poll_interval=0.1):
        db.execute("revoke select on rowhooks.job_hook_table from rowhooks_daemon")
        add_hook(db, Second, device, name="second")
        db.execute("insert into dcim.device values (1, 'sw', null)")
        await settled(db)
        assert started() == ["first"]
        db.execute("insert into dcim.device values (2, 'sw', null)")
        await settled(db)
        assert started() == ["first", "first"]
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert errors == [
            "the configuration cannot be read, the last good one stays in force:"
            " permission denied for table job_hook_table (grant the daemon's role to the daemon's login)"
        ]
        db.execute("grant select on rowhooks.job_hook_table to rowhooks_daemon")
        await eventually(lambda: "the configuration could be read again" in caplog.text)
        db.execute("insert into dcim.device values (3, 'sw', null)")
        await settled(db)
        assert started() == ["first", "first", "first", "second"]
