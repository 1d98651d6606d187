"""SQLAlchemy: who wrote, for each transaction of an engine, synchronous or asynchronous, over any driver.

attribute(engine)
with attributed(user="alice"), Session(engine) as session, session.begin():
...
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import event

from rowhooks.integrations.attribution import attributed, set_user
from rowhooks.integrations.marking import Marks

if TYPE_CHECKING:
    # It needs greenlet, which an application may not have.
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["attribute", "attributed", "set_user"]

logger = logging.getLogger(__name__)
_MARKS = "rowhooks_marks"
"""The key of a connection's marks in its `info`."""
_AT_ONCE = {_MARKS: True, "stream_results": False, "yield_per": None}
"""A server-side cursor, which a connection may have chosen for its queries, would set nothing before it is read."""
_autocommit_named: set[sqlalchemy.Engine] = set()


def attribute(engine: sqlalchemy.Engine | AsyncEngine | type[sqlalchemy.Engine]) -> None:
    """Mark the transactions of an engine with their author, from now on. Doing so twice has no effect.

    The variables are local to the transaction, and are set before its first statement that may write. A transaction
    outside of `attributed` and of a web request is left as it is.

    Args:
        engine: an engine, or `sqlalchemy.Engine` itself for all engines of the process. Databases other than PostgreSQL
            are left alone.
    """
    # That of an AsyncEngine.
    target: Any = getattr(engine, "sync_engine", engine)
    if event.contains(target, "before_cursor_execute", _mark):
        return
    event.listen(target, "begin", _begun)
    event.listen(target, "begin_twophase", _begun_twophase)
    event.listen(target, "rollback_savepoint", _rolled_back)
    event.listen(target, "before_cursor_execute", _mark)
    event.listen(target, "after_cursor_execute", _sent)


def _marks(connection: sqlalchemy.Connection) -> Marks:
    marks: Marks = connection.info.setdefault(_MARKS, Marks())
    return marks


def _begun(connection: sqlalchemy.Connection) -> None:
    _marks(connection).begun()


def _begun_twophase(connection: sqlalchemy.Connection, xid: Any) -> None:
    _marks(connection).begun()


def _rolled_back(connection: sqlalchemy.Connection, name: str, context: Any) -> None:
    if not connection.closed and not connection.invalidated:
        _marks(connection).sent("rollback")


def _mark(
    connection: sqlalchemy.Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> None:
    if connection.dialect.name != "postgresql" or _MARKS in context.execution_options:
        return
    marks = _marks(connection)
    wanted = marks.wanted(statement)
    if wanted is None:
        return
    if getattr(connection.connection.dbapi_connection, "autocommit", False):
        _warn_of_autocommit(connection.engine)
        return
    query, values = marks.set(wanted, connection.connection.driver_connection)
    # By SQLAlchemy, which turns a lost connection into its own error and replaces it.
    names = {f"v{place}": value for place, value in enumerate(values)}
    connection.execute(sqlalchemy.text(query % tuple(f":{name}" for name in names)), names, execution_options=_AT_ONCE)


def _sent(
    connection: sqlalchemy.Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> None:
    if connection.dialect.name == "postgresql":
        _marks(connection).sent(statement)


def _warn_of_autocommit(engine: sqlalchemy.Engine) -> None:
    if engine not in _autocommit_named:
        _autocommit_named.add(engine)
        logger.warning(
            "an engine of %r writes with the isolation level AUTOCOMMIT: its changes are logged without their user,"
            " because what names the user is local to a transaction", engine.url,
        )  # fmt: skip
