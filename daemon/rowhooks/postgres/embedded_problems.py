"""Errors for `<rowhooks-buttons>`: an HTTP status, a message and a hint, in the form that PostgREST has.

No driver is imported: an error is known by what the drivers have in common.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from rowhooks.domain.errors import (
    Conflict,
    ConnectionFailed,
    NotFound,
    PermissionDenied,
    RowhooksError,
    SettingsError,
    TableLocked,
    TookTooLong,
    UsageError,
)

logger = logging.getLogger(__name__)

_BY_SQLSTATE = {
    "08": 503, "22": 422, "3F000": 404, "40": 409, "42501": 403, "42601": 422, "42602": 422, "42704": 404,
    "42809": 422, "42P01": 404, "53": 503, "55000": 409, "55P03": 503, "57": 503, "23505": 409, "P0002": 404,
}  # fmt: skip
_BY_KIND: dict[type[RowhooksError], int] = {
    PermissionDenied: 403, NotFound: 404, Conflict: 409, UsageError: 422, ConnectionFailed: 503, TableLocked: 503,
    TookTooLong: 503, SettingsError: 500,
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """What a request is answered that cannot be done.

    Args:
        status: the HTTP status.
        message: what is wrong.
        hint: what to do about it; None where nothing is known.
    """

    status: int
    message: str
    hint: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the body of the answer."""
        return {"message": self.message, "hint": self.hint}


class Refused(Exception):
    """A request that is refused before the database is asked.

    Args:
        status: the HTTP status.
        message: what is wrong.
        hint: what to do about it.
    """

    def __init__(self, status: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(status, message, hint)


NOBODY = Refused(401, "nobody is logged in", "log in, and load the page again")
"""The answer to a request of nobody."""


@dataclass(frozen=True)
class ServerError:
    """What PostgreSQL says of a statement that it refuses.

    Args:
        sqlstate: the code.
        message: its first line.
        hint: the hint.
    """

    sqlstate: str
    message: str
    hint: str | None


def server_error(error: BaseException) -> ServerError | None:
    """Return what PostgreSQL has said where an error of any library comes from it."""
    found = None
    for one in _chain(error):
        code = getattr(one, "sqlstate", None) or getattr(one, "pgcode", None)
        if isinstance(code, str):
            diag = getattr(one, "diag", None)
            message = getattr(diag, "message_primary", None) or getattr(one, "message", None) or str(one)
            hint = getattr(diag, "message_hint", None) or getattr(one, "hint", None)
            # The innermost one is the driver's.
            found = ServerError(code, str(message).partition("\n")[0], hint)
    return found


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(10):
        if one is None:
            return
        yield one
        inner = getattr(one, "orig", None)
        one = inner if isinstance(inner, BaseException) else one.__cause__


def problem_of(error: Exception) -> Problem:
    """Return what the asker is told of an error. Of one that nobody has foreseen it is told nothing, and logged."""
    if isinstance(error, Refused):
        return error.problem
    said = server_error(error)
    if said is not None:
        status = next(
            (_BY_SQLSTATE[said.sqlstate[:length]] for length in (5, 2) if said.sqlstate[:length] in _BY_SQLSTATE), 500
        )
        if status < 500:
            return Problem(status, said.message, said.hint)
    elif isinstance(error, RowhooksError):
        status = next((_BY_KIND[kind] for kind in type(error).__mro__ if kind in _BY_KIND), 500)
        if status < 500:
            return Problem(status, error.message, error.hint)
    else:
        # A connection that cannot be opened has no code.
        status = (
            503 if any(type(one).__name__ in ("OperationalError", "InterfaceError") for one in _chain(error)) else 500
        )
    logger.error("a request of <rowhooks-buttons> failed", exc_info=error)
    if status == 503:
        return Problem(status, "the database does not answer in time", "try again")
    return Problem(500, "something went wrong", "the server's log says what")
