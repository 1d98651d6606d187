"""Suppressed writes: a row was to be written and was not. The server is asked why."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy

from rowhooks.domain.errors import ObjectGone, RowhooksError, WriteSuppressed
from rowhooks.domain.names import join_name
from rowhooks.postgres.rows.row_security import find_binding
from rowhooks.postgres.statements import Statements

_BITS = {"INSERT": 4, "UPDATE": 16, "DELETE": 8}
"""Of pg_trigger.tgtype (TRIGGER_TYPE_* in PostgreSQL's source); with 1, for each row, and 2, before it."""
_RULES = {"INSERT": "3", "UPDATE": "2", "DELETE": "4"}
"""Of pg_rewrite.ev_type."""
_SUPPRESSORS = sqlalchemy.text(Statements(__file__)["suppressors"])

_WATCH = "rowhooks_watch"
_KEPT = "rowhooks_kept"
_INSERTED = "rowhooks_inserted"


def watch_writes(engine: sqlalchemy.Engine) -> None:
    """Let `Writes` watch the statements of an engine."""
    # One listener for all: adding and removing one for each save would take time.
    sqlalchemy.event.listen(engine, "after_cursor_execute", _executed)


def _executed(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    if context.compiled is None:
        return
    if context.isinsert:
        counts = connection.info.get(_INSERTED)
        if counts is not None:
            counts[context.compiled.statement.table] += max(cursor.rowcount, 0)
        return
    watch = connection.info.get(_WATCH)
    if watch is not None:
        watch.note(connection, cursor, parameters, context)
    elif context.isdelete and _is_short(cursor, parameters, executemany):
        connection.info[_KEPT] = True


def _is_short(cursor: Any, parameters: Any, executemany: bool) -> bool:
    return bool(cursor.rowcount < (len(parameters) if executemany else 1))


def take_kept(connection: sqlalchemy.Connection) -> bool:
    """Say once whether a statement that was not watched has deleted fewer rows than it should."""
    return bool(connection.info.pop(_KEPT, False))


@contextlib.contextmanager
def counting_inserts(connection: sqlalchemy.Connection) -> Iterator[Counter[sqlalchemy.Table]]:
    """Count the rows that are inserted into each table while the block runs."""
    counts: Counter[sqlalchemy.Table] = Counter()
    info = connection.info
    info[_INSERTED] = counts
    try:
        yield counts
    finally:
        info.pop(_INSERTED, None)


class Writes:
    """What the statements of one flush do to one row.

    Args:
        table: the row's table.
        key: the row's key, columns with values.
        name: the row's name in messages.
    """

    def __init__(self, table: sqlalchemy.Table, key: Sequence[tuple[Any, Any]], name: str) -> None:
        self._table = table
        self._key = key
        self._name = name
        self.problem: RowhooksError | None = None

    @contextlib.contextmanager
    def watched(self, connection: sqlalchemy.Connection) -> Iterator[None]:
        """Watch what is written while the block runs. After a failure it would be too late: the transaction is gone."""
        # Kept, because a connection that is lost meanwhile does not give its `info` any more.
        info = connection.info
        info[_WATCH] = self
        try:
            yield
        finally:
            info.pop(_WATCH, None)

    def note(self, connection: sqlalchemy.Connection, cursor: Any, parameters: Any, context: Any) -> None:
        """Check that a statement has written all of its rows."""
        if not (context.isupdate or context.isdelete) or context.compiled.statement.table is not self._table:
            return
        if _is_short(cursor, parameters, context.executemany):
            self.problem = self.find(connection, "UPDATE" if context.isupdate else "DELETE")

    def find(self, connection: sqlalchemy.Connection, action: str) -> RowhooksError:
        """Return an error that says why an INSERT, UPDATE or DELETE has not written the row."""
        binding = find_binding(connection, join_name(str(self._table.schema), self._table.name))
        if binding is not None:
            return binding.error(f"{self._name} is not found or may not be written")
        if action != "INSERT" and not self.is_there(connection):
            return ObjectGone(f"{self._name} no longer exists")
        there = "" if action == "INSERT" else ", though the row is there"
        return WriteSuppressed(
            f"{action} of {self._name} wrote nothing{there}: suppressed by {self._suppressors(connection, action)}",
            hint=f"look at the table's triggers and rules: in psql, \\d {self._quoted(connection)}",
        )

    def is_there(self, connection: sqlalchemy.Connection) -> bool:
        """Say whether the row is there."""
        conditions = [column == value for column, value in self._key]
        query = sqlalchemy.select(sqlalchemy.literal(1)).select_from(self._table).where(*conditions)
        return connection.execute(query).first() is not None

    def _suppressors(self, connection: sqlalchemy.Connection, action: str) -> str:
        found = connection.execute(
            _SUPPRESSORS, {"relation": self._quoted(connection), "bit": _BITS[action], "rule": _RULES[action]}
        )
        return ", ".join(row[0] for row in found) or "the table itself (a partition's trigger, or a foreign server)"

    def _quoted(self, connection: sqlalchemy.Connection) -> str:
        return connection.dialect.identifier_preparer.format_table(self._table)
