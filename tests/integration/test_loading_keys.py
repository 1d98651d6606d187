"""Loading rows by their keys runs no code of those who own the key's type, or the table's name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import DatabaseError
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.loading import PostgresObjects
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class Loads(JobHookReceiver):
    """Remembers the rows."""

    seen: ClassVar[list[Any]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(changed_object and changed_object.name)


@pytest.fixture
def spy(db: Connection) -> None:
    """A function that notes, where no rollback reaches, that the daemon's login has called it."""
    Loads.seen.clear()
    db.execute("create schema al")
    db.execute("create sequence al.sprung")
    db.execute(
        "create function al.spy(value text) returns boolean language plpgsql security definer"
        " set search_path = al as $$"
        f" begin if session_user = '{DAEMON_LOGIN}' then perform nextval('al.sprung'); end if; return true; end $$"
    )
    db.execute("grant usage on schema al to public")
    # Types that are a superuser's are trusted.
    if not db.execute("select 1 from pg_roles where rolname = 'rowhooks_test_al'").fetchone():
        db.execute("create role rowhooks_test_al")
    db.execute("grant usage, create on schema al to rowhooks_test_al")


def sprung(conn: Connection) -> bool:
    return conn.execute("select is_called from al.sprung").fetchone() == (True,)


SPIED = "create domain al.k as text check (al.spy(value))"


@pytest.mark.parametrize(
    ("statements", "type_", "value"),
    [
        ([SPIED], "al.k", "a"),
        (["create domain al.d as varchar(3) check (al.spy(value))", "create domain al.k as al.d"], "al.k", "abc"),
        ([SPIED], "al.k[]", '{a,"b c"}'),
        ([SPIED, "create type al.pair as (a al.k, b integer)"], "al.pair", "(a,1)"),
        ([SPIED, "create type al.pair as (a al.k, b integer)"], "al.pair[]", '{"(a,1)"}'),
        ([SPIED, "create type al.between as range (subtype = al.k)"], "al.between", "[a,c)"),
        (
            [
                "create type al.state as enum ('up', 'down')",
                "create function al.read(given text) returns al.state language plpgsql as $$ begin"
                " perform al.spy(given); return case given when 'up' then al.up() else al.down() end; end $$",
                "create function al.up() returns al.state language sql as $$ select 'up'::al.state $$",
                "create function al.down() returns al.state language sql as $$ select 'down'::al.state $$",
                "create cast (text as al.state) with function al.read(text)",
                "create domain al.k as al.state check (al.spy(value::text))",
            ],
            "al.k",
            "down",
        ),
    ],
)
async def test_no_check_of_a_domain_runs_as_the_daemons_login(
    db: Connection, daemon_dsn: str, spy: None, statements: list[str], type_: str, value: str
) -> None:
    db.execute("set role rowhooks_test_al")
    for statement in statements:
        db.execute(statement)
    db.execute(f"create table al.t (id {type_} primary key, name text)")
    db.execute("reset role")
    db.execute("select rowhooks.track('al.t')")
    db.execute("grant select on al.t to rowhooks_daemon")
    add_hook(db, Loads, "al.t")
    async with running_daemon(daemon_dsn, Loads):
        db.execute(f"insert into al.t values (%s::{type_}, 'sw')", (value,))
        await settled(db)
    assert Loads.seen == ["sw"], db.execute("select exception_message from rowhooks.job_result").fetchall()
    assert not sprung(db)


def described(conn: Connection) -> TrackedTable:
    row = conn.execute(LOAD).fetchone()
    assert row is not None
    (table,) = read_configuration(row[0]).tables.values()
    return table


@pytest.fixture
async def objects(daemon_dsn: str) -> AsyncIterator[PostgresObjects]:
    objects = PostgresObjects(Target(daemon_dsn), PostgresPermissions())
    yield objects
    await objects.close()


@pytest.fixture
def swapped(db: Connection, spy: None) -> TrackedTable:
    """A table as it was described before a view took its name."""
    known = "select 1 from pg_settings where name = 'restrict_nonsystem_relation_kind'"
    if not db.execute(known).fetchone():
        pytest.skip("this server cannot refuse views")
    db.execute("create table al.t (id integer primary key, name text)")
    db.execute("insert into al.t values (1, 'sw')")
    db.execute("select rowhooks.track('al.t')")
    table = described(db)
    db.execute("alter table al.t rename to u")
    db.execute("create view al.t as select u.id, u.name from al.u where al.spy(u.name)")
    db.execute("grant select on al.t, al.u to rowhooks_daemon")
    return table


async def test_a_view_that_has_taken_a_tables_name_is_not_read(
    db: Connection, objects: PostgresObjects, swapped: TrackedTable
) -> None:
    # The table is found by the name that it has now.
    found = await objects.load(swapped, ['{"id": 1}'])
    assert found['{"id": 1}'].name == "sw"
    assert not sprung(db)


async def test_nor_where_there_is_no_other_and_the_row_is_not_taken_for_gone(
    db: Connection, objects: PostgresObjects, swapped: TrackedTable
) -> None:
    db.execute("select rowhooks.untrack('al.u')")
    with pytest.raises(DatabaseError, match=r"rows of al\.t are not loaded: something else has the table's name"):
        await objects.load(swapped, ['{"id": 1}'])
    assert not sprung(db)
