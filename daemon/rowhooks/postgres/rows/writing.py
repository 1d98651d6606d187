"""What becomes of rows that a session writes: ours, or those of a user's own model."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, object_session
from sqlalchemy.orm.exc import StaleDataError

from rowhooks.domain.errors import ObjectGone, ReceiverError, RowhooksError
from rowhooks.domain.row_types import row_type_of, table_of
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.row_security import find_binding
from rowhooks.postgres.rows.suppression import Writes, counting_inserts


def label(row: Any) -> str:
    """Return what messages call a row: its table and its name."""
    found = row_type_of(type(row))
    return repr(row) if found is None else f"<{found.table_name} {found.name_of(row)}>"


def write(session: Session, row: Any, call: str, work: Callable[[Session], None]) -> None:
    """Do some work on one row, and check that it was done.

    Args:
        session: the run's; the row is added to it.
        row: the row.
        call: `save`, `delete` or `refresh_from_db`.
        work: writes or reads the row.

    Raises:
        ObjectGone: the row no longer exists, or this run has deleted it.
        WriteSuppressed: the row is there, and a trigger or a rule kept it from being written.
        PermissionDenied: the row is not there, or row security hides it.
        ReceiverError: the object is a copy of the row.
    """
    state = sqlalchemy.inspect(row)
    if state.obj() is not row:
        # A copy shares the state of its original: what it is assigned would be written nowhere.
        raise ReceiverError(f"{label(row)} is a copy of the row, which cannot be used for {call}()")
    if call != "delete" and (state.deleted or row in session.deleted):
        raise ObjectGone(f"{label(row)} no longer exists: this run has deleted it")
    if object_session(row) is None:
        session.add(row)
    inplace.attached(session, row)
    # These come first: after a flush that fails the session gives no answers and the object has no values.
    name, connection = label(row), session.connection()
    writes = _writes(row)
    try:
        with writes.watched(connection):
            work(session)
    except StaleDataError as error:
        raise (writes.problem or _not_there(row, name, connection)) from error
    except InvalidRequestError as error:
        if "Could not refresh" not in str(error):
            raise
        raise _not_there(row, name, connection) from error
    # SQLAlchemy does not report a row that was not deleted.
    if writes.problem is not None and not isinstance(writes.problem, ObjectGone):
        raise writes.problem


@contextlib.contextmanager
def checking_inserts(session: Session) -> Iterator[None]:
    """Check that the rows are there afterwards that a session inserts while the block runs.

    Raises:
        WriteSuppressed: a trigger or a rule kept one from being inserted.
        FlushError: the same, where the server was to choose the key: SQLAlchemy misses it.
    """
    new = list(session.new)
    if not new:
        yield
        return
    connection = session.connection()
    with counting_inserts(connection) as counts:
        yield
    expected = Counter(map(_table, new))
    for row in new:
        # A trigger may have written it elsewhere: into a table that inherits from this one.
        if counts[_table(row)] < expected[_table(row)] and not _writes(row).is_there(connection):
            raise _writes(row).find(connection, "INSERT")


def _table(row: Any) -> sqlalchemy.Table:
    table: sqlalchemy.Table = sqlalchemy.inspect(type(row)).local_table
    return table


def check_deleted(row: Any, connection: sqlalchemy.Connection) -> None:
    """Check that a row is gone which the session was to delete.

    Raises:
        WriteSuppressed: the row is there, and a trigger or a rule kept it from being deleted.
        PermissionDenied: the row is not there, or row security hides it.
    """
    problem = _writes(row).find(connection, "DELETE")
    if not isinstance(problem, ObjectGone):
        raise problem


def _writes(row: Any) -> Writes:
    mapper = sqlalchemy.inspect(type(row))
    identity = sqlalchemy.inspect(row).identity or ()
    # Of a class with joined inheritance, the mapper's key is that of the base's table.
    key = mapper.local_table.primary_key if mapper.inherits is not None else mapper.primary_key
    return Writes(mapper.local_table, list(zip(key, identity, strict=False)), label(row))


def _not_there(row: Any, name: str, connection: sqlalchemy.Connection) -> RowhooksError:
    binding = find_binding(connection, table_of(row) or "")
    if binding is not None:
        return binding.error(f"{name} is not found or may not be written")
    return ObjectGone(f"{name} no longer exists")
