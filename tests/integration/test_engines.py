"""Engines: what a connection that ends at a bad moment looks like to a run, with both kinds of receivers."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from rowhooks.postgres.connections import engines
from rowhooks.postgres.connections.engines import async_engine, sync_engine
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.row_connections import RowConnections
from rowhooks.postgres.sessions.terms import is_transient

Connection = psycopg.Connection[Any]

PID = sqlalchemy.text("select pg_backend_pid()")


@pytest.mark.parametrize("make", [sync_engine, async_engine])
async def test_a_connection_that_takes_the_place_of_a_dead_one_and_dies_at_once_is_a_lost_connection(
    make: Any, dsn: str, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLAlchemy gives up with an error that tells nothing of a connection where it is told twice that one is dead.
    monkeypatch.setattr(engines, "PING_AFTER", 0.0)
    engine = make(Target(dsn), 1)
    pool: sqlalchemy.Engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine

    def die(connection: Any, record: Any) -> None:
        driver = getattr(connection, "driver_connection", connection)
        db.execute("select pg_terminate_backend(%s, 10000)", (driver.info.backend_pid,))

    try:
        first = await ask(engine)
        db.execute("select pg_terminate_backend(%s, 10000)", (first,))
        sqlalchemy.event.listen(pool, "connect", die)
        with pytest.raises(DBAPIError) as caught:
            await ask(engine)
        assert is_transient(caught.value)
        sqlalchemy.event.remove(pool, "connect", die)
        assert await ask(engine) not in (None, first)
    finally:
        await engine.dispose() if isinstance(engine, AsyncEngine) else engine.dispose()


async def ask(engine: sqlalchemy.Engine | AsyncEngine) -> int:
    """Return the server process that a connection of the pool's leads to."""
    if isinstance(engine, AsyncEngine):
        async with engine.connect() as connection:
            return int((await connection.execute(PID)).scalar_one())
    with engine.connect() as plain:
        return int(plain.execute(PID).scalar_one())


async def test_a_connection_of_rows_that_is_used_while_the_others_are_closed_is_closed_when_it_is_given_back(
    dsn: str,
) -> None:
    rows = RowConnections(Target(dsn), row_security=True)
    async with rows.connection() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await rows.close()
        assert not driver.closed
    assert driver.closed
