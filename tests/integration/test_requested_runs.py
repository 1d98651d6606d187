"""Retries, replays and revocations, end to end: requested on the command line, run by the daemon."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.cli import Rowhooks
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.results import Following
from tests.support.waiting import PATIENCE, eventually, settled

Connection = psycopg.Connection[Any]


class Checking(JobHookReceiver):
    """Fails as long as it is told to."""

    fails = True
    keys: ClassVar[list[str]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.keys.append(self.job_result.key)
        changed_object.name = "checked"
        changed_object.save()
        if self.fails:
            raise ValueError("not today")


async def test_a_failed_run_that_is_retried_succeeds_and_the_history_of_both_stays(
    run: Rowhooks, db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checking, "fails", True)
    monkeypatch.setattr(Checking, "keys", [])
    add_hook(db, Checking, device)
    async with running_daemon(daemon_dsn, Checking):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
        await settled(db)
        ((failure, status),) = db.execute("select id, status from rowhooks.results").fetchall()
        assert status == "FAILURE"
        assert db.execute("select name from dcim.device").fetchall() == [("sw1",)]

        monkeypatch.setattr(Checking, "fails", False)
        assert run("results", "retry", failure).code == 0
        await settled(db)
    assert db.execute("select status, original_id, exception_message from rowhooks.results order by id").fetchall() == [
        ("FAILURE", None, "not today"),
        ("SUCCESS", failure, None),
    ]
    assert db.execute("select name from dcim.device").fetchall() == [("checked",)]
    # To outside systems it is the same run, and the database says so too.
    assert len(Checking.keys) == 2
    assert set(Checking.keys) == {key for (key,) in db.execute("select key from rowhooks.results").fetchall()}


class Collecting(JobHookReceiver):
    """Notes what it was run for."""

    seen: ClassVar[list[tuple[int, str, Any]]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append((change.id, action, changed_object and changed_object.serial))


async def test_a_replay_runs_the_hook_for_old_changes_once_each_and_for_one_row_in_order(
    run: Rowhooks, db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Collecting, "seen", [])
    db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
    for number in range(2, 6):
        db.execute("update dcim.device set serial = %s", (f"SN{number}",))
    add_hook(db, Collecting, device)
    async with running_daemon(daemon_dsn, Collecting):
        await settled(db)
        assert Collecting.seen == []
        assert run("replay", "--hook", "Collecting", "--since", "1h", "--yes").code == 0
        await settled(db)
    # The changes are of then, the row is of today.
    assert Collecting.seen == [(1, "create", "SN5"), *((number, "update", "SN5") for number in range(2, 6))]
    assert db.execute("select object_change_id, trigger, status from rowhooks.results order by id").fetchall() == [
        (number, "replay", "SUCCESS") for number in range(1, 6)
    ]


async def test_what_was_requested_while_no_daemon_ran_is_run_by_the_next(
    run: Rowhooks, db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Collecting, "seen", [])
    db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
    add_hook(db, Collecting, device)
    assert run("replay", "--hook", "Collecting", "--since", "1h", "--yes").code == 0
    async with running_daemon(daemon_dsn, Collecting):
        await settled(db)
    assert Collecting.seen == [(1, "create", "SN1")]


class Dawdling(JobHookReceiver):
    """Writes and logs, and then takes its time."""

    held: ClassVar[threading.Event]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.name = "written"
        changed_object.save()
        self.logger.info("half way", extra={"grouping": "work"})
        self.held.wait(PATIENCE)


async def test_a_revoked_run_that_goes_on_leaves_nothing_behind(
    run: Rowhooks, db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dawdling, "held", threading.Event(), raising=False)
    add_hook(db, Dawdling, device)
    async with running_daemon(daemon_dsn, Dawdling):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
        started = "select id from rowhooks.job_result where status = 'STARTED'"
        ((run_id,),) = await eventually(lambda: db.execute(started).fetchall())
        assert run("results", "revoke", run_id) == (0, f"Run {run_id} is revoked; it was STARTED.\n", "")
        Dawdling.held.set()
        await settled(db)
    assert db.execute("select status from rowhooks.results").fetchall() == [("REVOKED",)]
    assert db.execute("select name from dcim.device").fetchall() == [("sw1",)]


async def test_a_run_is_followed_while_it_goes_on(
    db: Connection, dsn: str, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dawdling, "held", threading.Event(), raising=False)
    add_hook(db, Dawdling, device)
    async with running_daemon(daemon_dsn, Dawdling):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
        started = "select id from rowhooks.job_result where status = 'STARTED'"
        ((run_id,),) = await eventually(lambda: db.execute(started).fetchall())
        with Following(dsn, run_id) as following:
            await asyncio.to_thread(following.shows, "info half way")
            assert "SUCCESS" not in following.out
            Dawdling.held.set()
            assert await asyncio.to_thread(following.end) == 0
    assert following.out.rstrip().endswith("SUCCESS")
