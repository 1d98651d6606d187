"""A dump and its restore, and pg_upgrade, keep tracking, history and configuration, and run nothing twice."""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks import JobButtonReceiver, JobHookReceiver
from rowhooks.demo.embedded import EmbeddedPostgres
from rowhooks.domain.errors import EmbeddedServerError
from rowhooks.postgres.administration.roles import ROLE_KINDS, Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.target import Target
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.dumps import dump, restore
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

# All that people configured or that happened, by table; in an order that a restore keeps.
KEPT = [
    "rowhooks.installation", "rowhooks.tracked_table", "rowhooks.tracking_rule", "rowhooks.job", "rowhooks.job_hook",
    "rowhooks.job_hook_table", "rowhooks.job_button", "rowhooks.job_button_table", "rowhooks.object_change",
    "rowhooks.job_result", "rowhooks.job_log_entry", "rowhooks.feed", "rowhooks.configuration",
]  # fmt: skip


class Seen(JobHookReceiver):
    """Notes what it was started for."""

    numbers: ClassVar[list[int]] = []

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> None:
        self.logger.info("seen")
        self.numbers.append(change.changed_object_id["id"])


class Pressed(JobButtonReceiver):
    """Is there to have a button."""

    def receive_job_button(self, obj: Any) -> None: ...


@pytest.fixture(autouse=True)
def _nothing_seen_yet() -> None:
    Seen.numbers.clear()


def contents(conn: Connection) -> dict[str, list[Any]]:
    """Return what the tables of `KEPT` hold."""
    return {
        name: sorted(str(row) for (row,) in conn.execute(f"select to_jsonb(t)::text from {name} as t").fetchall())
        for name in KEPT
    }


def attachments(conn: Connection) -> list[Any]:
    """Return rowhooks' triggers on the user's tables, and the event triggers."""
    return conn.execute(
        "select t.tgrelid::regclass::text, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) from pg_trigger as t"
        " where t.tgname ~ '^!rowhooks' union all select 'event', e.evtname, e.evtenabled, e.evtfoid::regproc::text"
        " from pg_event_trigger as e where e.evtname ~ '^rowhooks' order by 1, 2"
    ).fetchall()


async def live(db: Connection, daemon_dsn: str, device: str) -> None:
    """Give the database a past: everything configured, two changes dealt with, and one that waits."""
    db.execute("create table dcim.site (a integer, b text) partition by list (a)")
    db.execute("create table dcim.site_rest partition of dcim.site default")
    db.execute("select rowhooks.track('dcim.site', identity => '{}', always => true)")
    db.execute("insert into rowhooks.tracking_rule (pattern) values ('app.*')")
    add_hook(db, Seen, device)
    add_button(db, Pressed, device, name="Press me", roles=["public"])
    db.execute("insert into dcim.device values (1, 'sw1', null)")
    async with running_daemon(daemon_dsn, Seen, Pressed):
        db.execute("insert into dcim.device values (2, 'sw2', null)")
        await settled(db)
    db.execute("insert into dcim.device values (3, 'sw3', null)")
    assert sorted(Seen.numbers) == [1, 2]


def moved(db: Connection) -> list[Any]:
    """Return the tables whose capture functions know them by an oid that is not theirs."""
    return db.execute(
        "select t.relation from rowhooks.tracked_table as t join pg_proc as p on p.proname = 'capture_' || t.id"
        " where t.untracked_at is null and p.prosrc <> rowhooks.source_of_capture(t.id)"
    ).fetchall()


async def go_on(dsn: str) -> None:
    """Run a daemon on what was restored: nothing that was run before runs again, everything else does."""
    Seen.numbers.clear()
    with psycopg.connect(dsn, autocommit=True) as db:
        before = db.execute("select id, status, finished_at from rowhooks.job_result order by id").fetchall()
        async with running_daemon(make_conninfo(dsn, user=DAEMON_LOGIN), Seen, Pressed):
            await settled(db)
            assert Seen.numbers == [3]
            # The capture functions know their tables again.
            assert moved(db) == []
            db.execute("insert into dcim.device values (4, 'sw4', null)")
            db.execute("insert into dcim.site values (1, 'x')")
            await settled(db)
        assert Seen.numbers == [3, 4]
        after = db.execute("select id, status, finished_at from rowhooks.job_result order by id").fetchall()
        assert after[:2] == before
        assert [status for _, status, _ in after] == ["SUCCESS"] * 4
        newest = "select object_type, postchange from rowhooks.changes order by id desc limit 1"
        recorded = db.execute(newest).fetchone()
        assert recorded == ("dcim.site", {"a": 1, "b": "x"})
        db.execute("create schema app")
        db.execute("create table app.late (id integer primary key)")
        assert db.execute("select from rowhooks.tracked_table where table_name = 'late'").fetchone() is not None


@pytest.fixture
def elsewhere(db: Connection, dsn: str) -> Iterator[str]:
    """An empty database of the same cluster."""
    name = sql.Identifier(f"restored_{uuid.uuid4().hex[:12]}")
    db.execute(sql.SQL("create database {}").format(name))
    yield make_conninfo(dsn, dbname=name.as_string(db).strip('"'))
    db.execute(sql.SQL("drop database {} with (force)").format(name))


async def test_a_restore_into_a_new_database_keeps_everything_and_runs_nothing_twice(
    db: Connection, dsn: str, daemon_dsn: str, device: str, elsewhere: str
) -> None:
    await live(db, daemon_dsn, device)
    restore(dump(dsn), elsewhere)
    with psycopg.connect(elsewhere, autocommit=True) as restored:
        assert contents(restored) == contents(db)
        assert attachments(restored) == attachments(db)
    await go_on(elsewhere)


async def test_a_dump_taken_while_the_daemon_works_is_restored_to_a_state_that_goes_on(
    db: Connection, dsn: str, daemon_dsn: str, device: str, elsewhere: str
) -> None:
    add_hook(db, Seen, device)
    async with running_daemon(daemon_dsn, Seen, Pressed):
        db.execute("insert into dcim.device select i, 'sw', null from generate_series(1, 300) as i")
        script = dump(dsn)
        await settled(db)
    restore(script, elsewhere)
    with psycopg.connect(elsewhere, autocommit=True) as restored:
        async with running_daemon(make_conninfo(elsewhere, user=DAEMON_LOGIN), Seen, Pressed):
            await settled(restored)
        runs = "select count(*), count(distinct object_change_id), count(*) filter (where status = 'SUCCESS')"
        assert restored.execute(f"{runs} from rowhooks.job_result").fetchone() == (300, 300, 300)


def test_a_restore_can_be_upgraded_and_uninstalled_like_the_original(
    db: Connection, dsn: str, device: str, elsewhere: str
) -> None:
    restore(dump(dsn), elsewhere)
    assert not install(Target(elsewhere), Roles()).created
    original, restored = (
        # By its oid a capture function knows its table, which has another one after a restore.
        re.sub(r"\d+::pg_catalog\.oid", "OID", dump(where, "--schema-only", "--restrict-key=k"))
        for where in (dsn, elsewhere)
    )
    assert restored == original


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for servers; short, and open to the user that they run as."""
    path = Path(tempfile.mkdtemp(prefix="rowhooks-pg-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def server(directory: Path, version: int) -> EmbeddedPostgres:
    home = directory / str(version)
    home.mkdir()
    try:
        return EmbeddedPostgres(home, version=version)
    except EmbeddedServerError as missing:
        pytest.skip(str(missing))


async def test_a_restore_into_another_cluster_goes_on_where_the_dump_stood(
    db: Connection, dsn: str, daemon_dsn: str, device: str, directory: Path
) -> None:
    await live(db, daemon_dsn, device)
    with server(directory, 18) as other:
        with psycopg.connect(other.dsn(), autocommit=True) as admin:
            for role in ROLE_KINDS:
                admin.execute(f"create role rowhooks_{role}")
            admin.execute("grant rowhooks_capture to rowhooks_owner")
            admin.execute(f"create role {DAEMON_LOGIN} login in role rowhooks_daemon")
            if db.info.user != "postgres":
                admin.execute(sql.SQL("create role {} superuser").format(sql.Identifier(db.info.user)))
        restore(dump(dsn), other.dsn())
        await go_on(other.dsn())


async def test_pg_upgrade_takes_a_database_with_rowhooks_to_a_newer_release(directory: Path) -> None:
    old, new = server(directory, 16), server(directory, 18)
    with old:
        install(Target(old.dsn()), Roles())
        with psycopg.connect(old.dsn(), autocommit=True) as db:
            db.execute(f"create role {DAEMON_LOGIN} login in role rowhooks_daemon")
            db.execute("create schema dcim")
            db.execute("create table dcim.device (id integer primary key, name text not null, serial text)")
            db.execute("select rowhooks.track('dcim.device')")
            db.execute("grant usage on schema dcim to rowhooks_daemon")
            db.execute("grant select, insert, update, delete on dcim.device to rowhooks_daemon")
            await live(db, make_conninfo(old.dsn(), user=DAEMON_LOGIN), "dcim.device")
            kept, attached = contents(db), attachments(db)
    with new:
        pass
    # Since version 18 initdb switches them on, and pg_upgrade wants both clusters alike.
    new.run("pg_checksums", "--disable", "--no-sync", "-D", str(new.data))
    both = [
        "--old-bindir", str(old.binaries), "--new-bindir", str(new.binaries), "--old-datadir", str(old.data),
        "--new-datadir", str(new.data), "--username", "postgres", "--socketdir", str(new.directory), "--no-sync",
    ]  # fmt: skip
    new.run("pg_upgrade", "--check", *both)
    new.run("pg_upgrade", *both)
    with new:
        with psycopg.connect(new.dsn(), autocommit=True) as db:
            assert contents(db) == kept
            assert attachments(db) == attached
        await go_on(new.dsn())
