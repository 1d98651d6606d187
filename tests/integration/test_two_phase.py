"""Two-phase commit on tracked tables: without NOTIFY the daemon polls."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.cli import call
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Name(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return changed_object.name


@pytest.fixture
def two_phase(db: Connection, dsn: str) -> None:
    """An installation that does without NOTIFY, on a server that takes prepared transactions."""
    if db.execute("show max_prepared_transactions").fetchone() == ("0",):
        pytest.skip("this server takes no prepared transactions (max_prepared_transactions = 0)")
    assert call(["upgrade", "--no-notify", "--dsn", dsn]) == 0


def insert(conn: Connection, number: int) -> None:
    conn.execute("insert into dcim.device values (%s, %s, null)", (number, f"sw{number}"))


def prepare(dsn: str, name: str) -> None:
    """Insert device 1 in a prepared transaction."""
    with psycopg.connect(dsn, autocommit=True) as writer:
        writer.execute("begin")
        insert(writer, 1)
        writer.execute(f"prepare transaction '{name}'")


def results(db: Connection) -> list[str]:
    return [name for (name,) in db.execute("select result #>> '{}' from rowhooks.job_result order by id")]


@pytest.mark.usefixtures("two_phase")
async def test_a_prepared_transaction_starts_its_runs_once_it_is_committed_and_delays_nobody(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Name, device)
    name = f"rowhooks_{db.info.dbname}"
    async with running_daemon(daemon_dsn, Name):
        prepare(dsn, name)
        insert(db, 2)
        await eventually(lambda: results(db) == ["sw2"])
        db.execute(f"commit prepared '{name}'")
        await eventually(lambda: results(db) == ["sw2", "sw1"])


@pytest.mark.usefixtures("two_phase")
async def test_a_prepared_transaction_that_is_rolled_back_starts_nothing(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Name, device)
    name = f"rowhooks_{db.info.dbname}"
    async with running_daemon(daemon_dsn, Name):
        prepare(dsn, name)
        db.execute(f"rollback prepared '{name}'")
        insert(db, 2)
        await eventually(lambda: results(db) == ["sw2"])
        await settled(db)
    assert results(db) == ["sw2"]


@pytest.mark.usefixtures("two_phase")
async def test_a_daemon_that_runs_follows_the_choice_both_ways(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Name, device)
    async with running_daemon(daemon_dsn, Name):
        insert(db, 1)
        await eventually(lambda: results(db) == ["sw1"])
        # Not here: the daemon may be in the middle of a transaction, and goes on in this loop.
        assert await asyncio.to_thread(call, ["upgrade", "--notify", "--dsn", dsn]) == 0
        # Its poll interval is a minute in these tests: it is the bell that it hears.
        insert(db, 2)
        await eventually(lambda: results(db) == ["sw1", "sw2"])
        assert await asyncio.to_thread(call, ["upgrade", "--no-notify", "--dsn", dsn]) == 0
        insert(db, 3)
        await eventually(lambda: results(db) == ["sw1", "sw2", "sw3"])


@pytest.mark.usefixtures("two_phase")
def test_the_choice_is_kept_by_an_upgrade_and_shown_by_status(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["upgrade", "--dsn", dsn]) == 0
    assert call(["init", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert call(["status", "--dsn", dsn]) == 0
    assert "the daemon polls (two-phase commit)" in capsys.readouterr().out
    assert db.execute("select notify from rowhooks.installation").fetchone() == (False,)
