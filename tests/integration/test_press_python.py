"""Pressing a button from Python, on every kind of connection, in the caller's own transaction."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import inspect
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import asyncpg
import psycopg
import psycopg2.extras
import pytest
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import rowhooks
from rowhooks.postgres.connections.target import Target

Connection = psycopg.Connection[Any]


def add_button(db: Connection, table: str) -> None:
    db.execute(
        "with job as (insert into rowhooks.job (class_path, kind, name, enabled)"
        " values ('jobs.Reboot', 'button', 'Reboot', true) returning id),"
        " made as (insert into rowhooks.job_button (name, job_id, text)"
        " select 'Reboot', j.id, 'Go' from job as j returning id)"
        " insert into rowhooks.job_button_table select m.id, t.id from made as m cross join rowhooks.tracked_table as t"
        " where t.relation = %s::regclass",
        (table,),
    )


@pytest.fixture(autouse=True)
def button(db: Connection, device: str) -> None:
    """`Reboot` on dcim.device, which has the row 42."""
    db.execute("insert into dcim.device values (42, 'core-1')")
    add_button(db, device)


@pytest.fixture
def engine(dsn: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    yield engine
    engine.dispose()


@pytest.fixture
async def async_engine(dsn: str) -> AsyncIterator[Any]:
    engine = create_async_engine("postgresql+psycopg://", async_creator=lambda: psycopg.AsyncConnection.connect(dsn))
    yield engine
    await engine.dispose()


@pytest.fixture
async def asyncpg_engine(dsn: str) -> AsyncIterator[Any]:
    async def connect() -> Any:
        return await asyncpg.connect(**Target(dsn).asyncpg_attempts()[0])

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    yield engine
    await engine.dispose()


def presses(db: Connection, columns: str = "id") -> list[Any]:
    found = db.execute(f"select {columns} from rowhooks.job_result order by id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def press(connection: Any) -> Any:
    return rowhooks.press(connection, "Reboot", "dcim.device", 42)


# Each kind of connection: pressed in its transaction, which is left open


def test_psycopg(db: Connection, dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        result = press(conn)
        assert presses(db) == []
        conn.commit()
    assert presses(db, "id, object_id, db_user") == [(result, {"id": 42}, conninfo_to_dict(dsn)["user"])]


def test_psycopg_with_rows_and_placeholders_of_its_own(db: Connection, dsn: str) -> None:
    with psycopg.connect(dsn, row_factory=dict_row, cursor_factory=psycopg.RawCursor) as conn:
        result = press(conn)
    assert presses(db) == [result]


def test_psycopg_rolled_back(db: Connection, dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        press(conn)
        conn.rollback()
    assert presses(db) == []


async def test_psycopg_asynchronous(db: Connection, dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        result = await press(conn)
        assert presses(db) == []
        await conn.commit()
    assert presses(db) == [result]


def test_a_cursor_of_psycopg(db: Connection, dsn: str) -> None:
    with psycopg.connect(dsn) as conn, conn.cursor() as cursor:
        result = press(cursor)
        assert presses(db) == []
    conn.close()
    assert presses(db) == [result]


@pytest.mark.parametrize("kind", [None, psycopg2.extras.RealDictCursor, psycopg2.extras.DictCursor])
def test_psycopg2(db: Connection, dsn: str, kind: Any) -> None:
    conn = psycopg2.connect(dsn, cursor_factory=kind)
    result = press(conn)
    assert presses(db) == []
    conn.commit()
    assert presses(db) == [result]
    with conn.cursor() as cursor:
        assert rowhooks.press(cursor, "Reboot", "dcim.device", {"id": 42}) > result
    conn.rollback()
    with pytest.raises(psycopg2.DatabaseError, match="is no key of"):
        rowhooks.press(conn, "Reboot", "dcim.device", "%s")
    conn.close()
    assert presses(db) == [result]


def test_a_sqlalchemy_connection(db: Connection, engine: sqlalchemy.Engine) -> None:
    with engine.connect() as conn:
        result = press(conn)
        assert presses(db) == []
        conn.commit()
    assert presses(db) == [result]


def test_a_sqlalchemy_session(db: Connection, engine: sqlalchemy.Engine) -> None:
    with Session(engine) as session:
        result = press(session)
        assert presses(db) == []
        session.commit()
    assert presses(db) == [result]


def test_a_scoped_sqlalchemy_session(db: Connection, engine: sqlalchemy.Engine) -> None:
    session = scoped_session(sessionmaker(engine))
    result = press(session)
    session.commit()
    session.remove()
    assert presses(db) == [result]


async def test_an_asynchronous_sqlalchemy_connection(db: Connection, async_engine: Any) -> None:
    async with async_engine.connect() as conn:
        result = await press(conn)
        assert presses(db) == []
        await conn.commit()
    assert presses(db) == [result]


async def test_an_asynchronous_sqlalchemy_session(db: Connection, async_engine: Any) -> None:
    async with AsyncSession(async_engine) as session:
        result = await press(session)
        assert presses(db) == []
        await session.commit()
    assert presses(db) == [result]


async def test_a_scoped_asynchronous_sqlalchemy_session(db: Connection, async_engine: Any) -> None:
    session = async_scoped_session(async_sessionmaker(async_engine), scopefunc=lambda: 1)
    result = await press(session)
    await session.commit()
    await session.remove()
    assert presses(db) == [result]


async def test_sqlalchemy_over_asyncpg(db: Connection, asyncpg_engine: Any) -> None:
    async with AsyncSession(asyncpg_engine) as session:
        result = await press(session)
        await session.commit()
    assert presses(db) == [result]


async def test_asyncpg(db: Connection, dsn: str) -> None:
    conn = await asyncpg.connect(**Target(dsn).asyncpg_attempts()[0])
    async with conn.transaction():
        result = await press(conn)
        assert presses(db) == []
    assert presses(db) == [result]
    await conn.close()


async def test_asyncpg_from_a_pool(db: Connection, dsn: str) -> None:
    arguments = Target(dsn).asyncpg_attempts()[0]
    async with asyncpg.create_pool(min_size=1, max_size=1, **arguments) as pool, pool.acquire() as conn:
        result = await press(conn)
    assert presses(db) == [result]


@pytest.mark.parametrize("connection", [None, "postgresql://db/inventory", object()])
def test_what_is_no_connection_is_named(connection: object) -> None:
    with pytest.raises(TypeError, match=r"a button cannot be pressed on a builtins\.\w+; give a connection of"):
        press(connection)


def test_nothing_is_asked_before_it_is_awaited(dsn: str, db: Connection) -> None:
    async def forgotten() -> None:
        async with await psycopg.AsyncConnection.connect(dsn) as conn:
            answer = press(conn)
            assert inspect.isawaitable(answer)
            answer.close()  # type: ignore[attr-defined]

    asyncio.run(forgotten())
    assert presses(db) == []


# Keys and idempotency


UUID = uuid.uuid4()


@pytest.mark.parametrize(
    ("type_", "key"),
    [
        ("integer", 7), ("text", '{"id": 1}'), ("uuid", UUID),
        ("numeric", decimal.Decimal("1.50")), ("bytea", b"\0\xff"),
        ("timestamptz", datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)),
        ("date", datetime.date(2026, 1, 2)), ("boolean", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_mapping", [False, True])
def test_a_key_is_given_as_python_has_it(db: Connection, type_: str, key: Any, as_mapping: bool) -> None:
    db.execute(f"create table dcim.thing (id {type_} primary key)")
    db.execute("insert into dcim.thing values (%s)", (key,))
    db.execute("select rowhooks.track('dcim.thing'); delete from rowhooks.job")
    add_button(db, "dcim.thing")
    given = MappingProxyType({"id": key}) if as_mapping else key
    assert presses(db) == []
    result = rowhooks.press(db, "Reboot", "dcim.thing", given)
    assert presses(db) == [result]


@pytest.mark.parametrize("key", [{"a": 1, "b": "x"}, {"b": "x", "a": "1"}, '{"a": 1, "b": "x"}'])
def test_a_composite_key_is_a_mapping(db: Connection, key: Mapping[str, Any] | str) -> None:
    db.execute("create table dcim.pair (a integer, b text, primary key (a, b)); insert into dcim.pair values (1, 'x')")
    db.execute("select rowhooks.track('dcim.pair'); delete from rowhooks.job")
    add_button(db, "dcim.pair")
    rowhooks.press(db, "Reboot", "dcim.pair", key)
    assert presses(db, "object_id") == [{"a": 1, "b": "x"}]


def test_no_key_is_refused(db: Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no row was named"):
        rowhooks.press(db, "Reboot", "dcim.device", None)


def test_two_presses_with_one_idempotency_key_are_one(db: Connection) -> None:
    first = rowhooks.press(db, "Reboot", "dcim.device", 42, idempotency_key="k")
    assert rowhooks.press(db, "Reboot", "dcim.device", 42, idempotency_key="k") == first
    assert presses(db) == [first]


def test_what_the_database_refuses_is_the_drivers_error(db: Connection, engine: sqlalchemy.Engine) -> None:
    with pytest.raises(psycopg.errors.NoDataFound):
        rowhooks.press(db, "Reboot", "dcim.device", 43)
    with Session(engine) as session, pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
        rowhooks.press(session, "Reboot", "dcim.device", 43)
    assert isinstance(caught.value.orig, psycopg.errors.NoDataFound)


HEAVY = ("alembic", "asyncio", "asyncpg", "jinja2", "psycopg", "psycopg2", "pydantic", "regex", "sqlalchemy", "typer")


@pytest.mark.parametrize(
    ("modules", "loads"),
    [
        ("rowhooks; rowhooks.press", []),
        ("rowhooks.postgres.pressing", []),
        ("rowhooks.integrations.attribution, rowhooks.integrations.marking, rowhooks.integrations.starlette", []),
        ("rowhooks.integrations.django, rowhooks.postgres.connections.drivers", []),
        ("rowhooks.integrations.sqlalchemy", ["asyncio", "sqlalchemy"]),
        ("rowhooks.integrations.alembic", ["alembic", "asyncio", "sqlalchemy"]),
        ("rowhooks.integrations.django_migrations", ["asyncio"]),
        ("rowhooks; [getattr(rowhooks, name) for name in rowhooks.__all__]", ["asyncio", "regex"]),
    ],
)
def test_importing_rowhooks_loads_no_driver(modules: str, loads: list[str]) -> None:
    program = f"import {modules}\nimport sys; print([one for one in {HEAVY} if one in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == f"{loads}\n"
