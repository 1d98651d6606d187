"""asyncpg's errors, turned into ours in one place. Those of psycopg: see errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import asyncpg

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, PermissionDenied
from rowhooks.domain.sqlstates import verdict

_NO_ANSWER = (
    asyncpg.InterfaceError,
    # asyncpg raises it when it is used after the server has ended the connection.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def is_transient(error: BaseException) -> bool:
    """Say whether another try on a new connection may succeed: it was lost, or the error passes by itself."""
    if isinstance(error, asyncpg.PostgresError):
        return verdict(error.sqlstate, getattr(error, "server_source_function", None)).daemon
    return isinstance(error, _NO_ANSWER)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise ConnectionFailed, PermissionDenied or DatabaseError where asyncpg raises its own."""
    try:
        yield
    except asyncpg.exceptions._base.DataError as error:  # noqa: SLF001  (the one that is raised before sending)
        raise DatabaseError(f"a value cannot be sent: {error}") from error
    except (*_NO_ANSWER, asyncpg.PostgresError) as error:
        if is_transient(error):
            raise ConnectionFailed(f"the connection was lost: {str(error) or type(error).__name__}") from error
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            raise PermissionDenied(str(error), hint="grant the daemon's role to the daemon's login") from error
        raise DatabaseError(str(error)) from error
