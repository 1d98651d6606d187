"""What a test gives for a row: values as JSON that PostgreSQL reads, and what is said where it refuses them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import psycopg

from rowhooks.domain import exact
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import Conflict, UsageError


def as_json(values: Mapping[str, Any], argument: str) -> str:
    """Return values as JSON text.

    Args:
        values: columns to values.
        argument: what they were given as, for messages.

    Raises:
        UsageError: JSON cannot hold them.
    """
    try:
        # In a document, a Decimal is a number too.
        return exact.write(_plain(values))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{argument}: JSON cannot hold {dict(values)!r}: {error}") from error


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold and PostgreSQL reads as the same; the rest travels as text."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value


@contextlib.contextmanager
def refusals_of(table: TrackedTable, argument: str) -> Iterator[None]:
    """Translate what PostgreSQL refuses of a row that a test has given.

    Args:
        table: where it was to be written.
        argument: what the row was given as.

    Raises:
        UsageError: a value is missing, or none of its column's type.
        Conflict: there is such a row already.
    """
    try:
        yield
    except psycopg.errors.NotNullViolation as error:
        if not _is_of(error, table):
            raise
        raise UsageError(
            f"{argument}: table {table.name} needs a value for column {error.diag.column_name!r}",
            hint=f"add it to {argument}",
        ) from error
    except psycopg.errors.UniqueViolation as error:
        if not _is_of(error, table):
            raise
        raise Conflict(
            f"{argument}: {table.name} has such a row already: {error.diag.message_detail}",
            hint="to use the row that is there, name nothing but its key",
        ) from error
    except (psycopg.errors.DataError, psycopg.errors.GeneratedAlways) as error:
        raise UsageError(
            f"{argument}: {table.name}: {error.diag.message_primary}", hint=error.diag.message_detail
        ) from error


def _is_of(error: psycopg.Error, table: TrackedTable) -> bool:
    # A trigger of the user's may have written to another table.
    return (error.diag.schema_name, error.diag.table_name) == (table.schema_name, table.table_name)
