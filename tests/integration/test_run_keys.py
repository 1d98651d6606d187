"""Idempotency keys: no two runs of any history of a database have the same, and one run has the same for ever."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.demo.embedded import EmbeddedPostgres
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.target import Target
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.databases import place_of_servers
from tests.support.dumps import dump, restore
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Keyed(JobHookReceiver):
    """Returns the key that it was given."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> str:
        return self.job_result.key


class KeyedButton(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> str:
        return self.job_result.key


class Hanging(JobHookReceiver):
    """Notes its key, and goes on for as long as the test wants."""

    keys: ClassVar[list[str]] = []
    end: ClassVar[asyncio.Event]

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.keys.append(self.job_result.key)
        await self.end.wait()


@pytest.fixture(autouse=True)
async def hanging() -> AsyncIterator[None]:
    Hanging.keys.clear()
    Hanging.end = asyncio.Event()
    yield
    Hanging.end.set()


async def given(dsn: str, number: int) -> dict[str, str]:
    """Run a daemon, write a row and press a button on it; return the keys that the runs of either were given."""
    with psycopg.connect(dsn, autocommit=True) as db:
        async with running_daemon(make_conninfo(dsn, user=DAEMON_LOGIN), Keyed, KeyedButton):
            db.execute("insert into dcim.device values (%s, 'sw', 'SN')", (number,))
            db.execute("select rowhooks.press('KeyedButton', 'dcim.device', %s::text)", (number,))
            await settled(db)
        found = db.execute(
            "select r.trigger, r.result #>> '{}', r.key, r.object_change_id from rowhooks.results as r"
            " where r.object_id ->> 'id' = %s",
            (str(number),),
        ).fetchall()
    assert all(result == key for _, result, key, _ in found)
    assert sorted(trigger for trigger, *_ in found) == ["change", "press"]
    return {trigger: key for trigger, _, key, _ in found} | {"id": str(max(row[3] or 0 for row in found))}


def prepared(db: Connection, device: str) -> None:
    add_hook(db, Keyed, device)
    add_button(db, KeyedButton, device, roles=["public"])


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for a server; short, and open to the user that it runs as."""
    path = Path(tempfile.mkdtemp(prefix="rowhooks-pg-", dir=place_of_servers()))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def copied(source: Path, target: Path) -> None:
    """Copy a data directory, with whose it is."""
    subprocess.run(["cp", "-a", source, target], check=True)


async def test_a_cold_copy_that_is_put_back_hands_out_no_key_again(home: Path) -> None:
    server = EmbeddedPostgres(home)
    with server:
        install(Target(server.dsn()), Roles())
        with psycopg.connect(server.dsn(), autocommit=True) as db:
            db.execute(sql.SQL("create role {} login in role rowhooks_daemon").format(sql.Identifier(DAEMON_LOGIN)))
            db.execute("create schema dcim")
            db.execute("create table dcim.device (id integer primary key, name text not null, serial text)")
            db.execute("select rowhooks.track('dcim.device')")
            db.execute("grant usage on schema dcim to rowhooks_daemon")
            db.execute("grant select, insert, update, delete on dcim.device to rowhooks_daemon")
            prepared(db, "dcim.device")
    copied(server.data, home / "copy")
    with server:
        first = await given(server.dsn(), 1)
    shutil.rmtree(server.data)
    copied(home / "copy", server.data)
    with server:
        again = await given(server.dsn(), 1)
    # The ids begin again where the copy was made.
    assert first["id"] == again["id"]
    assert not {first["change"], first["press"]} & {again["change"], again["press"]}


async def test_a_database_made_from_a_template_hands_out_none_of_its_keys(
    db: Connection, dsn: str, device: str, elsewhere: str
) -> None:
    prepared(db, device)
    # A database of which no connection is open, as CREATE DATABASE wants it.
    restore(dump(dsn), elsewhere)
    await given(elsewhere, 3)
    # Not dealt with, and pressed and not begun, when it is copied.
    with psycopg.connect(elsewhere, autocommit=True) as original:
        original.execute("insert into dcim.device values (1, 'sw', 'SN')")
        original.execute("select rowhooks.press('KeyedButton', 'dcim.device', '1')")
    name = str(conninfo_to_dict(elsewhere)["dbname"])
    db.execute(sql.SQL("create database {} template {}").format(sql.Identifier(f"{name}_copy"), sql.Identifier(name)))
    both = (elsewhere, make_conninfo(elsewhere, dbname=f"{name}_copy"))
    keys = [await given(one, 2) for one in both]
    assert keys[0]["id"] == keys[1]["id"]
    of_both = []
    for one in both:
        with psycopg.connect(one) as conn:
            of_both.append(
                {key for (key,) in conn.execute("select key from rowhooks.results where object_id ->> 'id' <> '3'")}
            )
    assert [len(found) for found in of_both] == [4, 4]
    assert not of_both[0] & of_both[1]


async def test_a_restored_dump_keeps_the_keys_of_what_had_begun_and_hands_out_others(
    db: Connection, dsn: str, daemon_dsn: str, device: str, elsewhere: str
) -> None:
    prepared(db, device)
    add_hook(db, Hanging, device, name="Hanging")
    async with running_daemon(daemon_dsn, Hanging):
        db.execute("insert into dcim.device values (1, 'sw', 'SN')")
        await eventually(lambda: db.execute("select 1 from rowhooks.job_result where status = 'STARTED'").fetchone())
        script = dump(dsn)
        Hanging.end.set()
        await eventually(lambda: db.execute("select 1 from rowhooks.job_result where status = 'SUCCESS'").fetchone())
    restore(script, elsewhere)
    Hanging.end.set()
    with psycopg.connect(elsewhere, autocommit=True) as restored:
        async with running_daemon(make_conninfo(elsewhere, user=DAEMON_LOGIN), Hanging, Keyed):
            await settled(restored)
    assert Hanging.keys[0] == Hanging.keys[1]
    assert len(Hanging.keys) == 2


async def test_a_run_has_one_key_over_its_attempts_a_new_leader_and_a_retry(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Hanging, device)
    db.execute("insert into dcim.device values (1, 'sw', 'SN')")
    # One that was not on record when its leader went, and one that was.
    for is_started in (False, True):
        async with running_daemon(daemon_dsn, Hanging, grace_period=0):
            await eventually(lambda: Hanging.keys)
            if is_started:
                await eventually(
                    lambda: db.execute("select 1 from rowhooks.job_result where status = 'STARTED'").fetchone()
                )
    Hanging.end.set()
    async with running_daemon(daemon_dsn, Hanging):
        await settled(db)
        db.execute("select rowhooks.retry(id) from rowhooks.job_result")
        await settled(db)
    assert len(Hanging.keys) == 4
    shown = db.execute("select distinct key from rowhooks.results").fetchall()
    assert {(key,) for key in Hanging.keys} == set(shown)
    uuid.UUID(shown[0][0])


@pytest.fixture
def elsewhere(db: Connection, dsn: str) -> Iterator[str]:
    """An empty database of the same cluster."""
    name = f"elsewhere_{uuid.uuid4().hex[:12]}"
    db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield make_conninfo(dsn, dbname=name)
    with psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True) as admin:
        for one in (name, f"{name}_copy"):
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(one)))
