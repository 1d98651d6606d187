"""Behind PgBouncer: what the daemon leaves in server connections that others use next, which is nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from psycopg.conninfo import make_conninfo

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.postgres.connections import poolers
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.poolers import recognised
from rowhooks.postgres.connections.target import DIRECT, SESSION_POOLER, TRANSACTION_POOLER, Target
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.support.waiting import eventually, settled

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed (Debian's package pgbouncer)")

Connection = psycopg.Connection[Any]


class Plain(JobHookReceiver):
    """Writes in its transaction, through the object and through the session."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.serial = f"SN{change.id}"
        changed_object.save()
        self.session.execute(sqlalchemy.text("insert into effect values (:id, 'Plain')"), {"id": change.id})


class Asynchronous(JobHookReceiver):
    """The same on the event loop."""

    class Meta:
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.execute(
            sqlalchemy.text("insert into effect values (:id, 'Asynchronous')"), {"id": change.id}
        )


class Grouped(JobHookReceiver):
    """A plain one that shares its transaction with others."""

    class Meta:
        loads_object = False
        group_commit = 10

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        values = {"id": change.id}
        self.session.execute(sqlalchemy.text("insert into effect values (:id, 'Grouped')"), values)


class Witness(JobHookReceiver):
    """Remembers what it was called with."""

    class Meta:
        loads_object = False

    seen: ClassVar[list[int]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(change.id)


@pytest.fixture
def effects(db: Connection, device: str) -> None:
    db.execute("create table effect (change_id bigint, hook text)")
    db.execute("grant select, insert on effect to rowhooks_daemon")
    add_hook(db, Plain, device)
    add_hook(db, Asynchronous, device)


@pytest.mark.parametrize(
    ("pool_mode", "settings", "route"),
    [
        ("transaction", {}, TRANSACTION_POOLER),
        ("transaction", {"default_pool_size": 1}, TRANSACTION_POOLER),
        ("transaction", {"server_round_robin": 1, "min_pool_size": 5}, TRANSACTION_POOLER),
        ("session", {}, SESSION_POOLER),
    ],
)
async def test_a_pooler_and_its_kind_are_recognised(
    daemon_dsn: str, pool_mode: str, settings: dict[str, int], route: str
) -> None:
    with pgbouncer(daemon_dsn, pool_mode, **settings) as through:
        assert (await recognised(Target(through))).route == route


async def test_a_pooler_of_transactions_is_recognised_while_another_client_releases_server_connections(
    daemon_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is released last is given out first, so the probe's first connection may get the same one again."""
    with pgbouncer(daemon_dsn) as through:
        pooled = replace(Target(through), route=TRANSACTION_POOLER)
        async with connected(pooled) as other:
            held = other.transaction()
            await held.start()

            @contextlib.asynccontextmanager
            async def opened_as_the_other_commits(target: Target) -> AsyncIterator[Any]:
                nonlocal held
                async with connected(target) as opened:
                    await held.commit()
                    yield opened
                held = other.transaction()
                await held.start()

            openings = iter([connected])
            monkeypatch.setattr(
                poolers, "connected", lambda target: next(openings, opened_as_the_other_commits)(target)
            )
            assert (await recognised(Target(through))).route == TRANSACTION_POOLER


async def test_a_pooler_of_transactions_is_recognised_that_hands_two_server_connections_round(daemon_dsn: str) -> None:
    with pgbouncer(daemon_dsn, server_round_robin=1) as through:
        pooled = replace(Target(through), route=TRANSACTION_POOLER)
        async with connected(pooled) as one, connected(pooled) as other, one.transaction(), other.transaction():
            await asyncio.gather(one.fetchval("select 1"), other.fetchval("select 1"))
        assert (await recognised(Target(through))).route == TRANSACTION_POOLER


async def test_a_server_reached_directly_is_recognised(daemon_dsn: str) -> None:
    assert (await recognised(Target(daemon_dsn))).route == DIRECT


@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
async def test_with_a_direct_connection_to_listen_on_everything_works(
    db: Connection, daemon_dsn: str, effects: None, pool_mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pgbouncer(daemon_dsn, pool_mode, default_pool_size=30) as through:
        # The poll is a minute away: the bell is heard on the direct connection.
        async with running_daemon(through, Plain, Asynchronous, listen_dsn=daemon_dsn):
            for number in range(60):
                db.execute("insert into dcim.device values (%s, 'sw', null)", (number,))
            await settled(db)
        assert "transaction pooler" not in caplog.text
    changes = [row[0] for row in db.execute("select id from rowhooks.object_change order by id").fetchall()]
    # What the receivers wrote has started no hook.
    assert len(changes) == 60
    found = Counter(db.execute("select change_id, hook from effect").fetchall())
    assert found == Counter({(id_, hook): 1 for id_ in changes for hook in ("Plain", "Asynchronous")})
    assert db.execute("select count(*) from dcim.device where serial like 'SN%'").fetchone() == (60,)


async def test_runs_share_a_transaction_behind_a_pooler_of_transactions(
    db: Connection, daemon_dsn: str, device: str, effects: None
) -> None:
    db.execute("alter table effect add column xact xid8 default pg_current_xact_id()")
    add_hook(db, Grouped, device)
    with pgbouncer(daemon_dsn, default_pool_size=30) as through:
        async with running_daemon(through, Plain, Asynchronous, Grouped, listen_dsn=daemon_dsn, threads=1):
            db.execute("insert into dcim.device select n, 'sw', null from generate_series(1, 60) as n")
            await settled(db)
    grouped = "from effect where hook = 'Grouped'"
    assert db.execute(f"select count(*), count(distinct change_id) {grouped}").fetchone() == (60, 60)
    assert db.execute(f"select count(distinct xact) < 60 {grouped}").fetchone() == (True,)


async def test_nothing_of_a_run_is_left_in_a_server_connection(
    db: Connection, daemon_dsn: str, device: str, effects: None
) -> None:
    """An application with the daemon's own login shares one server connection with the receivers."""
    db.execute("insert into dcim.device values (1, 'sw', null), (2, 'sw', null)")
    with pgbouncer(daemon_dsn, default_pool_size=4) as through:
        async with running_daemon(through, Plain, Asynchronous, listen_dsn=daemon_dsn):
            # Not in this thread: it may wait for a server connection that a receiver has, which waits for this thread.
            async with await psycopg.AsyncConnection.connect(
                through, autocommit=True, prepare_threshold=None
            ) as application:
                for number in range(40):
                    await application.execute("update dcim.device set name = %s where id = 1", (f"sw{number}",))
                    prepared = await application.execute("select name from pg_prepared_statements")
                    assert await prepared.fetchall() == []
                    left = await application.execute("select coalesce(current_setting('rowhooks.receiver', true), '')")
                    assert await left.fetchone() == ("",)
                    await asyncio.sleep(0.01)
            await settled(db)
    # Every write of the application was captured and has started both hooks.
    assert db.execute("select count(*) from rowhooks.object_change where action = 'update'").fetchone() == (40,)
    assert db.execute("select count(*) from effect").fetchone() == (2 * 42,)


async def test_without_one_the_daemon_says_so_and_polls(
    db: Connection, daemon_dsn: str, effects: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pgbouncer(daemon_dsn) as through:
        async with running_daemon(through, Plain, Asynchronous):
            assert "is reached through a transaction pooler, where no bell is heard" in caplog.text
            for number in range(10):
                db.execute("insert into dcim.device values (%s, 'sw', null)", (number,))
                await settled(db)
    assert db.execute("select count(*) from effect").fetchone() == (20,)


async def test_behind_a_transaction_pooler_one_daemon_leads_and_the_next_takes_over(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    Witness.seen.clear()
    add_hook(db, Witness, device)
    caplog.set_level(logging.INFO)
    # The group ends the standby where the leader's part fails, which would otherwise wait for it for ever.
    with pgbouncer(daemon_dsn) as through:
        async with asyncio.TaskGroup() as group, running_daemon(through, Witness):
            group.create_task(_one_change_more(db, through))
            await eventually(lambda: "standing by: another daemon leads" in caplog.text)
            db.execute("insert into dcim.device values (1, 'sw', null)")
            await eventually(lambda: Witness.seen)
            assert Witness.seen == [1]
    assert Witness.seen == [1, 2]


async def _one_change_more(db: Connection, dsn: str) -> None:
    async with running_daemon(dsn, Witness):
        db.execute("insert into dcim.device values (2, 'sw', null)")
        await settled(db)


async def test_the_leader_lock_behind_a_pooler_holds_up_no_vacuum(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Witness, device)
    with pgbouncer(daemon_dsn) as through:
        async with running_daemon(through, Witness):
            holding = db.execute(
                "select a.state, a.backend_xid, a.backend_xmin from pg_locks l join pg_stat_activity a on a.pid = l.pid"
                " where l.locktype = 'advisory' and a.datname = current_database()"
            ).fetchall()
    assert holding == [("idle in transaction", None, None)]


def test_the_command_line_works_through_a_transaction_pooler(daemon_dsn: str, db: Connection, device: str) -> None:
    from typer.testing import CliRunner

    from rowhooks.cli import app

    with pgbouncer(make_conninfo(daemon_dsn, user=db.info.user)) as through:
        for command in (["status"], ["tables"], ["untrack", device], ["track", device], ["doctor"]):
            done = CliRunner().invoke(app, [*command, "--dsn", through])
            assert done.exit_code == 0, (command, done.output)
