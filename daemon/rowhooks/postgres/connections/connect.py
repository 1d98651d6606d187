"""Connections to the target database: one DSN, understood by libpq, for both drivers."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import psycopg
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rowhooks.domain.errors import (
    ConnectionFailed,
    DatabaseError,
    LoginRefused,
    NotFound,
    OptionsRefused,
    PermissionDenied,
    SettingsError,
)
from rowhooks.domain.sqlstates import CACHED_PLAN, Verdict, verdict
from rowhooks.postgres.connections import libpq
from rowhooks.postgres.connections.attempts import attempts, check_files, timeout
from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.connections.loaders import adapt
from rowhooks.postgres.connections.search_path import PINNED_SESSION, ask_qualified
from rowhooks.postgres.connections.session_settings import of_session
from rowhooks.postgres.connections.settled import (
    SettledAsyncConnection,
    SettledConnection,
    TransactionSettled,
    server_version,
)

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
_NOTICE_SILENCE = (
    f"set tcp_keepalives_idle = '{KEEPALIVE_IDLE}'",
    f"set tcp_keepalives_interval = '{KEEPALIVE_INTERVAL}'",
    f"set tcp_keepalives_count = '{KEEPALIVE_COUNT}'",
    f"set tcp_user_timeout = '{int(SILENCE * 1000)}'",
)

NO_UTF8 = "PostgreSQL has no conversion between UTF-8 and the database's encoding: rowhooks cannot be used in it"

_OF_THE_CONNECTION = (CACHED_PLAN, "25006", "26", "42P05")
"""What the same connection would answer again (see rowhooks.domain.sqlstates)."""
PING_AFTER = 1.0
"""Seconds after which a pooled connection is tried before it is used."""
_IDLE_SINCE = "rowhooks_idle_since"

DIRECT, SESSION_POOLER, TRANSACTION_POOLER = "direct", "session pooler", "transaction pooler"

ASYNCPG_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # It is none of the two: a server that is not the primary, or takes no writes.
    asyncpg.TargetServerAttributeNotMatched,
    OSError,
    TimeoutError,
)
"""What asyncpg raises when the server refuses, or the connection is lost."""


@dataclass(frozen=True)
class Target:
    """The database rowhooks is attached to.

    Args:
        dsn: a libpq URI or keyword string; empty for libpq's own environment (PGHOST, PGSERVICE, ~/.pgpass ...).
        application_name: shown in pg_stat_activity.
        route: what is known of the way to the server: `direct`, `session pooler`, `transaction pooler`, or None.
        password: the login's, where the DSN and its service have none; it goes before PGPASSWORD and ~/.pgpass.

    Raises:
        SettingsError: libpq cannot read the DSN, or would not connect with it; a file that it names cannot be read.
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
        if self.route is None:
            self._check()

    def _check(self) -> None:
        # Once, at the beginning: files that are away later, while they are renewed, come back.
        options = libpq.options(self.conninfo)
        ports = options.get("port", "")
        if not all(port.strip().isdecimal() for port in ports.split(",") if port):
            raise SettingsError(f"the DSN's port {ports!r} is not a number", hint="for example port=5432")
        timeout(options)
        check_files(options)

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
        }
        # Ours, whatever the DSN or a role says: what we read and send is UTF-8.
        ours = {"client_encoding": "UTF8"}
        if self.password and not libpq.has_password(self.dsn):
            defaults["password"] = self.password
        return make_conninfo(self.dsn, **{k: v for k, v in defaults.items() if k not in given}, **ours)

    @property
    def pooled(self) -> bool:
        """Whether server connections change between transactions, so that nothing can be left in one."""
        return self.route == TRANSACTION_POOLER

    @property
    def keeps_session(self) -> bool:
        """Whether what is set for a session is there in the next transaction, and left to nobody else."""
        return self.route in (DIRECT, SESSION_POOLER)

    @property
    def psycopg_arguments(self) -> dict[str, Any]:
        """What `psycopg.connect` is to be told beside the DSN."""
        return {} if self.keeps_session else {"prepare_threshold": None}

    @property
    def label(self) -> str:
        """Database, host and user, without the password."""
        try:
            options = libpq.options(self.conninfo)
        except OptionsRefused:
            # The service file is away.
            return "the database"
        host = options.get("host") or options.get("hostaddr")
        return f"{options.get('dbname') or options.get('user')} on {host or 'the local socket'}"

    def asyncpg_attempts(self) -> list[dict[str, Any]]:
        """Return what `asyncpg.connect` is to be told, for each server in its turn, so that it means the same.

        Raises:
            SettingsError: it asks for what asyncpg cannot do, or libpq would not connect; a file cannot be read.
        """
        kind = {} if self.keeps_session else {"statement_cache_size": 0, "connection_class": TransactionSettled}
        return [{**one, **kind} for one in attempts(self.conninfo)]


async def connect(
    target: Target, *, patience: float | None = None, kind: type[asyncpg.Connection[Any]] | None = None
) -> asyncpg.Connection[Any]:
    """Open an asyncpg connection, with our settings.

    Args:
        target: the database.
        patience: seconds after which a statement without an answer ends with an error; None for never.
        kind: a class of the connection's own, where nothing that pools transactions is in between.

    Raises:
        LoginRefused: no server that the DSN names lets this login in.
        ConnectionFailed: none can be reached, or none is of the kind that is asked for.
    """
    opened = await _first_that_lets_in(target, patience, {} if kind is None else {"connection_class": kind})
    try:
        _notice_silence(opened)
        if target.keeps_session:
            with translated():
                settings = of_session(server_version(opened), for_receivers=False)
                await opened.execute("; ".join([*settings, PINNED_SESSION, *_noticing(target)]))
    except BaseException:
        # Also where one is told to stop meanwhile.
        opened.terminate()
        raise
    return opened


async def _first_that_lets_in(target: Target, patience: float | None, given: dict[str, Any]) -> asyncpg.Connection[Any]:
    refusals: list[tuple[str, Exception]] = []
    try:
        for arguments in target.asyncpg_attempts():
            try:
                return await asyncpg.connect(**{**arguments, **given}, command_timeout=patience)
            except ASYNCPG_ERRORS as error:
                refusals.append((f"{arguments['host'][0]}:{arguments['port']}: ", error))
    except SettingsError as error:
        # The daemon has seen once that it can be had: a file is being renewed, perhaps.
        refusals.append(("", error))
    said = "; ".join(
        f"{where if len(refusals) > 1 else ''}{str(error) or type(error).__name__}" for where, error in refusals
    )
    is_login = all(isinstance(error, asyncpg.InvalidAuthorizationSpecificationError) for _, error in refusals)
    kind = LoginRefused if is_login else ConnectionFailed
    raise kind(f"cannot connect to {target.label}: {said}") from refusals[-1][1]


def _noticing(target: Target) -> Sequence[str]:
    return _NOTICE_SILENCE if target.route == DIRECT else ()


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
def connection(target: Target, *, pinned: bool = True) -> Iterator[SettledConnection]:
    """Open a psycopg connection for one command, whose transactions have our settings; it is committed at the end.

    Args:
        target: the database.
        pinned: with our search_path; False where the statements are somebody else's, as receivers' are.

    Raises:
        ConnectionFailed: the server cannot be reached or does not let us in.
        PermissionDenied: the role lacks a privilege.
        DatabaseError: PostgreSQL refused a statement.
    """
    try:
        # One command on a connection of its own: prepared statements would gain nothing, and disturb poolers.
        opened = SettledConnection.connect(target.conninfo, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise ConnectionFailed(
            f"cannot connect to {target.label}: {_first_line(error)}",
            # In all languages of the server's messages.
            hint=NO_UTF8 if "MULE_INTERNAL" in str(error) else "check --dsn, ROWHOOKS_DSN or dsn in rowhooks.toml",
        ) from error
    opened.pinned, opened.for_receivers = pinned, not pinned
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


def verdict_of(error: BaseException) -> Verdict | None:
    """Return what is done for an error of psycopg's; None where no server has said what is wrong."""
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return None
    return verdict(error.sqlstate, error.diag.source_function)


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
        **_options(size, overflow),
    )
    ask_qualified(engine.dialect)
    _ping_what_was_idle(engine)
    _forget_what_was_planned(engine)
    return engine


def async_engine(target: Target, size: int, *, pinned: bool = False) -> AsyncEngine:
    """Return an asynchronous SQLAlchemy engine over psycopg with at most `size` connections.

    Args:
        target: the database.
        size: how many connections.
        pinned: with our search_path; receivers' sessions have their login's own.
    """
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=lambda: _open_asynchronously(target, pinned=pinned),
        **_options(size),
    )
    ask_qualified(engine.dialect)
    _ping_what_was_idle(engine.sync_engine)
    _forget_what_was_planned(engine.sync_engine)
    return engine


def _forget_what_was_planned(engine: sqlalchemy.Engine) -> None:
    """Replace the connections that may hold a plan for a table that was altered, or lead to a server that is none."""

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def replace(context: sqlalchemy.engine.ExceptionContext) -> None:
        found = verdict_of(context.original_exception)
        # All that are older than this error: each would say the same, once.
        if found is not None and found.code in _OF_THE_CONNECTION:
            context.is_disconnect = True


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
    if not target.keeps_session:
        settled = SettledConnection.connect(target.conninfo, **target.psycopg_arguments)
        settled.for_receivers = True
        adapt(settled)
        return settled
    # No transaction before they are set: one would have the limits and modes of the login.
    opened = psycopg.connect(target.conninfo, autocommit=True)
    adapt(opened)
    opened.execute(_of_receivers_session(opened, target, pinned=False))
    opened.autocommit = False
    return opened


async def _open_asynchronously(target: Target, *, pinned: bool) -> psycopg.AsyncConnection[Any]:
    if not target.keeps_session:
        # Each transaction says so by itself, which takes a round trip more.
        settled = await SettledAsyncConnection.connect(target.conninfo, **target.psycopg_arguments)
        settled.pinned, settled.for_receivers = pinned, True
        adapt(settled)
        return settled
    opened = await psycopg.AsyncConnection.connect(target.conninfo, autocommit=True)
    adapt(opened)
    await opened.execute(_of_receivers_session(opened, target, pinned=pinned))
    await opened.set_autocommit(False)
    return opened


def _of_receivers_session(
    opened: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], target: Target, *, pinned: bool
) -> bytes:
    settings = of_session(opened.pgconn.server_version, for_receivers=True)
    return "; ".join([*settings, *([PINNED_SESSION] if pinned else []), *_noticing(target)]).encode()


def _options(size: int, overflow: int = 0) -> dict[str, Any]:
    return {
        "pool_size": size,
        "max_overflow": overflow,
        "pool_reset_on_return": "rollback",
        # It would look for the type by operators that whoever may create in the search_path can have made.
        "use_native_hstore": False,
        # A run waits for its turn; that others hold the connections is no failure of its own.
        "pool_timeout": LONGEST_WAIT,
    }
