"""Foreign tables: what is written through them is recorded, by postgres_fdw to the same server."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.log import clear, log
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]


@pytest.fixture
def far(db: Connection, dsn: str) -> str:
    """A foreign table `public.far` that reads and writes `there.item`; tracked by its column id."""
    if db.execute("select from pg_available_extensions where name = 'postgres_fdw'").fetchone() is None:
        pytest.skip("this server does not ship the extension postgres_fdw")
    info = db.info
    db.execute("create extension postgres_fdw")
    db.execute(
        sql.SQL("create server here foreign data wrapper postgres_fdw options (host {}, port {}, dbname {})").format(
            sql.Literal(info.host), sql.Literal(str(info.port)), sql.Literal(info.dbname)
        )
    )
    db.execute(
        sql.SQL("create user mapping for public server here options (user {}, password_required 'false')").format(
            sql.Literal(info.user)
        )
    )
    db.execute("create schema there")
    db.execute("create table there.item (id integer primary key, name text, price numeric)")
    db.execute(
        "create foreign table public.far (id integer not null, name text, price numeric)"
        " server here options (schema_name 'there', table_name 'item')"
    )
    db.execute("select rowhooks.track('public.far', identity => '{id}')")
    return "public.far"


def row(id_: int, name: str, price: int) -> dict[str, Any]:
    return {"id": id_, "name": name, "price": price}


def test_rows_written_through_a_foreign_table_are_recorded(db: Connection, far: str) -> None:
    db.execute("insert into public.far values (1, 'bolt', 1), (2, 'nut', 2)")
    db.execute("update public.far set price = 3 where id = 1")
    db.execute("update public.far set id = 5 where id = 1")
    db.execute("delete from public.far where id = 2")
    assert db.execute("select * from there.item").fetchall() == [(5, "bolt", 3)]
    assert log(db) == [
        ("create", {"id": 1}, None, row(1, "bolt", 1)),
        ("create", {"id": 2}, None, row(2, "nut", 2)),
        ("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt", 3)),
        ("update", {"id": 5}, row(1, "bolt", 3), row(5, "bolt", 3)),
        ("delete", {"id": 2}, row(2, "nut", 2), None),
    ]


def test_copy_into_a_foreign_table_is_recorded(db: Connection, far: str) -> None:
    with db.cursor().copy("copy public.far from stdin") as copy:
        copy.write("1\tbolt\t1\n2\tnut\t2\n")
    assert log(db) == [("create", {"id": 1}, None, row(1, "bolt", 1)), ("create", {"id": 2}, None, row(2, "nut", 2))]


def test_on_conflict_do_nothing_records_only_the_row_it_wrote(db: Connection, far: str) -> None:
    db.execute("insert into public.far values (1, 'bolt', 1)")
    clear(db)
    db.execute("insert into public.far values (1, 'x', 1), (2, 'nut', 2) on conflict do nothing")
    assert log(db) == [("create", {"id": 2}, None, row(2, "nut", 2))]


def test_an_update_that_changes_nothing_records_nothing(db: Connection, far: str) -> None:
    db.execute("insert into public.far values (1, 'bolt', 1)")
    clear(db)
    db.execute("update public.far set price = 1")
    assert log(db) == []


def test_what_the_remote_server_makes_of_a_row_is_what_is_recorded(db: Connection, far: str) -> None:
    db.execute(
        "create function there.upper_name() returns trigger language plpgsql as"
        " 'begin new.name := upper(new.name); return new; end'"
    )
    db.execute("create trigger u before insert on there.item for each row execute function there.upper_name()")
    db.execute("insert into public.far values (1, 'bolt', 1)")
    assert log(db) == [("create", {"id": 1}, None, row(1, "BOLT", 1))]


def test_a_truncate_is_recorded_where_postgresql_has_the_trigger(db: Connection, far: str) -> None:
    if db.info.server_version < 160000:
        pytest.skip("PostgreSQL knows TRUNCATE triggers on foreign tables since version 16")
    db.execute("truncate public.far")
    assert log(db) == [("truncate", None, None, None)]


def test_a_write_that_the_remote_server_refuses_records_nothing(db: Connection, far: str) -> None:
    db.execute("insert into public.far values (1, 'bolt', 1)")
    clear(db)
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("insert into public.far values (2, 'nut', 2), (1, 'twice', 1)")
    assert log(db) == []


def test_a_rolled_back_write_records_nothing(db: Connection, far: str) -> None:
    with db.transaction(force_rollback=True):
        db.execute("insert into public.far values (1, 'bolt', 1)")
    assert log(db) == []
    assert db.execute("select count(*) from there.item").fetchone() == (0,)


def test_a_write_that_goes_round_the_foreign_table_is_recorded_by_the_table_behind_it(db: Connection, far: str) -> None:
    db.execute("select rowhooks.track('there.item')")
    db.execute("insert into there.item values (1, 'bolt', 1)")
    db.execute("insert into public.far values (2, 'nut', 2)")
    recorded = db.execute("select object_type, object_id -> 'id' from rowhooks.changes").fetchall()
    assert sorted(recorded) == [("public.far", 2), ("there.item", 1), ("there.item", 2)]


def test_a_role_without_rights_on_rowhooks_writes_the_foreign_table_as_before(
    db: Connection, far: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    stranger = make_role("stranger")
    db.execute(f"grant select, insert, update, delete on public.far to {stranger}")
    connect_as(stranger).execute("insert into public.far values (1, 'bolt', 1)")
    assert log(db, "action, db_user") == [("create", stranger)]


def test_a_foreign_table_may_be_tracked_without_a_key(db: Connection, far: str) -> None:
    db.execute("select rowhooks.track('public.far', identity => '{}')")
    db.execute("insert into public.far values (1, 'bolt', 1)")
    assert log(db) == [("create", None, None, row(1, "bolt", 1))]


def test_a_foreign_partition_is_captured(db: Connection, far: str) -> None:
    db.execute("create table public.event (id integer, name text, price numeric) partition by list (name)")
    db.execute("create table public.near partition of public.event for values in ('near')")
    db.execute(
        "create foreign table public.away partition of public.event for values in ('away')"
        " server here options (schema_name 'there', table_name 'item')"
    )
    db.execute("select rowhooks.track('public.event', identity => '{}')")
    db.execute("insert into public.event values (1, 'near', 1), (2, 'away', 2)")
    db.execute("update public.event set price = 3")
    recorded = log(db, "action, prechange, postchange")
    assert sorted(recorded, key=lambda change: (change[0], change[2]["id"])) == [
        ("create", None, row(1, "near", 1)),
        ("create", None, row(2, "away", 2)),
        ("update", row(1, "near", 1), row(1, "near", 3)),
        ("update", row(2, "away", 2), row(2, "away", 3)),
    ]


def test_untracking_a_foreign_table_frees_it(db: Connection, far: str) -> None:
    db.execute("select rowhooks.untrack('public.far')")
    db.execute("insert into public.far values (1, 'bolt', 1)")
    assert log(db) == []
