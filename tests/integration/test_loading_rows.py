"""Loading rows: what one row, or a table's row security, costs, and whose code runs for it."""

from __future__ import annotations

from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.rowobjects import load_objects, reflect
from tests.conftest import DAEMON_LOGIN, add_hook, running_daemon, settled

Connection = psycopg.Connection[Any]


class Loads(JobHookReceiver):
    """Remembers the rows."""

    seen: ClassVar[list[Any]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(None if changed_object is None else changed_object.id)


class Saves(JobHookReceiver):
    """Saves and refreshes a row that it may read and row security keeps from being written."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        if change.object_repr == "refresh":
            self.session.execute(sqlalchemy.text("update note set owner = 'other'"))
            changed_object.refresh_from_db()
        changed_object.name = "saved"
        changed_object.save()


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Loads.seen.clear()


@pytest.fixture
def note(db: Connection) -> str:
    """A tracked table with a policy that binds the daemon's login, and whose code can be seen to run."""
    db.execute("create table note (id integer primary key, name text, owner text default current_user)")
    db.execute("create table spied (login name)")
    db.execute("select rowhooks.track('note')")
    db.execute("grant select, insert, update, delete on note to rowhooks_daemon")
    db.execute(
        "create function spy(owner text) returns boolean language plpgsql security definer set search_path = public"
        " as $$ begin insert into spied values (session_user); return owner <> 'hidden'; end $$"
    )
    db.execute("alter table note enable row level security")
    db.execute("create policy seen_by_owner on note using (spy(owner))")
    db.execute("create policy not_for_us on note to pg_monitor using (true)")
    return "note"


def outcomes(conn: Connection) -> list[Any]:
    return conn.execute(
        "select object_id ->> 'id', status, exception_message from rowhooks.job_result order by id"
    ).fetchall()


async def test_a_row_that_python_cannot_hold_costs_its_own_run_alone(db: Connection, daemon_dsn: str) -> None:
    db.execute("create table doc (id integer primary key, body json)")
    db.execute("select rowhooks.track('doc')")
    db.execute("grant select on doc to rowhooks_daemon")
    add_hook(db, Loads, "doc")
    db.execute("insert into doc select n, '{}' from generate_series(1, 300) as n where n <> 77")
    db.execute("insert into doc values (77, (repeat('[', 5000) || repeat(']', 5000))::json)")
    async with running_daemon(daemon_dsn, Loads):
        await settled(db)
    assert sorted(Loads.seen) == [n for n in range(1, 301) if n != 77]
    (failure,) = [row for row in outcomes(db) if row[1] != "SUCCESS"]
    assert failure[:2] == ("77", "FAILURE")
    assert failure[2].startswith('loading row {"id": 77} of public.doc: ')
    assert "recursion" in failure[2]


async def test_the_policies_of_a_table_do_not_run_as_the_daemons_login(
    db: Connection, daemon_dsn: str, note: str
) -> None:
    add_hook(db, Loads, note)
    db.execute("insert into note values (1, 'tea')")
    async with running_daemon(daemon_dsn, Loads):
        await settled(db)
    assert db.execute("select * from spied").fetchall() == []
    assert Loads.seen == []
    ((_, status, message),) = outcomes(db)
    assert status == "FAILURE"
    assert message == (
        f"rows of public.note are not loaded: row security of public.note binds {DAEMON_LOGIN} (policies:"
        " seen_by_owner)"
        f' (let a superuser run: alter role "{DAEMON_LOGIN}" bypassrls; where the owner of the table is trusted,'
        " row_security = true in the settings lets the policies decide)"
    )


async def test_a_login_that_bypasses_row_security_loads_every_row(db: Connection, daemon_dsn: str, note: str) -> None:
    add_hook(db, Loads, note)
    db.execute("insert into note values (1, 'tea', 'hidden')")
    db.execute(f"alter role {DAEMON_LOGIN} bypassrls")
    try:
        async with running_daemon(daemon_dsn, Loads):
            await settled(db)
    finally:
        db.execute(f"alter role {DAEMON_LOGIN} nobypassrls")
    assert Loads.seen == [1]


async def test_a_row_that_a_policy_may_hide_is_not_taken_for_one_that_is_gone(
    db: Connection, daemon_dsn: str, note: str
) -> None:
    add_hook(db, Loads, note)
    db.execute("insert into note values (1, 'tea', 'seen'), (2, 'rum', 'hidden')")
    async with running_daemon(daemon_dsn, Loads, row_security=True):
        await settled(db)
    assert Loads.seen == [1]
    assert [status for _, status, _ in outcomes(db)] == ["SUCCESS", "FAILURE"]
    assert outcomes(db)[1][2].startswith(
        'row {"id": 2} of public.note is not found, which may be no more: row security of public.note binds'
        f" {DAEMON_LOGIN} (policies: seen_by_owner)"
    )


async def test_saving_and_refreshing_a_row_that_row_security_hides_names_the_policy(
    db: Connection, daemon_dsn: str, note: str
) -> None:
    add_hook(db, Saves, note, "create")
    db.execute("create policy not_written on note as restrictive for update using (name <> 'tea')")
    db.execute("drop policy seen_by_owner on note")
    db.execute("create policy seen on note using (owner <> 'other')")
    db.execute("create policy written on note for update with check (true)")
    db.execute("select set_config('rowhooks.user', '', false)")
    db.execute("insert into note values (1, 'tea')")
    db.execute("update rowhooks.tracked_table set repr_column = 'name'")
    async with running_daemon(daemon_dsn, Saves, row_security=True):
        await settled(db)
        db.execute("insert into note values (2, 'refresh')")
        await settled(db)
    for name, (_, _, message) in zip(["saved", "refresh"], outcomes(db), strict=True):
        assert message.startswith(
            f"<public.note {name}> is not found or may not be written: row security of public.note binds"
        )
        assert "not_written" in message


def test_a_key_is_compared_by_the_equality_of_its_own_index(db: Connection, dsn: str, device: str) -> None:
    db.execute("insert into dcim.device values (1, 'sw')")
    row = db.execute(LOAD).fetchone()
    assert row is not None
    (table,) = read_configuration(row[0]).tables.values()
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    with Session(engine) as session:
        cls = reflect(session.connection(), table)
        # Found first by what trusts the search_path.
        session.execute(sqlalchemy.text("create function never(integer, integer) returns boolean return false"))
        session.execute(
            sqlalchemy.text("create operator public.= (leftarg = integer, rightarg = integer, function = never)")
        )
        session.execute(sqlalchemy.text("set local search_path = public, pg_catalog"))
        assert [found.id for found in load_objects(session, cls, table, ['{"id": 1}']).values()] == [1]
    engine.dispose()


def test_doctor_names_the_tables_whose_policies_bind_the_daemons_login(db: Connection, note: str, device: str) -> None:
    found = [(one.level, one.what, one.way_out) for one in examine(db) if "row security" in one.what]
    assert found == [(
        "note",
        f"row security of {note} binds {DAEMON_LOGIN}: its rows are not loaded (policies: seen_by_owner)",
        f"alter role {DAEMON_LOGIN} bypassrls; or, where the owner of the table is trusted: row_security = true",
    )]  # fmt: skip
