"""Who wrote, by SQLAlchemy: sessions and connections, synchronous and asynchronous, over each driver."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import asyncpg
import psycopg
import psycopg2
import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import rowhooks
from rowhooks.integrations.sqlalchemy import attribute, attributed
from rowhooks.postgres.connections.target import Target

Connection = psycopg.Connection[Any]


class Base(DeclarativeBase):
    pass


class Device(Base):
    __tablename__ = "device"
    __table_args__ = ({"schema": "dcim"},)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


INSERT = text("insert into dcim.device (id, name) values (1, 'x')")
UPSERT = text(
    "insert into dcim.device (id, name) values (1, :name) on conflict (id) do update set name = excluded.name"
)


@pytest.fixture(autouse=True)
def table(device: str) -> None:
    """`dcim.device`."""


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(request: pytest.FixtureRequest, dsn: str) -> Iterator[sqlalchemy.Engine]:
    connect: Any = psycopg.connect if request.param == "psycopg" else psycopg2.connect
    engine = sqlalchemy.create_engine(
        f"postgresql+{request.param}://", creator=lambda: connect(dsn), pool_size=1, max_overflow=0
    )
    attribute(engine)
    attribute(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["psycopg", "asyncpg"])
async def async_engine(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[AsyncEngine]:
    async def connect() -> Any:
        if request.param == "psycopg":
            return await psycopg.AsyncConnection.connect(dsn)
        return await asyncpg.connect(**Target(dsn).asyncpg_attempts()[0])

    engine = create_async_engine(f"postgresql+{request.param}://", async_creator=connect, pool_size=2, max_overflow=0)
    attribute(engine)
    yield engine
    await engine.dispose()


def said(db: Connection, columns: str = "user_name") -> list[Any]:
    found = db.execute(f"select {columns} from rowhooks.object_change order by id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def test_each_transaction_carries_its_author(db: Connection, engine: sqlalchemy.Engine) -> None:
    with attributed(user="alice", request_id="r1", context="import"), Session(engine) as session:
        session.add_all([Device(id=n, name="x") for n in (1, 2)])
        session.commit()
        with attributed(user="bob"):
            session.execute(text("update dcim.device set name = 'y' where id = 1"))
            session.commit()
    with Session(engine) as session:
        session.add(Device(id=3, name="x"))
        session.commit()
    assert said(db, "user_name, request_id, change_context") == [
        ("alice", "r1", "import"),
        ("alice", "r1", "import"),
        ("bob", "r1", "import"),
        (None, None, None),
    ]


def test_savepoints_rolled_back_keep_the_author(db: Connection, engine: sqlalchemy.Engine) -> None:
    with attributed(user="alice"), Session(engine) as session:
        savepoint = session.begin_nested()
        session.add(Device(id=1, name="x"))
        session.flush()
        savepoint.rollback()
        session.add(Device(id=2, name="x"))
        session.flush()
        with pytest.raises(sqlalchemy.exc.IntegrityError), session.begin_nested():
            session.execute(text("insert into dcim.device (id, name) values (2, 'x')"))
        with attributed(user="bob"):
            session.add(Device(id=3, name="x"))
            session.flush()
        session.add(Device(id=4, name="x"))
        session.commit()
    assert said(db) == ["alice", "bob", "alice"]


def test_a_transaction_that_reads_asks_for_no_user(db: Connection, engine: sqlalchemy.Engine) -> None:
    asked: list[int] = []
    with attributed(user=lambda: asked.append(1)), Session(engine) as session:
        assert session.scalars(sqlalchemy.select(Device)).all() == []
    assert asked == []


def test_connections_of_the_pool_keep_nothing(db: Connection, engine: sqlalchemy.Engine) -> None:
    for user in ("alice", None, "bob"):
        with attributed(user=user), pytest.raises(ZeroDivisionError), engine.begin() as connection:
            connection.execute(UPSERT, {"name": "lost"})
            raise ZeroDivisionError
        with attributed(user=user), engine.begin() as connection:
            connection.execute(UPSERT, {"name": str(user)})
    assert said(db) == ["alice", None, "bob"]


def test_a_value_that_is_always_another_breaks_no_write(db: Connection, engine: sqlalchemy.Engine) -> None:
    with attributed(user="alice", request_id=uuid.uuid4), engine.begin() as connection:
        connection.execute(UPSERT, {"name": "x"})
        connection.execute(UPSERT, {"name": "y"})
    assert said(db) == ["alice", "alice"]


@pytest.mark.parametrize("options", [{"stream_results": True}, {"yield_per": 10}])
def test_a_connection_that_streams_its_results_is_marked(
    db: Connection, engine: sqlalchemy.Engine, options: dict[str, Any]
) -> None:
    db.execute(
        "create function dcim.add_device() returns integer language sql"
        " as 'insert into dcim.device (id, name) values (1, ''x'') returning id'"
    )
    with attributed(user="alice"), engine.connect().execution_options(**options) as connection, connection.begin():
        assert connection.scalar(text("select dcim.add_device()")) == 1
    assert said(db) == ["alice"]


def test_blocks_that_end_out_of_turn_leave_nothing_behind(db: Connection, engine: sqlalchemy.Engine) -> None:
    def block(user: str) -> Generator[None, None, None]:
        with attributed(user=user):
            yield

    first, second = block("alice"), block("bob")
    for generator in (first, second):
        next(generator)
    first.close()
    with engine.begin() as connection:
        connection.execute(INSERT)
    second.close()
    with engine.begin() as connection:
        connection.execute(UPSERT, {"name": "y"})
    assert said(db) == ["bob", None]


def test_a_connection_that_was_lost_is_replaced(db: Connection, engine: sqlalchemy.Engine) -> None:
    with attributed(user="alice"):
        with engine.begin() as connection:
            pid = connection.scalar(text("select pg_backend_pid()"))
        db.execute("select pg_terminate_backend(%s, 10000)", (pid,))
        with pytest.raises(sqlalchemy.exc.OperationalError) as caught, engine.begin() as connection:
            connection.execute(INSERT)
        assert caught.value.connection_invalidated
        with engine.begin() as connection:
            connection.execute(INSERT)
    assert said(db) == ["alice"]


@pytest.mark.parametrize("given", ["o'brien %s :v0 $1", "a\0b", "\ud800", "x" * 10_000, 7])
def test_no_value_breaks_a_write(db: Connection, engine: sqlalchemy.Engine, given: Any) -> None:
    with attributed(user=given), engine.begin() as connection:
        connection.execute(INSERT)
    assert said(db) == [str(given)[:255].replace("\0", "\ufffd").replace("\ud800", "?")]


def test_autocommit_is_named(db: Connection, engine: sqlalchemy.Engine, caplog: pytest.LogCaptureFixture) -> None:
    with (
        attributed(user="alice"), caplog.at_level(logging.WARNING, "rowhooks"),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):  # fmt: skip
        for id_ in (1, 2):
            connection.execute(text("insert into dcim.device (id, name) values (:id, 'x')"), {"id": id_})
    assert said(db) == [None, None]
    assert len(caplog.messages) == 1
    assert "AUTOCOMMIT" in caplog.text


def test_other_databases_are_left_alone() -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    attribute(engine)
    with attributed(user="alice"), engine.begin() as connection:
        connection.execute(text("create table t (id integer)"))
        connection.execute(text("insert into t values (1)"))


def test_a_press_carries_its_author(db: Connection, engine: sqlalchemy.Engine) -> None:
    from tests.support.results import add_button

    db.execute("insert into dcim.device values (42, 'x')")
    add_button(db, "dcim.device")
    with attributed(user="alice"), Session(engine) as session:
        rowhooks.press(session, "Reboot", "dcim.device", 42)
        session.commit()
    assert db.execute("select user_name from rowhooks.job_result").fetchall() == [("alice",)]


async def test_asynchronous_tasks_are_told_apart(db: Connection, async_engine: AsyncEngine) -> None:
    async def write(id_: int) -> None:
        with attributed(user=f"u{id_}", request_id=id_):
            async with AsyncSession(async_engine) as session:
                session.add(Device(id=id_, name="x"))
                await session.flush()
                await asyncio.sleep(0)
                await session.execute(text("update dcim.device set name = 'y' where id = :id"), {"id": id_})
                await session.commit()

    await asyncio.gather(*(write(id_) for id_ in range(5)))
    async with async_engine.begin() as connection:
        await connection.execute(text("insert into dcim.device (id, name) values (9, 'x')"))
    found = sorted(said(db, "object_id ->> 'id', user_name, request_id"), key=str)
    assert found == [(str(n), f"u{n}", str(n)) for n in range(5) for _ in range(2)] + [("9", None, None)]
