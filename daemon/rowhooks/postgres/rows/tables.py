"""The tables of one database as classes, as they are now: for loading, for relations, for `table()`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import inspection

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound
from rowhooks.domain.row_types import RowType, RowTypes
from rowhooks.domain.tables import TableType, named_tables
from rowhooks.postgres.rows.catalogue import find_tables, read_readable_shapes, read_shapes
from rowhooks.postgres.rows.classes import RowClasses
from rowhooks.postgres.rows.model_tables import ModelTables
from rowhooks.postgres.rows.models import Models
from rowhooks.postgres.rows.shapes import Shape


class Tables:
    """The classes of the tables of one database. Several threads use them.

    A table that was altered gets a new class, and so does each that may be related to it. Runs that go on keep the
    classes that they have.

    Args:
        models: users' own classes for rows.
    """

    def __init__(self, models: Models | None = None) -> None:
        self.row_types = RowTypes()
        self._models = ModelTables(models or Models())
        self._lock = threading.Lock()
        self._classes = self._made((), {})
        self.outdated: Callable[[], None] = lambda: None
        """Told when a table may have been altered; called from any thread."""

    @property
    def classes(self) -> RowClasses:
        """The classes of the tables as they are now."""
        return self._classes

    def learn(
        self, connection: sqlalchemy.Connection, tracked: Iterable[TrackedTable], used: Collection[int]
    ) -> list[str]:
        """Learn how tables are now: those that are used, and those that `table()` was called with.

        Args:
            connection: any connection.
            tracked: the tracked tables.
            used: the oids of those that are used.

        Returns:
            The names that no table has.
        """
        tracked = list(tracked)
        self._models.learn(connection, tracked)
        names = named_tables()
        relations = {*used, *find_tables(connection, names), *self._classes.shapes}
        shapes = read_readable_shapes(connection, relations)
        self._take(shapes, {table.relation: table for table in tracked})
        there = {shape.name for shape in shapes}
        return [name for name in names if name not in there]

    def look_again(self, connection: sqlalchemy.Connection) -> None:
        """Learn how the tables are now that are known."""
        self.learn(connection, self._classes.tracked.values(), ())

    def row_type(self, connection: sqlalchemy.Connection, table: TrackedTable) -> RowType:
        """Return the row type of a tracked table.

        Raises:
            NotFound: the table no longer exists, or a column of its key does not.
            ReceiverError: the user's own class for the table cannot be used.
        """
        known = self.row_types.of_table(table)
        if known is not None:
            return known
        self._models.find(connection)
        classes = self._classes
        if classes.tracked.get(table.relation) != table or table.relation not in classes.shapes:
            # It was altered or renamed.
            self._take(read_shapes(connection, [table.relation]), {**classes.tracked, table.relation: table})
            classes = self._classes
        found = classes.row_type(table.relation, lambda: connection)
        if found is None:
            raise NotFound(f"nothing tells the rows of {table.name} apart", hint="run: rowhooks doctor")
        self.row_types.learn(table, found)
        return found

    def _take(self, shapes: Iterable[Shape], tracked: Mapping[int, TrackedTable]) -> None:
        """Take over what is known of tables now. Where it differs from what was known, there are new classes."""
        with self._lock:
            classes = self._classes
            known = {shape.relation: shape for shape in shapes}
            # Copied at once: a run may look up another table meanwhile.
            before = dict(classes.shapes)
            is_altered = any(before.get(relation, shape) != shape for relation, shape in known.items()) or any(
                classes.tracked.get(relation) != tracked.get(relation) for relation in before
            )
            if is_altered:
                self._classes = self._made({**before, **known}.values(), tracked)
                self.row_types.forget()
            else:
                classes.add_shapes(known.values())
                classes.tracked = tracked

    def _made(self, shapes: Iterable[Shape], tracked: Mapping[int, TrackedTable]) -> RowClasses:
        return RowClasses(self._models, shapes, tracked, lambda: self.outdated())


class _Unkeyed:
    """What SQLAlchemy finds where nothing tells the rows of a table apart: a table, and no class."""

    is_mapper = is_aliased_class = False
    is_selectable = True

    def __init__(self, table: sqlalchemy.Table) -> None:
        self._table = table

    def __clause_element__(self) -> sqlalchemy.Table:
        return self._table


# What `table()` returns is no mapped class: SQLAlchemy asks here what it stands for.
@inspection._inspects(TableType)  # noqa: SLF001  (as its own kinds of entity are made known)
def _inspected(subject: TableType) -> Any:
    found = subject._row_class  # noqa: SLF001
    return sqlalchemy.inspect(found) if isinstance(found, type) else _Unkeyed(found)
