"""How many queries the shapes of tables and the relations of rows take: the numbers do not grow with either."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy

from rowhooks.domain import tables as tables_module
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.tables import make_table_type
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.loading import PostgresObjects

Connection = psycopg.Connection[Any]

ROWS = 1000


def tracked(db: Connection) -> dict[int, TrackedTable]:
    row = db.execute(LOAD).fetchone()
    assert row is not None
    return read_configuration(row[0]).tables


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """Note the queries of all engines, without the settings of connections."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", note)


async def test_rows_loaded_ahead_take_one_query_for_the_table_and_each_relation(
    db: Connection, daemon_dsn: str, net: str
) -> None:
    db.execute("insert into net.location (name) select 'place ' || n from generate_series(1, %s) as n", (ROWS,))
    db.execute(
        "insert into net.device (id, name, location_id)"
        " select 100 + n, 'sw' || n, l.id"
        " from generate_series(1, %s) as n join net.location as l on l.name = 'place ' || n",
        (ROWS,),
    )
    db.execute(
        "insert into net.interface (device_id, name)"
        " select d.id, 'eth' || n from net.device as d cross join generate_series(0, 1) as n where d.id > 100"
    )
    (table,) = tracked(db).values()
    objects = PostgresObjects(Target(daemon_dsn), PermissionBackend())
    keys = [f'{{"id": {100 + n}}}' for n in range(1, ROWS + 1)]
    ahead = dict.fromkeys(("location_", "location_.parent", "interface_set"), keys)
    try:
        await objects.load(table, keys[:1], dict.fromkeys(ahead, keys[:1]))
        with counted() as statements:
            found = await objects.load(table, keys, ahead)
    finally:
        await objects.close()
    assert len(statements) == 4
    rows = list(found.values())
    assert [row.location_.name for row in rows] == [f"place {n}" for n in range(1, ROWS + 1)]
    assert {row.location_.parent for row in rows} == {None}
    assert [[one.name for one in row.interface_set] for row in rows] == [["eth0", "eth1"]] * ROWS


@pytest.mark.parametrize("number", [5, 500])
async def test_five_hundred_tables_are_known_by_as_many_queries_as_five(
    db: Connection, daemon_dsn: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(tables_module, "_named", {})
    # They would follow each of the tables.
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("create schema many")
    db.execute(
        f"do $$ begin for n in 1..{number} loop execute format("
        "'create table many.t%s (id integer primary key, name text, before_id integer references many.t%s)',"
        " n, greatest(n - 1, 1)); end loop; end $$"
    )
    names = [f"many.t{n}" for n in range(1, number + 1)]
    for name in names:
        make_table_type(name, name)
    db.execute("select rowhooks.track('many.t1')")
    tables = tracked(db)
    objects = PostgresObjects(Target(daemon_dsn), PermissionBackend())
    try:
        with counted() as statements:
            await objects.follower.learn(tables, set(tables))
        known = objects.follower.tables.classes
        assert {shape.name for shape in known.shapes.values()} == set(names)
        # One each: names, foreign keys, columns, how these are compared, tables.
        assert len(statements) == 5
    finally:
        await objects.close()


async def test_tables_that_nobody_uses_are_not_read(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute("create table net.other (id integer primary key)")
    db.execute("select rowhooks.track('net.other')")
    tables = tracked(db)
    used = {table.id for table in tables.values() if table.name == "net.device"}
    objects = PostgresObjects(Target(daemon_dsn), PermissionBackend())
    try:
        await objects.follower.learn(tables, used)
        names = {shape.name for shape in objects.follower.tables.classes.shapes.values()}
    finally:
        await objects.close()
    # What it refers to is known too: its relations lead there.
    assert {"net.device", "net.location", "net.rack"} <= names
    assert "net.other" not in names
