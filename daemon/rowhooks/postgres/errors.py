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
    # A server that was not promoted yet, or that gave up for its own reasons: another try may go through.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    OSError,
    TimeoutError,
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise ConnectionFailed, PermissionDenied or DatabaseError where asyncpg raises its own."""
    try:
        yield
    except asyncpg.exceptions._base.DataError as error:  # noqa: SLF001  (the one that is raised before sending)
        raise DatabaseError(f"a value cannot be sent: {error}") from error
    except LOST_CONNECTION as error:
        raise ConnectionFailed(f"the connection was lost: {str(error) or type(error).__name__}") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise PermissionDenied(str(error), hint="grant the daemon's role to the daemon's login") from error
    except asyncpg.PostgresError as error:
        raise DatabaseError(str(error)) from error
