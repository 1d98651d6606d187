"""Reading by asyncpg what may be unreadable: piece by piece, down to the one change that is."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import asyncpg

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import ConnectionFailed, DatabaseError
from rowhooks.postgres.connections.asyncpg_errors import is_transient, translated
from rowhooks.postgres.unreadable import FIXED, REPLACED, SQL, TEXT_OF, TEXTS, Text, reason_of, row_of_texts

logger = logging.getLogger(__name__)

PASSING_TRIES = 3
"""How often one change is read where the error may pass by itself."""

_PASSING = (asyncpg.QueryCanceledError, asyncpg.OutOfMemoryError, asyncpg.ConfigurationLimitExceededError)
"""Errors that reading less may avoid, though elsewhere they count as a lost connection."""


class Unreadable(Exception):
    """What was asked for cannot be read as a whole; the connection can still be used.

    Args:
        reason: why, on one line.
        passing: whether the error may pass by itself.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


@contextlib.contextmanager
def reading(connection: asyncpg.Connection[Any]) -> Iterator[None]:
    """Raise Unreadable for an error that reading less, or reading something else, may avoid.

    Raises:
        ConnectionFailed: the connection was lost, or the server cannot read anything.
        PermissionDenied: the daemon's role may not read it.
    """
    try:
        yield
    except _PASSING as error:
        raise Unreadable(reason_of(error), passing=True) from error
    except Exception as error:  # asyncpg decodes what a row holds, which may raise anything
        if is_transient(error) or isinstance(error, asyncpg.InsufficientPrivilegeError):
            with translated():
                raise
        if connection.is_closed():
            raise ConnectionFailed(f"the connection was lost: {reason_of(error)}") from error
        raise Unreadable(reason_of(error)) from error


async def piecemeal(
    ids: Sequence[int],
    read: Callable[[list[int]], Awaitable[None]],
    alone: Callable[[int, str], Awaitable[None]],
) -> None:
    """Read many things by their ids: all together, and where that fails in halves, down to one.

    Args:
        ids: of what is to be read.
        read: reads some of them; raises Unreadable where it cannot.
        alone: handles one that cannot be read, and gets the reason.
    """
    pieces = [list(ids)] if ids else []
    while pieces:
        piece = pieces.pop()
        try:
            await read(piece)
        except Unreadable as error:
            if len(piece) > 1:
                half = len(piece) // 2
                pieces += [piece[half:], piece[:half]]
            elif not error.passing or not await _is_read_after_all(piece, read):
                await alone(piece[0], error.reason)


async def _is_read_after_all(piece: list[int], read: Callable[[list[int]], Awaitable[None]]) -> bool:
    for _ in range(PASSING_TRIES - 1):
        try:
            await read(piece)
        except Unreadable:
            continue
        return True
    return False


async def without_rows(
    connection: asyncpg.Connection[Any], id_: int, reason: str, make: Callable[[Sequence[Any]], ObjectChange]
) -> ObjectChange | None:
    """Return a change that cannot be read as others are, with `capture_error`; None where it is no longer in the log.

    It has its key alone, or its rows too where the bytes in them that are not text could be replaced.

    Args:
        connection: the connection to read from.
        id_: rowhooks.object_change.id.
        reason: why it cannot be read.
        make: makes an object change of a row that begins with COLUMNS.

    Raises:
        ConnectionFailed: the change cannot be read at all: the log is damaged.
    """
    try:
        with reading(connection):
            fixed = await connection.fetchrow(FIXED, id_)
    except Unreadable as error:
        raise ConnectionFailed(f"change {id_} of the log cannot be read at all: {error.reason}") from error
    if fixed is None:
        return None
    texts: dict[str, Text] = {}
    for name in TEXTS:
        try:
            with reading(connection):
                texts[name] = tuple(await connection.fetchrow(TEXT_OF[name], id_) or (None, False))
        except Unreadable:
            texts[name] = (None, True)
    change = make(row_of_texts(fixed, texts, reason))
    if not (change.capture_error or "").startswith(REPLACED):
        await note(connection, change)
    return change


async def note(connection: asyncpg.Connection[Any], change: ObjectChange) -> None:
    """Name a change that cannot be read in the log, and in rowhooks.feed for `status` and `doctor`; once."""
    logger.warning(
        "change %d of %s is delivered by its key, without its rows: %s",
        change.id, change.changed_object_type, change.capture_error,
    )  # fmt: skip
    # ASCII only, and no escapes of JSON: a database with another encoding may hold neither.
    table, error = (_ascii(text or "") for text in (change.changed_object_type, change.capture_error))
    try:
        with translated():
            await connection.execute(
                SQL["note"], change.id, json.dumps({"id": change.id, "table": table, "error": error})
            )
    except ConnectionFailed:
        raise
    except DatabaseError as refused:
        # The log has named it.
        logger.warning("status and doctor do not name change %d: %s", change.id, refused)


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode().replace("\0", "?")
