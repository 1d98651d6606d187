"""Loading rows: what one row, or a table's row security, costs, and whose code runs for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.pipeline.scheduling import loads as loads_module
from rowhooks.pipeline.scheduling import scheduler as scheduler_module
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.results import revoke
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows import loading as objects_module
from rowhooks.postgres.rows.by_key import load_objects
from rowhooks.postgres.rows.loading import PostgresObjects
from rowhooks.postgres.rows.tables import Tables
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Loads(JobHookReceiver):
    """Remembers the rows."""

    seen: ClassVar[list[Any]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(None if changed_object is None else changed_object.id)


seen_documents: list[Any] = []


class Documents(JobHookReceiver):
    """Remembers the documents of a row, as loaded and as its session reads them."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        seen_documents.append((changed_object.config, changed_object.body, changed_object.many))
        seen_documents.append((await self.session.execute(READ)).one())


class PlainDocuments(JobHookReceiver):
    """The same, with a session of the other kind."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        seen_documents.append((changed_object.config, changed_object.body, changed_object.many))
        seen_documents.append(self.session.execute(READ).one())


READ = sqlalchemy.text("select config, body, many from doc")


def depth(document: Any) -> int:
    found = 0
    while isinstance(document, list):
        found, document = found + 1, document[0] if document else None
    return found


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
    seen_documents.clear()


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


async def test_a_row_that_cannot_be_loaded_costs_its_own_run_alone(
    db: Connection, daemon_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(session: Session, cls: Any, table: Any, keys: list[str]) -> Any:
        if '{"id": 77}' in keys:
            raise ValueError("no row for Python")
        return load_objects(session, cls, table, keys)

    monkeypatch.setattr(objects_module, "load_objects", load)
    db.execute("create table doc (id integer primary key)")
    db.execute("select rowhooks.track('doc')")
    db.execute("grant select on doc to rowhooks_daemon")
    add_hook(db, Loads, "doc")
    db.execute("insert into doc select n from generate_series(1, 300) as n")
    async with running_daemon(daemon_dsn, Loads):
        await settled(db)
    assert sorted(Loads.seen) == [n for n in range(1, 301) if n != 77]
    (failure,) = [row for row in outcomes(db) if row[1] != "SUCCESS"]
    assert failure == ("77", "FAILURE", 'loading row {"id": 77} of public.doc: no row for Python')


@pytest.mark.parametrize("receiver", [Documents, PlainDocuments])
async def test_documents_are_loaded_with_numbers_of_any_length_and_however_deep_they_are(
    db: Connection, daemon_dsn: str, receiver: type[Documents | PlainDocuments]
) -> None:
    db.execute("create table doc (id integer primary key, config jsonb, body json, many jsonb[])")
    db.execute("select rowhooks.track('doc')")
    db.execute("grant select on doc to rowhooks_daemon")
    add_hook(db, receiver, "doc")
    deep = "repeat('[', 3000) || repeat(']', 3000)"
    db.execute(f"insert into doc values (1, '[1e5000]', ({deep})::json, array['[1e5000]', ({deep}), '5']::jsonb[])")
    async with running_daemon(daemon_dsn, receiver):
        await settled(db)
    assert [row[:2] for row in outcomes(db)] == [("1", "SUCCESS")]
    number = Decimal(10) ** 5000
    for config, body, many in seen_documents:
        assert config == [number]
        assert many[0] == [number]
        assert [depth(body), depth(many[1])] == [3000, 3000]
    # As it was loaded, and as the receiver's own session reads it.
    assert len(seen_documents) == 2


async def test_tables_that_somebody_has_locked_hold_up_their_own_runs_alone(
    db: Connection, dsn: str, daemon_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    tables = [f"t{n}" for n in range(7)]
    for table in tables:
        db.execute(f"create table {table} (id integer primary key)")
        db.execute(f"select rowhooks.track('{table}')")
        db.execute(f"grant select on {table} to rowhooks_daemon")
        add_hook(db, Loads, table, name=table)
    with caplog.at_level("INFO", "rowhooks.pipeline.scheduling.loads"), psycopg.connect(dsn) as locker:
        for n, table in enumerate(tables):
            db.execute(f"insert into {table} values ({n})")
        locker.execute(f"lock table {', '.join(tables[:6])} in access exclusive mode")
        async with running_daemon(daemon_dsn, Loads):
            await eventually(lambda: Loads.seen == [6])
            # What comes later waits too, and is put on record meanwhile.
            await eventually(lambda: caplog.text.count("another session has locked the table") == 6)
            await eventually(lambda: sorted(status for _, status, _ in outcomes(db)) == ["PENDING"] * 6 + ["SUCCESS"])
            locker.rollback()
            await settled(db)
    assert sorted(Loads.seen) == [0, 1, 2, 3, 4, 5, 6]
    assert {status for _, status, _ in outcomes(db)} == {"SUCCESS"}
    lines = [record.getMessage() for record in caplog.records]
    for table in tables[:6]:
        assert [line for line in lines if f".{table}" in line] == [
            f"loading rows of public.{table}: another session has locked the table (see: rowhooks doctor); the runs of"
            f" public.{table} that need a row wait for it",
            f"rows of public.{table} can be loaded again: its runs go on",
        ]


async def test_a_run_that_waits_for_a_locked_table_can_be_revoked(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Loads, device)
    db.execute("insert into dcim.device values (1, 'sw'), (2, 'sw')")
    with psycopg.connect(dsn) as locker:
        locker.execute("lock table dcim.device in access exclusive mode")
        async with running_daemon(daemon_dsn, Loads):
            await eventually(lambda: len(outcomes(db)) == 2)
            with connection(Target(dsn)) as conn:
                revoke(conn, min(row[0] for row in conn.execute("select id from rowhooks.job_result")))
            locker.rollback()
            await settled(db)
    assert Loads.seen == [2]
    assert [status for _, status, _ in outcomes(db)] == ["REVOKED", "SUCCESS"]


async def test_of_a_table_whose_rows_are_large_few_are_loaded_at_once(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []
    load = PostgresObjects.load

    async def noted(self: PostgresObjects, table: Any, keys: Any, ahead: Any) -> Any:
        loads.append(len(keys))
        return await load(self, table, keys, ahead)

    monkeypatch.setattr(PostgresObjects, "load", noted)
    monkeypatch.setattr(loads_module, "PORTION", 100_000)
    # Where the machine is slow, no row is loaded again because it has waited.
    monkeypatch.setattr(scheduler_module, "FRESH", 3600)
    wide = "insert into dcim.device select n, 'sw', null, repeat('x', 10000)"
    db.execute("alter table dcim.device add column wide text")
    add_hook(db, Loads, device)
    async with running_daemon(daemon_dsn, Loads):
        db.execute("insert into dcim.device select n, 'sw', null, 'x' from generate_series(1, 1000) as n")
        await settled(db)
        # What is known to be small is loaded together, and few are loaded to know it.
        assert loads[0] <= loads_module.FIRST < max(loads)
        loads.clear()
        db.execute(f"{wide} from generate_series(2001, 2050) as n")
        await settled(db)
        loads.clear()
        db.execute(f"{wide} from generate_series(3001, 3500) as n")
        await settled(db)
    assert max(loads) <= 10
    assert len(Loads.seen) == 1550


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
        f" (let a superuser run: psql -c 'alter role \"{DAEMON_LOGIN}\" bypassrls'; where the owner of the table is"
        " trusted, row_security = true in the settings lets the policies decide)"
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
        rows = Tables().row_type(session.connection(), table)
        # Found first by what trusts the search_path.
        session.execute(sqlalchemy.text("create function never(integer, integer) returns boolean return false"))
        session.execute(
            sqlalchemy.text("create operator public.= (leftarg = integer, rightarg = integer, function = never)")
        )
        session.execute(sqlalchemy.text("set local search_path = public, pg_catalog"))
        assert [found.id for found in load_objects(session, rows, table, ['{"id": 1}']).values()] == [1]
    engine.dispose()


def test_doctor_names_the_tables_whose_policies_bind_the_daemons_login(db: Connection, note: str, device: str) -> None:
    found = [(one.level, one.what, one.way_out) for one in examine(db) if "row security" in one.what]
    assert found == [(
        "note",
        f"row security binds login {DAEMON_LOGIN}, no row is loaded: public.{note} (policies: seen_by_owner)",
        f"let a superuser run: psql -c 'alter role {DAEMON_LOGIN} bypassrls'; or, where the owner of the table is"
        " trusted: row_security = true in the settings",
    )]  # fmt: skip
