"""Row objects: a class for each tracked table, whose instances are its rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import sqlalchemy
from sqlalchemy.orm import InstrumentedAttribute, Session, registry

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound
from rowhooks.domain.row_types import RowType, row_type_of
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.columns import read_columns
from rowhooks.postgres.rows.key_columns import read_key_columns
from rowhooks.postgres.rows.writing import write


class SessionHolder(Protocol):
    """A run's workspace, as far as objects need it."""

    def with_session(self, work: Any, call: Callable[[], str]) -> Any:
        """Do some work on the run's session; in `async def` receivers an awaitable, which messages name by `call`."""
        ...


class RowObject:
    """A row of a tracked table, with an attribute for each column.

    `save`, `delete` and `refresh_from_db` work in the run's transaction; in `async def` receivers they are awaited. A
    column whose name one of them (or SQLAlchemy's `metadata`) already has is the attribute of its name and `_`. Each
    column, whatever its name, is also an item: `obj["save"]`.
    """

    _rowhooks_repr: tuple[str, ...] = ()
    _rowhooks_workspace: SessionHolder | None = None

    def attach(self, workspace: SessionHolder) -> None:
        """Bind the object to a run's workspace."""
        self._rowhooks_workspace = workspace

    __iter__ = None

    def __getitem__(self, column: str) -> Any:
        return getattr(self, self._attribute_of(column))

    def __setitem__(self, column: str, value: Any) -> None:
        setattr(self, self._attribute_of(column), value)

    def _attribute_of(self, column: str) -> str:
        rows = _row_type(self)
        try:
            return rows.attributes[column]
        except KeyError:
            names = ", ".join(rows.attributes)
            raise KeyError(f"{rows.table_name} has no column {column!r}; it has {names}") from None

    def save(self) -> Any:
        """Write the attributes that were assigned, or altered in place, since the row was loaded.

        Raises:
            ObjectGone: the row no longer exists, or this run has deleted it.
            WriteSuppressed: the row is there, and a trigger or a rule kept it from being written.
            PermissionDenied: the row is not there, or row security hides it.
            ReceiverError: the object is a copy of the row.
        """
        return self._work("save", lambda session: session.flush())

    def delete(self) -> Any:
        """Delete the row. It is no error if the row no longer exists.

        Raises:
            WriteSuppressed: the row is there, and a trigger or a rule kept it from being deleted.
            PermissionDenied: the row is not there, or row security hides it.
            ReceiverError: the object is a copy of the row.
        """

        def work(session: Session) -> None:
            session.delete(self)
            session.flush()

        return self._work("delete", work)

    def refresh_from_db(self) -> Any:
        """Read the row again. What was assigned and not saved is given up.

        Raises:
            ObjectGone: the row no longer exists.
            PermissionDenied: the row is not there, or row security hides it.
            ReceiverError: the object is a copy of the row.
        """

        def work(session: Session) -> None:
            inplace.forget(self)
            session.refresh(self)

        return self._work("refresh_from_db", work)

    def __setattr__(self, name: str, value: Any) -> None:
        # An attribute that is no column would be written nowhere.
        if not name.startswith("_") and not isinstance(getattr(type(self), name, None), InstrumentedAttribute):
            raise self._no_column(name)
        super().__setattr__(name, value)

    def _no_column(self, name: str) -> AttributeError:
        columns = [attribute.key for attribute in sqlalchemy.inspect(type(self)).column_attrs]
        nearest = [f"{name}_"] if f"{name}_" in columns else difflib.get_close_matches(name, columns, cutoff=0.5)
        named = f"nearest: {', '.join(nearest)}" if nearest else f"columns: {', '.join(columns)}"
        return AttributeError(f"{_row_type(self).table_name} has no column {name!r}, which could be saved ({named})")

    def _work(self, call: str, work: Callable[[Session], None]) -> Any:
        if self._rowhooks_workspace is None:
            raise RuntimeError(f"{self!r} belongs to no run")
        return self._rowhooks_workspace.with_session(
            lambda session: write(session, self, call, work), lambda: f"{call}() of {self!r}"
        )

    def __str__(self) -> str:
        values = (self.__dict__.get(name) for name in self._rowhooks_repr)
        return ", ".join(str(value) for value in values if value is not None)

    def __repr__(self) -> str:
        return f"<{_row_type(self).table_name} {self}>"


def _row_type(row: RowObject) -> RowType:
    found = row_type_of(type(row))
    assert found is not None
    return found


_TAKEN = set(dir(RowObject)) | {"metadata", "registry"}
_RESERVED = ("__", "_sa_", "_rowhooks_")


def attribute_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the attribute for each column: its name, with `_` behind it as often as the name is taken."""
    found = {name: name for name in columns}
    for name in found:
        attribute = name
        while attribute in _TAKEN or attribute.startswith(_RESERVED) or (attribute != name and attribute in found):
            attribute = f"c{attribute}" if attribute.startswith(_RESERVED) else f"{attribute}_"
        found[name] = attribute
    return found


def reflect(connection: sqlalchemy.Connection, table: TrackedTable) -> RowType:
    """Return the row type of a table, with a class of its own.

    Raises:
        NotFound: the table no longer exists.
    """
    names = [name for _, name, _ in table.key]
    columns = read_columns(connection, table.relation, names)
    if not columns:
        raise NotFound(f"table {table.name} no longer exists", hint="run: rowhooks doctor")
    keys = read_key_columns(connection, table)
    reflected = sqlalchemy.Table(table.table_name, sqlalchemy.MetaData(), *columns, schema=table.schema_name)
    attributes = attribute_names(column.name for column in reflected.c)
    representing = [column.name for column in reflected.c if column.name == table.repr_column]
    named_by = tuple(attributes[name] for name in representing or names)
    cls = type(table.table_name, (RowObject,), {"_rowhooks_repr": named_by})
    registry().map_imperatively(
        cls,
        reflected,
        primary_key=[reflected.c[name] for name in names],
        # RETURNING brings generated columns and defaults back, which an object of an AsyncSession cannot load later.
        eager_defaults=True,
        properties={attributes[column.name]: column for column in reflected.c},
        confirm_deleted_rows=False,
    )
    inplace.watch(cls)
    return RowType(cls, table.name, keys, attributes)


def describe_model(connection: sqlalchemy.Connection, table: TrackedTable, model: type) -> RowType:
    """Return the row type of a user's own class.

    Raises:
        NotFound: a column of the table's key no longer exists.
    """
    mapper: Any = sqlalchemy.inspect(model)
    attributes = {
        column.name: mapper.get_property_by_column(column).key
        for column in mapper.local_table.c
        if column in mapper.columns
    }
    return RowType(model, table.name, read_key_columns(connection, table), attributes)
