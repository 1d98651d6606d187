"""Rows and changes of a rehearsal: the row that a run is about is found, or made, and changed."""

from __future__ import annotations

from datetime import timedelta

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound, UsageError
from rowhooks.domain.run import Press
from rowhooks.postgres.rehearsal.rows import Rows, address_of
from rowhooks.testing.arguments import Row, Tables, key_columns, key_value, table_name

LOCK_TIMEOUT = timedelta(seconds=3)
"""How long to wait for the lock of a table that is watched."""


class Arrangement:
    """Arranges the rows of a rehearsal.

    Args:
        rows: of its transaction.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def watch(self, table: TrackedTable, others: Tables | None) -> None:
        """Log the changes of a table from now on, and of others; None for all on which the role may make triggers."""
        self._rows.watch([table], LOCK_TIMEOUT)
        named = None if others is None else [self._rows.table(table_name(one)) for one in others]
        self._rows.watch(named, LOCK_TIMEOUT)

    def change(self, table: TrackedTable, before: Row | None, after: Row | None) -> ObjectChange | None:
        """Make the change that a run is for; what a commit checks is checked too.

        Args:
            table: where.
            before: as in `Rehearsal.run_hook`.
            after: as in `Rehearsal.run_hook`.

        Returns:
            The change as capture sees it; None for an update that changes nothing.
        """
        with self._rows.kept_together():
            change = self._change(table, before, after)
            self._rows.commit()
        return change

    def put(self, table: TrackedTable, row: Row) -> None:
        """Insert a row, or give these values to the row that has its key.

        Args:
            table: where.
            row: columns to values.
        """
        key = {name: row[name] for _, name, _ in table.key if name in row}
        found = self._rows.find(table, key, "row") if key and len(key) == len(table.key) else None
        if found is None:
            self._rows.insert(table, row, "row")
        else:
            self._rows.update(table, found[0], {name: value for name, value in row.items() if name not in key})

    def pressed_row(self, table: TrackedTable, row: Row | None, key: object) -> tuple[str, str]:
        """Return key (JSON text) and representation of the row that a button is pressed on.

        Args:
            table: where.
            row: the row, which is inserted unless it is there; None: the one with `key`.
            key: the value, or key columns to values.

        Raises:
            NotFound: no row has this key.
        """
        if row is not None:
            with self._rows.kept_together():
                arranged = self._arrange(table, row, "row")
                self._rows.commit()
            return arranged
        found = self._rows.find(table, key_columns(table, key), "key")
        if found is None:
            raise NotFound(
                f"{table.name} has no row with the key {key!r}", hint="insert it first, or give the row with row="
            )
        return found

    def _change(self, table: TrackedTable, before: Row | None, after: Row | None) -> ObjectChange | None:
        if before is None:
            assert after is not None
            begun = self._rows.last_change()
            self._rows.insert(table, after, "after")
            return self._made(table, begun, "create", None, "after")
        object_id, _ = self._arrange(table, before, "before")
        self._rows.commit()
        begun = self._rows.last_change()
        if after is None:
            self._rows.delete(table, object_id)
            return self._made(table, begun, "delete", object_id, "before")
        self._rows.update(table, object_id, after)
        return self._find(table, begun, "update", object_id)

    def _arrange(self, table: TrackedTable, row: Row, argument: str) -> tuple[str, str]:
        """Return address (see `address_of`) and representation of the row that is there, or is now inserted."""
        if table.key and set(row) == {name for _, name, _ in table.key}:
            found = self._rows.find(table, row, argument)
            if found is not None:
                return found
        begun = self._rows.last_change()
        self._rows.insert(table, row, argument)
        change = self._made(table, begun, "create", None, argument)
        return address_of(change), change.object_repr

    def _made(self, table: TrackedTable, begun: int, action: str, object_id: str | None, argument: str) -> ObjectChange:
        change = self._find(table, begun, action, object_id)
        if change is None:
            raise UsageError(
                f"{argument}: PostgreSQL did not {'insert' if action == 'create' else action} the row of {table.name}",
                hint="a trigger, a rule or row security keeps it from that",
            )
        return change

    def _find(self, table: TrackedTable, begun: int, action: str, object_id: str | None) -> ObjectChange | None:
        wanted = None if object_id is None or not table.key else Press(0, "", object_id, "", "").object_pk
        for change in self._rows.changes(begun):
            if change.table_id != table.id or change.action != action:
                continue
            if wanted is None or key_value(table, change.prechange or {}) == wanted:
                return change
        return None
