"""psycopg's errors, turned into ours in one place. Commands do not import asyncpg; its errors: see asyncpg_errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, NotFound, PermissionDenied, TookTooLong
from rowhooks.domain.sqlstates import Verdict, verdict

_READ_ONLY = "nothing was done; if the server is a standby, connect to its primary"


@contextlib.contextmanager
def translated_errors(hint: str = "connect as a role that may, with --dsn") -> Iterator[None]:
    """Turn psycopg's errors into ours, with the server's hint.

    Args:
        hint: what to do where a privilege is missing, and the server has no hint.
    """
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(first_line(error), hint=error.diag.message_hint or hint) from error
    except psycopg.errors.QueryCanceled as error:
        raise TookTooLong(first_line(error), hint=error.diag.message_hint) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise NotFound(first_line(error), hint=error.diag.message_hint) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise DatabaseError(first_line(error), hint=error.diag.message_hint or _READ_ONLY) from error
    except psycopg.Error as error:
        if is_lost_connection(error):
            raise ConnectionFailed(f"the connection was lost: {first_line(error)}") from error
        raise DatabaseError(first_line(error), hint=error.diag.message_hint) from error


def is_lost_connection(error: BaseException | None) -> bool:
    """Say whether an error of psycopg's means that the connection has ended, or the server is about to."""
    # What does not come from a server is a lost connection: an operational error, or an internal one of psycopg's that
    # has got too many answers (a FATAL after the answer), or none.
    if isinstance(error, psycopg.InternalError):
        return error.sqlstate is None
    return isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    )


def verdict_of(error: BaseException) -> Verdict | None:
    """Return what is done about an error of psycopg's; None where it does not come from a server."""
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return None
    return verdict(error.sqlstate, error.diag.source_function)


def is_unreachable(error: BaseException | None) -> bool:
    """Say whether an error of psycopg's means that no connection could be opened: server away, or no place left."""
    return isinstance(error, psycopg.OperationalError) and error.pgconn is not None


def first_line(error: psycopg.Error) -> str:
    """Return what an error of psycopg's says, without its details."""
    return error.diag.message_primary or str(error).strip() or type(error).__name__
