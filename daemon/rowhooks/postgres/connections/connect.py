"""asyncpg's connections to the target database, with our settings."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from rowhooks.domain.errors import ConnectionFailed, LoginRefused, SettingsError
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.asyncpg_settled import server_version
from rowhooks.postgres.connections.search_path import PINNED_SESSION
from rowhooks.postgres.connections.session_settings import of_session
from rowhooks.postgres.connections.target import KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, SILENCE, Target

ASYNCPG_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # It is neither of the two: a server that is not the primary, or takes no writes.
    asyncpg.TargetServerAttributeNotMatched,
    OSError,
    TimeoutError,
)
"""What asyncpg raises when the server refuses, or the connection is lost."""


async def connect(
    target: Target, *, patience: float | None = None, kind: type[asyncpg.Connection[Any]] | None = None
) -> asyncpg.Connection[Any]:
    """Open an asyncpg connection, with our settings.

    Args:
        target: the database.
        patience: seconds after which a statement without an answer ends with an error; None for never.
        kind: the class of the connection, where no transaction pooler is in between.

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
                await opened.execute("; ".join([*settings, PINNED_SESSION, *target.session_statements]))
    except BaseException:
        # Also where the task is cancelled meanwhile.
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
        # The daemon has connected before: perhaps a file is being renewed.
        refusals.append(("", error))
    said = "; ".join(
        f"{where if len(refusals) > 1 else ''}{str(error) or type(error).__name__}" for where, error in refusals
    )
    is_login = all(isinstance(error, asyncpg.InvalidAuthorizationSpecificationError) for _, error in refusals)
    kind = LoginRefused if is_login else ConnectionFailed
    raise kind(f"cannot connect to {target.label}: {said}") from refusals[-1][1]


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
        # Not close(): it would wait for the server, which may be away.
        opened.terminate()


def _notice_silence(connection: asyncpg.Connection[Any]) -> None:
    """Ask the operating system to give up a peer that is silent, as libpq does for psycopg's connections."""
    # asyncpg has no option for this, and does not show its socket.
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
    # uvloop shows a socket whose options can only be read.
    with socket.socket(fileno=os.dup(end.fileno())) as twin:
        for (level, name), value in options.items():
            # Not every operating system has all of them.
            if hasattr(socket, name):
                twin.setsockopt(level, getattr(socket, name), value)
