"""SQLAlchemy engines over psycopg, with our settings: receivers' sessions, and what loads rows for them."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rowhooks.domain.sqlstates import CACHED_PLAN
from rowhooks.postgres.connections.errors import verdict_of
from rowhooks.postgres.connections.loaders import adapt
from rowhooks.postgres.connections.search_path import PINNED_SESSION, ask_qualified
from rowhooks.postgres.connections.session_settings import of_session
from rowhooks.postgres.connections.settled import SettledAsyncConnection, SettledConnection
from rowhooks.postgres.connections.target import Target

LONGEST_WAIT = 24 * 3600.0
"""Seconds that a run waits for a connection that others hold."""
_OF_THE_CONNECTION = (CACHED_PLAN, "25006", "26", "42P05")
"""Errors that the same connection would answer with again (see rowhooks.domain.sqlstates)."""
PING_AFTER = 1.0
"""Seconds after which a pooled connection is tried before it is used."""
_IDLE_SINCE = "rowhooks_idle_since"


def sync_engine(target: Target, size: int, overflow: int = 0) -> sqlalchemy.Engine:
    """Return a SQLAlchemy engine over psycopg with at most `size` connections, and `overflow` that are not kept."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _open(target),
        **_options(size, overflow),
    )
    ask_qualified(engine.dialect)
    _end_only_what_is_open(engine.dialect)
    _ping_what_was_idle(engine)
    _forget_what_was_planned(engine)
    return engine


def async_engine(target: Target, size: int, *, pinned: bool = False, isolation_level: str | None = None) -> AsyncEngine:
    """Return an asynchronous SQLAlchemy engine over psycopg with at most `size` connections.

    Args:
        target: the database.
        size: how many connections.
        pinned: with our search_path; receivers' sessions have their login's own.
        isolation_level: that of its transactions, see SQLAlchemy; None: the server's own, in which psycopg begins them.
    """
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=lambda: _open_asynchronously(target, pinned=pinned),
        isolation_level=isolation_level,
        **_options(size),
    )
    ask_qualified(engine.dialect)
    _end_only_what_is_open(engine.dialect)
    _ping_what_was_idle(engine.sync_engine)
    _forget_what_was_planned(engine.sync_engine)
    return engine


def _end_only_what_is_open(dialect: sqlalchemy.Dialect) -> None:
    """Do not let SQLAlchemy wait for a driver that has nothing to commit or roll back, as where a run has committed."""
    commit, rollback = dialect.do_commit, dialect.do_rollback

    def is_open(connection: Any) -> bool:
        driver = getattr(connection, "driver_connection", connection)
        return bool(driver.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE)

    vars(dialect)["do_commit"] = lambda connection: commit(connection) if is_open(connection) else None
    vars(dialect)["do_rollback"] = lambda connection: rollback(connection) if is_open(connection) else None


def _forget_what_was_planned(engine: sqlalchemy.Engine) -> None:
    """Replace the connections that may hold a plan for an altered table, or lead to a server that is no primary now."""

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def replace(context: sqlalchemy.engine.ExceptionContext) -> None:
        found = verdict_of(context.original_exception)
        # All connections that are older than this error: each would answer the same, once.
        if found is not None and found.code in _OF_THE_CONNECTION:
            context.is_disconnect = True


def _ping_what_was_idle(engine: sqlalchemy.Engine) -> None:
    """Replace a connection that died while it was idle (a restart of the server) before it is handed out."""

    # Not pool_pre_ping: that is a round trip for every run, also while runs follow each other.
    @sqlalchemy.event.listens_for(engine, "checkin")
    def note(connection: Any, record: Any) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    @sqlalchemy.event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, proxy: Any) -> None:
        # A new connection has no such time. It is not tried: SQLAlchemy takes no second one that is dead for a
        # connection that was lost, but for an error of the caller's.
        idle_since = record.info.get(_IDLE_SINCE)
        if idle_since is None or time.monotonic() - idle_since < PING_AFTER:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise sqlalchemy.exc.DisconnectionError from error


def _open(target: Target) -> psycopg.Connection[Any]:
    if not target.keeps_session:
        settled = SettledConnection.connect(target.conninfo, **target.psycopg_arguments)
        settled.for_receivers = True
        adapt(settled)
        return settled
    # No transaction before the settings: it would have the limits and modes of the login.
    opened = psycopg.connect(target.conninfo, autocommit=True)
    try:
        adapt(opened)
        opened.execute(_of_receivers_session(opened, target, pinned=False))
        opened.autocommit = False
    except BaseException:
        opened.close()
        raise
    return opened


async def _open_asynchronously(target: Target, *, pinned: bool) -> psycopg.AsyncConnection[Any]:
    if not target.keeps_session:
        # Each transaction has its own settings, which takes a round trip more.
        settled = await SettledAsyncConnection.connect(target.conninfo, **target.psycopg_arguments)
        settled.pinned, settled.for_receivers = pinned, True
        adapt(settled)
        return settled
    opened = await psycopg.AsyncConnection.connect(target.conninfo, autocommit=True)
    try:
        adapt(opened)
        await opened.execute(_of_receivers_session(opened, target, pinned=pinned))
        await opened.set_autocommit(False)
    except BaseException:
        # Also where the run was cancelled meanwhile: nothing else knows the connection.
        await opened.close()
        raise
    return opened


def _of_receivers_session(
    opened: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], target: Target, *, pinned: bool
) -> bytes:
    settings = of_session(opened.pgconn.server_version, for_receivers=True)
    return "; ".join([*settings, *([PINNED_SESSION] if pinned else []), *target.session_statements]).encode()


def _options(size: int, overflow: int = 0) -> dict[str, Any]:
    return {
        "pool_size": size,
        "max_overflow": overflow,
        "pool_reset_on_return": "rollback",
        # It would look for the type by operators that a login may have created in the search_path.
        "use_native_hstore": False,
        # A run waits for its turn: connections that others hold are not a failure of the run.
        "pool_timeout": LONGEST_WAIT,
        # They are values of rows, and errors are logged and recorded.
        "hide_parameters": True,
    }


def over(conn: psycopg.Connection[Any]) -> sqlalchemy.Connection:
    """Return SQLAlchemy's connection on an open one."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: conn,
        poolclass=sqlalchemy.pool.StaticPool,
        use_native_hstore=False,
        hide_parameters=True,
    )
    ask_qualified(engine.dialect)
    return engine.connect()
