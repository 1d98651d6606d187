"""asyncpg's errors, turned into ours in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import asyncpg

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, PermissionDenied

LOST_CONNECTION = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What asyncpg says when it is used after the server's farewell has arrived.
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    # A full disk, too many connections: the server may recover, and nothing is lost by waiting for it.
    asyncpg.InsufficientResourcesError,
    OSError,
    TimeoutError,
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise ConnectionFailed, PermissionDenied or DatabaseError where asyncpg raises its own."""
    try:
        yield
    except LOST_CONNECTION as error:
        raise ConnectionFailed(f"the connection was lost: {error or type(error).__name__}") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise PermissionDenied(str(error), hint="grant the daemon's role to the daemon's login") from error
    except asyncpg.PostgresError as error:
        raise DatabaseError(str(error)) from error
