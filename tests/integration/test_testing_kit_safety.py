"""The testing kit: whatever a receiver does, nothing stays behind."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.errors import (
    Conflict,
    SoftTimeLimitExceeded,
    TimeLimitExceeded,
)
from rowhooks.testing import Rehearsal, run_hook
from tests.support.rehearsing import AsyncPolicy, SerialPolicy, contents

Connection = psycopg.Connection[Any]


def test_nothing_stays_behind(own: Connection, own_dsn: str) -> None:
    former = contents(own)
    with Rehearsal(own_dsn) as kit:
        kit.execute("insert into dcim.note values ('arranged')")
        run = kit.run_hook(SerialPolicy, table="dcim.device", before={"id": 1}, after={"serial": "XX"})
        assert run.status == "SUCCESS"
        kit.run_hook(AsyncPolicy, table="dcim.device", after={"serial": "sn-2"})
        assert contents(own)["device"] == former["device"]
    assert contents(own) == former


# What must not get out of the transaction.


def commit_of(how: str) -> type[JobHookReceiver]:
    class Commits(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            self.session.execute(text("insert into dcim.note values ('escaped')"))
            if how == "session":
                self.session.commit()
            elif how == "statement":
                self.session.execute(text("commit"))
            elif how == "driver":
                driver: Any = self.session.connection().connection.driver_connection
                driver.commit()
            elif how == "rollback":
                self.session.execute(text("rollback"))
                self.session.execute(text("insert into dcim.note values ('escaped')"))
                self.session.execute(text("commit"))
            elif how == "close":
                self.session.connection().close()
            elif how == "terminate":
                self.session.execute(text("select pg_terminate_backend(pg_backend_pid())"))
            elif how == "exit":
                raise SystemExit

    return Commits


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("session", "SUCCESS"), ("statement", "FAILURE"), ("driver", "FAILURE"), ("rollback", "FAILURE"),
        ("close", "FAILURE"), ("terminate", "FAILURE"), ("exit", "FAILURE"),
    ],
)  # fmt: skip
def test_no_receiver_leaves_anything_behind(own: Connection, own_dsn: str, how: str, status: str) -> None:
    former = contents(own)
    with Rehearsal(own_dsn) as kit:
        run = kit.run_hook(commit_of(how), table="dcim.device", before={"id": 1}, after={"serial": "XX"})
        assert run.status == status
        assert [write.table for write in run.writes] == (["dcim.note"] if how == "session" else [])
        if how in ("statement", "driver"):
            assert run.exception is not None
            assert "a rehearsal of rowhooks is never committed" in run.exception.message
    assert contents(own) == former


def test_a_transaction_that_a_receiver_has_ended_is_not_used_again(own_dsn: str) -> None:
    with Rehearsal(own_dsn) as kit:
        kit.run_hook(commit_of("statement"), table="dcim.device", before={"id": 1}, after={"serial": "XX"})
        with pytest.raises(Conflict, match="transaction has ended"):
            kit.execute("select 1")
        with pytest.raises(Conflict, match="transaction has ended"):
            kit.run_hook(SerialPolicy, table="dcim.device", before={"id": 1}, after={"serial": "XX"})


def test_a_session_that_is_rolled_back_goes_on(kit: Rehearsal) -> None:
    class RollsBack(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            self.session.execute(text("insert into dcim.note values ('first')"))
            self.session.rollback()
            self.session.execute(text("insert into dcim.note values ('second')"))

    run = kit.run_hook(RollsBack, table="dcim.site", after={"id": 3, "name": "Basel"})
    assert run.status == "SUCCESS"
    assert [write.postchange for write in run.writes] == [{"message": "second"}]


# Time limits.


class SoftlyLimited(JobHookReceiver):
    class Meta:
        soft_time_limit = 0.1

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        try:
            if action == "create":
                self.session.execute(text("select pg_sleep(30)"))
            while True:
                threading.Event().wait(0.01)
        except SoftTimeLimitExceeded:
            self.logger.warning("late")
            raise

    def on_failure(self, *args: Any) -> None:
        self.session.execute(text("insert into dcim.note values ('failed')"))


@pytest.mark.parametrize("before", [None, {"id": 1}])
def test_the_soft_time_limit_is_raised_inside_the_receiver(kit: Rehearsal, before: Any) -> None:
    run = kit.run_hook(SoftlyLimited, table="dcim.site", before=before, after={"id": 1 if before else 3, "name": "x"})
    assert run.status == "FAILURE"
    assert [write.postchange for write in run.writes] == [{"message": "failed"}]
    assert kit.execute("select 1 as one") == [{"one": 1}]


class Hangs(JobHookReceiver):
    class Meta:
        time_limit = 0.1

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(text("select pg_sleep(30)"))


class AsyncHangs(JobHookReceiver):
    class Meta:
        time_limit = 0.1

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.execute(text("insert into dcim.note values ('hangs')"))
        await asyncio.sleep(30)


@pytest.mark.parametrize("receiver", [Hangs, AsyncHangs])
def test_the_time_limit_ends_the_run_and_the_transaction_with_it(
    own: Connection, own_dsn: str, receiver: type[JobHookReceiver]
) -> None:
    began = time.monotonic()
    run = run_hook(receiver, dsn=own_dsn, table="dcim.site", after={"id": 3, "name": "Basel"})
    assert time.monotonic() - began < 15
    assert run.status == "FAILURE"
    assert isinstance(run.exception and run.exception.error, TimeLimitExceeded)
    assert own.execute("select count(*) from dcim.site").fetchone() == (1,)
