"""Errors of the queries that load rows: which of them pass by themselves, and what a run is told of the others."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from rowhooks.domain.errors import (
    ConnectionFailed,
    DatabaseError,
    PermissionDenied,
    RowhooksError,
    TableLocked,
)
from rowhooks.postgres.connections.errors import is_lost_connection, verdict_of

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_IS_A_VIEW = psycopg.errors.ObjectNotInPrerequisiteState
_ALTERED = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    # The table was renamed, and a view has its name.
    _IS_A_VIEW,
)
_LESS_AT_ONCE = ("53200", "53400", "55P03")
"""What loading fewer rows may avoid (memory, a limit), and a locked table, for which Preparation waits."""

TRIES, PAUSE = 5, 0.05
"""How often rows are loaded in all, and the seconds before the second try, doubled for each further one."""
LOST_IN_JSON = "JSON has no array that begins elsewhere than at 1, and no null that is a value"
"""Why a row is not found by the key that the log has for it."""
LONGEST_KEY = 200
"""Characters of a key that an error repeats."""


def cause_of(error: BaseException) -> BaseException | None:
    """Return the driver's error behind SQLAlchemy's, or the error itself."""
    return error.orig if isinstance(error, DBAPIError) else error


def is_altered(error: BaseException) -> bool:
    """Say whether the server refused a query that was written before the table was altered."""
    return isinstance(cause_of(error), _ALTERED)


def is_of_a_row(error: BaseException) -> bool:
    """Say whether an error may be of one row, so that the query may go through for the others."""
    of_all = (*_ALTERED, psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege)
    return not (is_lost(error) or is_transient(error) or isinstance(cause_of(error), of_all))


def is_lost(error: BaseException) -> bool:
    """Say whether the connection was lost."""
    invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    return invalidated or is_lost_connection(cause_of(error))


def is_transient(error: BaseException) -> bool:
    """Say whether a query may go through when all of it is asked again: the server has said so."""
    cause = cause_of(error)
    found = None if cause is None or is_lost_connection(cause) else verdict_of(cause)
    return found is not None and found.daemon and found.code not in _LESS_AT_ONCE


async def retried(work: Callable[[], Awaitable[_T]]) -> _T:
    """Do some work again while the server says what passes by itself, up to TRIES times."""
    for tries in range(TRIES):
        try:
            return await work()
        except DBAPIError as error:
            if not is_transient(error) or tries == TRIES - 1:
                raise
            logger.info("loading is retried: %s", str(error.orig).strip())
        await asyncio.sleep(PAUSE * 2**tries * random.uniform(0.5, 1.5))
    raise AssertionError("the last try returns or raises")


def brief(key: str) -> str:
    """Return a key as messages show it."""
    return key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..."


def row_name(key: str, table: str) -> str:
    """Return what messages call a row, by its key as JSON text."""
    return f"row {brief(key)} of {table}"


def translated(what: str, error: Exception, quoted_name: str | None = None) -> RowhooksError:
    """Return the error that a run ends with whose row could not be loaded.

    Args:
        what: what was to be loaded.
        error: what the driver or SQLAlchemy raised.
        quoted_name: the table's name as SQL, where a whole table cannot be read.
    """
    if isinstance(error, RowhooksError):
        return error
    cause = cause_of(error)
    message = str(cause).strip()
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return PermissionDenied(f"the daemon may not read {what}: {message}", hint="see: rowhooks doctor")
    if is_lost(error):
        return ConnectionFailed(f"the connection was lost: {message}")
    if isinstance(cause, _IS_A_VIEW) and quoted_name:
        return DatabaseError(
            f"{what} are not loaded: something else has the table's name: {message}", hint="run: rowhooks doctor"
        )
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return TableLocked(f"loading {what}: another session has locked the table", hint="see: rowhooks doctor")
    return DatabaseError(f"loading {what}: {message or type(cause).__name__}")
