"""Round trips: what a run's transaction begins with is sent at once, and so is what it ends with.

The steps are psycopg's generators, which wait for nothing themselves. They are the same for both kinds of connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import generators, pq
from sqlalchemy.util import await_only

from rowhooks.postgres.connections.settled import check, executed

_COMMIT = b"commit"


def begin(driver: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], statements: Sequence[str]) -> None:
    """Begin a transaction and execute its first statements, which have no parameters.

    Args:
        driver: outside a transaction. A receiver's `async def` waits for it in SQLAlchemy's greenlet.
        statements: none of them is a query, after which no isolation level can be chosen any more.

    Raises:
        psycopg.Error: the server refused one of them, or the connection is lost.
    """
    if isinstance(driver, psycopg.AsyncConnection):
        text = "; ".join(["begin", *statements]).encode(driver.info.encoding)
        await_only(_waited(driver, executed(driver, text)))
        return
    send(driver, ["begin", *statements])


def send(driver: psycopg.Connection[Any], statements: Sequence[str]) -> Any:
    """Execute statements that have no parameters in one round trip; return the answer to the last one.

    Raises:
        psycopg.Error: the server refused one of them, and has executed none after it; or the connection is lost.
    """
    answer = driver.pgconn.exec_("; ".join(statements).encode(driver.info.encoding))
    if driver.pgconn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError(driver.pgconn.get_error_message())
    check([answer], driver)
    return answer


def execute_and_commit(
    driver: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], statement: bytes, parameters: Sequence[str | None]
) -> None:
    """Execute a statement and COMMIT; an error of the statement keeps the COMMIT from being executed.

    Args:
        driver: in a transaction.
        statement: with `$1` for the first parameter.
        parameters: as texts.

    Raises:
        psycopg.Error: the server refused one of the two, or the connection is lost.
    """
    encoding = driver.info.encoding
    # As psycopg sends text to a database without an encoding.
    codec = "utf-8" if encoding == "ascii" else encoding
    values = [None if one is None else one.encode(codec) for one in parameters]
    steps = _executed_and_committed(driver, statement, values)
    if isinstance(driver, psycopg.AsyncConnection):
        await_only(_waited(driver, steps))
    else:
        with driver.lock:
            driver.wait(steps)


async def _waited(driver: psycopg.AsyncConnection[Any], steps: Any) -> None:
    async with driver.lock:
        await driver.wait(steps)


def _executed_and_committed(driver: Any, statement: bytes, values: Sequence[bytes | None]) -> Any:
    connection = driver.pgconn
    connection.enter_pipeline_mode()
    try:
        connection.send_query_params(statement, values)
        connection.send_query_params(_COMMIT, None)
        connection.pipeline_sync()
        yield from generators.send(connection)
        executed = yield from generators.fetch_many(connection)
        committed = yield from generators.fetch_many(connection)
        yield from generators.fetch_many(connection)  # the end of the pipeline
        connection.exit_pipeline_mode()
    except BaseException:
        # What the server has answered, and whether, is not known: the connection cannot be used any more.
        connection.finish()
        raise
    check(executed, driver)
    check(committed, driver)
