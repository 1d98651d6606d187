"""Values of rows in error messages: the server quotes what it refuses, and many may read a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HIDDEN = "(left out: it has values of the row)"
_REFUSED_DATA = ("22", "23")
"""Classes of SQLSTATE whose details quote rows: data exceptions, and violated constraints."""


def without_row_data(text: str, error: BaseException | None) -> str:
    """Return a text about an error of a driver without what the server quotes of a row.

    Args:
        text: a message, or a traceback.
        error: the error, or one that was raised from it.
    """
    for one in _drivers_errors(error):
        if not str(one.sqlstate or "").startswith(_REFUSED_DATA):
            continue
        for quoted in (one.message_detail, one.context):
            # What ran is told; the line of a COPY and the parameters of a statement are data.
            if quoted and (quoted == one.message_detail or "COPY " in quoted or "$1 = " in quoted):
                text = text.replace(quoted, HIDDEN)
    return text


def _drivers_errors(error: BaseException | None) -> Iterator[Any]:
    """Yield the diagnostics of psycopg's errors that an error comes from; SQLAlchemy wraps them."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if (diagnostics := getattr(one, "diag", None)) is not None and hasattr(diagnostics, "message_detail"):
            yield diagnostics
        waiting += [one.__cause__, one.__context__, getattr(one, "orig", None)]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
