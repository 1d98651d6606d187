"""Changes that cannot be read: found by reading fewer together, delivered by their key, and noted."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import asyncpg

from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import ConnectionFailed, DatabaseError
from rowhooks.postgres.connections.errors import is_transient, translated
from rowhooks.postgres.log_rows import LARGE, PART_SIZE
from rowhooks.postgres.statements import Statements

logger = logging.getLogger(__name__)

MOST_NOTED = 20
"""Unreadable changes that rowhooks.feed names at most, the newest first."""
PASSING_TRIES = 3
"""How often one change is read where the error may pass by itself."""
LONGEST_REASON = 300

_PASSING = (asyncpg.QueryCanceledError, asyncpg.OutOfMemoryError, asyncpg.ConfigurationLimitExceededError)
"""Errors that reading less may avoid, though elsewhere they count as a lost connection."""

ROWS = ("prechange", "postchange")
TEXTS = ("object_id", "object_repr", "user_name", "request_id", "change_context", "capture_error", *ROWS)
_EXACT = ("object_id", "user_name")
"""The texts that mean something else when they are not exactly what they were."""


def _statements(column: str) -> Statements:
    constants = {"column": column, "LARGE": LARGE, "PART_SIZE": PART_SIZE, "LAST_NOTED": MOST_NOTED - 1}
    return Statements(__file__, constants)


SQL = _statements(TEXTS[0])
FIXED = SQL["fixed"]
"""The statement that reads what every change has, by its id."""
TEXT_OF = {column: _statements(column)["text_of_column"] for column in TEXTS}
"""The statements that read one of TEXTS as bytes, and whether it has a value, by the change's id."""


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


def reason_of(error: BaseException) -> str:
    """Return an error as one short line."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return said if len(said) <= LONGEST_REASON else f"{said[:LONGEST_REASON]}..."


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


Text = tuple[bytes | None, bool]
"""A text as bytes, None where it cannot be read or is too large; and whether there is one."""
REPLACED = "bytes that are no text are replaced"


def row_of_texts(fixed: Sequence[Any], texts: dict[str, Text], reason: str) -> list[Any]:
    """Return what begins like COLUMNS, of what could be read by FIXED and `text_of`.

    The rows are there where all that is wrong with them is that they hold bytes that are no text.
    """
    known = {name: _decoded(text, exactly=name in _EXACT) for name, (text, _) in texts.items()}
    is_whole = any(text is not None and _decoded(text, exactly=True) is None for text, _ in texts.values()) and all(
        not there_is or _is_json(known[name]) for name, (_, there_is) in texts.items() if name in ROWS
    )
    rows = [known[name] if is_whole else None for name in ROWS]
    error = f"{REPLACED}: {reason}" if is_whole else f"the change cannot be read: {reason}"
    if known["object_id"] is None:
        error += "; nor can its key"
    if known["capture_error"]:
        error += f"; {known['capture_error']}"
    return [
        *fixed[:5], known["object_id"], known["object_repr"], *rows, _decoded(fixed[5], exactly=False),
        known["user_name"], known["request_id"], known["change_context"], error,
    ]  # fmt: skip


def _is_json(text: str | None) -> bool:
    if text is None:
        return False
    try:
        exact.read_exactly(text)
    except ValueError:
        return False
    return True


def _decoded(text: bytes | None, *, exactly: bool) -> str | None:
    if text is None:
        return None
    try:
        return text.decode("utf-8", "strict" if exactly else "replace")
    except UnicodeDecodeError:
        return None


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
