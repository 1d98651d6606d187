"""Connections to the target database: one DSN, understood by libpq, for both drivers."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import psycopg
import sqlalchemy
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, NotFound, PermissionDenied, SettingsError
from rowhooks.postgres.errors import translated
from rowhooks.postgres.opening import ASYNCPG_ERRORS, DEFAULT_PORT, first_that_fits, password_from_file, tls_arguments

LONGEST_WAIT = 24 * 3600.0
"""Seconds a run waits for a connection that others hold."""
CONNECT_TIMEOUT = 10
"""Seconds to wait for a connection where the DSN does not say."""
SILENCE = 20.0
"""Seconds after which a peer that does not even acknowledge what was sent is given up."""
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 10, 5, 3
"""When a peer that has nothing to say is asked whether it is there: after, every (seconds), how often."""
# The server is to notice too that we are gone, and free what our transactions have locked. A pooler looks after the
# server's connections itself.
_NOTICE_SILENCE = f"""
select
  set_config('tcp_keepalives_idle', '{KEEPALIVE_IDLE}', false),
  set_config('tcp_keepalives_interval', '{KEEPALIVE_INTERVAL}', false),
  set_config('tcp_keepalives_count', '{KEEPALIVE_COUNT}', false),
  set_config('tcp_user_timeout', '{int(SILENCE * 1000)}', false)
"""

PING_AFTER = 1.0
"""Seconds after which a pooled connection is tried before it is used."""
_IDLE_SINCE = "rowhooks_idle_since"

DIRECT, SESSION_POOLER, TRANSACTION_POOLER = "direct", "session pooler", "transaction pooler"

# libpq parameters that asyncpg takes under another name; what is missing here is libpq's alone.
_ASYNCPG_NAMES = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
_ASYNCPG_SETTINGS = ("application_name", "options")


@dataclass(frozen=True)
class Target:
    """The database rowhooks is attached to.

    Args:
        dsn: a libpq URI or keyword string; empty for libpq's own environment (PGHOST, PGSERVICE, ~/.pgpass ...).
        application_name: shown in pg_stat_activity.
        route: what is known of the way to the server: `direct`, `session pooler`, `transaction pooler`, or None.
        password: the login's, where the DSN has none; it goes before PGPASSWORD and ~/.pgpass.

    Raises:
        SettingsError: libpq cannot read the DSN.
    """

    dsn: str = field(default="", repr=False)
    application_name: str = "rowhooks"
    route: str | None = None
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            given = conninfo_to_dict(self.dsn)
        except psycopg.ProgrammingError as error:
            # libpq's message may quote the DSN, and with it a password.
            raise SettingsError(
                "the DSN cannot be read",
                hint="expected postgresql://user@host:5432/database or 'host=... dbname=...'",
            ) from error.with_traceback(None)
        if "@" in str(given.get("host") or "")[1:]:
            # It is the end of a password, and must not be repeated.
            raise SettingsError("the DSN's host contains an @", hint="write an @ in a password as %40")
        ports = self._resolved().get("port", "")
        if not all(port.strip().isdecimal() for port in ports.split(",") if port):
            raise SettingsError(f"the DSN's port {ports!r} is not a number", hint="for example port=5432")

    @property
    def conninfo(self) -> str:
        """The DSN as libpq reads it, with our application name and a connection time-out."""
        given = conninfo_to_dict(self.dsn)
        defaults: dict[str, str | int] = {
            "application_name": self.application_name,
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": KEEPALIVE_IDLE,
            "keepalives_interval": KEEPALIVE_INTERVAL,
            "keepalives_count": KEEPALIVE_COUNT,
            "tcp_user_timeout": int(SILENCE * 1000),
            **({"password": self.password} if self.password else {}),
        }
        return make_conninfo(self.dsn, **{k: v for k, v in defaults.items() if k not in given})

    @property
    def pooled(self) -> bool:
        """Whether server connections change between transactions, so that nothing can be left in one."""
        return self.route == TRANSACTION_POOLER

    @property
    def psycopg_arguments(self) -> dict[str, Any]:
        """What `psycopg.connect` is to be told beside the DSN."""
        return {} if self.route in (DIRECT, SESSION_POOLER) else {"prepare_threshold": None}

    @property
    def label(self) -> str:
        """Database, host and user, without the password."""
        options = self._resolved()
        return f"{options.get('dbname') or options.get('user')} on {options.get('host') or 'the local socket'}"

    def _resolved(self) -> dict[str, str]:
        # libpq's defaults know the environment and the service file; the DSN comes before them.
        given = {name: str(value) for name, value in conninfo_to_dict(self.conninfo).items()}
        with _service(given.get("service")):
            defaults = pq.Conninfo.get_defaults()
        resolved = {option.keyword.decode(): option.val.decode() for option in defaults if option.val is not None}
        resolved.update(given)
        # asyncpg has no hostaddr, and takes an address for a host.
        resolved["host"] = resolved.get("host") or resolved.get("hostaddr") or ""
        return resolved

    def asyncpg_arguments(self) -> dict[str, Any]:
        """Return the arguments for `asyncpg.connect` that mean the same as the DSN."""
        resolved = self._resolved()
        arguments: dict[str, Any] = {
            ours: resolved[theirs] for theirs, ours in _ASYNCPG_NAMES.items() if resolved.get(theirs)
        }
        for plural in ("host", "port"):
            if plural in arguments:
                arguments[plural] = arguments[plural].split(",")
        if "port" in arguments:
            arguments["port"] = [int(port or DEFAULT_PORT) for port in arguments["port"]]
            if len(arguments["port"]) == 1:
                arguments["port"] = arguments["port"][0]
            elif len(arguments["port"]) != len(arguments.get("host", [])):
                raise SettingsError("the DSN does not have as many ports as hosts", hint="give one port, or one a host")
        if not resolved.get("password"):
            arguments |= password_from_file(resolved)
        if resolved.get("target_session_attrs"):
            arguments["target_session_attrs"] = resolved["target_session_attrs"]
        arguments |= tls_arguments(resolved)
        # libpq waits for ever where the time-out is zero.
        arguments["timeout"] = float(resolved.get("connect_timeout") or CONNECT_TIMEOUT) or None
        arguments["server_settings"] = {name: resolved[name] for name in _ASYNCPG_SETTINGS if resolved.get(name)}
        if self.route not in (DIRECT, SESSION_POOLER):
            arguments["statement_cache_size"] = 0
        return arguments


@contextlib.contextmanager
def _service(name: str | None) -> Iterator[None]:
    """Let libpq's defaults be those of a service of the service file, if one is named."""
    if name is None:
        yield
        return
    former = os.environ.get("PGSERVICE")
    os.environ["PGSERVICE"] = name
    try:
        yield
    finally:
        del os.environ["PGSERVICE"]
        if former is not None:
            os.environ["PGSERVICE"] = former


async def connect(target: Target, *, patience: float | None = None) -> asyncpg.Connection[Any]:
    """Open an asyncpg connection.

    Args:
        target: the database.
        patience: seconds after which a statement without an answer ends with an error; None for never.

    Raises:
        ConnectionFailed: the server cannot be reached or does not let us in.
    """
    try:
        opened = await first_that_fits(target.asyncpg_arguments(), patience)
    except ASYNCPG_ERRORS as error:
        raise ConnectionFailed(f"cannot connect to {target.label}: {str(error) or type(error).__name__}") from error
    except SettingsError as error:
        # The daemon has seen once that it can be had: it is being renewed, perhaps.
        raise ConnectionFailed(f"cannot connect to {target.label}: {error.message}") from error
    _notice_silence(opened)
    if target.route == DIRECT:
        with translated():
            await opened.execute(_NOTICE_SILENCE)
    return opened


@contextlib.asynccontextmanager
async def connected(target: Target, *, patience: float | None = None) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Open an asyncpg connection for the length of a block.

    Raises:
        ConnectionFailed: the server cannot be reached or does not let us in.
    """
    opened = await connect(target, patience=patience)
    try:
        yield opened
    finally:
        # Not close(): the server may be away, and it would wait for it.
        opened.terminate()


def _notice_silence(connection: asyncpg.Connection[Any]) -> None:
    """Ask the operating system to give up a peer that is silent, as libpq does for psycopg's connections."""
    # asyncpg has no option for it, and does not show its socket.
    end = connection._transport.get_extra_info("socket")  # noqa: SLF001
    if end.family == socket.AF_UNIX:
        return
    options = {
        (socket.SOL_SOCKET, "SO_KEEPALIVE"): 1,
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE"): KEEPALIVE_IDLE,
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL"): KEEPALIVE_INTERVAL,
        (socket.IPPROTO_TCP, "TCP_KEEPCNT"): KEEPALIVE_COUNT,
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"): int(SILENCE * 1000),
    }
    # uvloop shows a socket that can only be asked.
    with socket.socket(fileno=os.dup(end.fileno())) as twin:
        for (level, name), value in options.items():
            # Not every operating system has all of them.
            if hasattr(socket, name):
                twin.setsockopt(level, getattr(socket, name), value)


@contextlib.contextmanager
def connection(target: Target) -> Iterator[psycopg.Connection[Any]]:
    """Open a psycopg connection for one command: one transaction, committed at the end.

    Raises:
        ConnectionFailed: the server cannot be reached or does not let us in.
        PermissionDenied: the role lacks a privilege.
        DatabaseError: PostgreSQL refused a statement.
    """
    try:
        # One command on a connection of its own: prepared statements would gain nothing, and disturb poolers.
        opened = psycopg.connect(target.conninfo, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise ConnectionFailed(
            f"cannot connect to {target.label}: {_first_line(error)}",
            hint="check --dsn, ROWHOOKS_DSN or dsn in rowhooks.toml",
        ) from error
    # Closed also where the commit fails (a deferred constraint), which psycopg leaves open.
    with translated_errors(), contextlib.closing(opened), opened:
        yield opened


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn psycopg's errors into ours; the server's hint is kept."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            _first_line(error), hint=error.diag.message_hint or "connect as a role that may, with --dsn"
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise NotFound(_first_line(error), hint=error.diag.message_hint) from error
    except psycopg.Error as error:
        if is_lost_connection(error):
            raise ConnectionFailed(f"the connection was lost: {_first_line(error)}") from error
        raise DatabaseError(_first_line(error), hint=error.diag.message_hint) from error


def is_lost_connection(error: BaseException | None) -> bool:
    """Say whether an error of psycopg's means that the connection has ended, or the server is about to."""
    # An operational error that no server sent is a lost connection.
    return isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    )


def is_unreachable(error: BaseException | None) -> bool:
    """Say whether an error of psycopg's means that no connection could be opened: server away, or no place left."""
    return isinstance(error, psycopg.OperationalError) and error.pgconn is not None


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip() or type(error).__name__


def sync_engine(target: Target, size: int, overflow: int = 0) -> sqlalchemy.Engine:
    """Return a SQLAlchemy engine over psycopg with at most `size` connections, and `overflow` that are not kept."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _open(target),
        **_pool(size, overflow),
    )
    _ping_what_was_idle(engine)
    return engine


def async_engine(target: Target, size: int) -> AsyncEngine:
    """Return an asynchronous SQLAlchemy engine over psycopg with at most `size` connections."""
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=lambda: _open_asynchronously(target),
        **_pool(size),
    )
    _ping_what_was_idle(engine.sync_engine)
    return engine


def _ping_what_was_idle(engine: sqlalchemy.Engine) -> None:
    """Replace a connection that died while nobody used it (a restart of the server) before it is handed out."""

    # Not pool_pre_ping: that is a round trip for every run, also while one follows the other.
    @sqlalchemy.event.listens_for(engine, "checkin")
    def note(connection: Any, record: Any) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    @sqlalchemy.event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, proxy: Any) -> None:
        if time.monotonic() - record.info.get(_IDLE_SINCE, 0.0) < PING_AFTER:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise sqlalchemy.exc.DisconnectionError from error


def _open(target: Target) -> psycopg.Connection[Any]:
    opened = psycopg.connect(target.conninfo, **target.psycopg_arguments)
    if target.route == DIRECT:
        opened.execute(_NOTICE_SILENCE)
        opened.commit()
    return opened


async def _open_asynchronously(target: Target) -> psycopg.AsyncConnection[Any]:
    opened = await psycopg.AsyncConnection.connect(target.conninfo, **target.psycopg_arguments)
    if target.route == DIRECT:
        await opened.execute(_NOTICE_SILENCE)
        await opened.commit()
    return opened


def _pool(size: int, overflow: int = 0) -> dict[str, Any]:
    return {
        "pool_size": size,
        "max_overflow": overflow,
        "pool_reset_on_return": "rollback",
        # A run waits for its turn; that others hold the connections is no failure of its own.
        "pool_timeout": LONGEST_WAIT,
    }
