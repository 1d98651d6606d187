"""Row objects: a class for each tracked table, whose instances are its rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import sqlalchemy
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import InstrumentedAttribute, Session, object_session, registry
from sqlalchemy.orm.exc import StaleDataError

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound, ObjectGone, ReceiverError, RowhooksError
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.columns import read_columns
from rowhooks.postgres.rows.key_columns import KeyColumn, read_key_columns
from rowhooks.postgres.rows.row_security import find_binding
from rowhooks.postgres.rows.suppression import Writes


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

    __rowhooks_table__: str
    __rowhooks_repr__: tuple[str, ...]
    __rowhooks_attributes__: dict[str, str]
    __rowhooks_key__: tuple[KeyColumn, ...]
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
        try:
            return self.__rowhooks_attributes__[column]
        except KeyError:
            names = ", ".join(self.__rowhooks_attributes__)
            raise KeyError(f"{self.__rowhooks_table__} has no column {column!r}; it has {names}") from None

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
        return AttributeError(f"{self.__rowhooks_table__} has no column {name!r}, which could be saved ({named})")

    def _work(self, call: str, work: Callable[[Session], None]) -> Any:
        if self._rowhooks_workspace is None:
            raise RuntimeError(f"{self!r} belongs to no run")

        def with_object(session: Session) -> None:
            state = sqlalchemy.inspect(self)
            if state.obj() is not self:
                # A copy shares the state of its original: what it is assigned would be written nowhere.
                raise ReceiverError(f"{self!r} is a copy of the row, which cannot be used for {call}()")
            if call != "delete" and (state.deleted or self in session.deleted):
                raise ObjectGone(f"{self!r} no longer exists: this run has deleted it")
            if object_session(self) is None:
                session.add(self)
            inplace.attached(session, self)
            # These come first: after a flush that fails the session gives no answers and the object has no values.
            name, connection = repr(self), session.connection()
            writes = self._writes(name)
            try:
                with writes.watched(connection):
                    work(session)
            except StaleDataError as error:
                raise (writes.problem or self._not_there(name, connection)) from error
            except InvalidRequestError as error:
                if "Could not refresh" not in str(error):
                    raise
                raise self._not_there(name, connection) from error
            # SQLAlchemy does not report a row that was not deleted.
            if writes.problem is not None and not isinstance(writes.problem, ObjectGone):
                raise writes.problem

        return self._rowhooks_workspace.with_session(with_object, lambda: f"{call}() of {self!r}")

    def _writes(self, name: str) -> Writes:
        mapper = sqlalchemy.inspect(type(self))
        identity = sqlalchemy.inspect(self).identity or ()
        return Writes(mapper.local_table, list(zip(mapper.primary_key, identity, strict=False)), name)

    def check_deleted(self, connection: sqlalchemy.Connection) -> None:
        """Check that a row is gone which the session was to delete.

        Raises:
            WriteSuppressed: the row is there, and a trigger or a rule kept it from being deleted.
            PermissionDenied: the row is not there, or row security hides it.
        """
        problem = self._writes(repr(self)).find(connection, "DELETE")
        if not isinstance(problem, ObjectGone):
            raise problem

    def _not_there(self, name: str, connection: sqlalchemy.Connection) -> RowhooksError:
        binding = find_binding(connection, self.__rowhooks_table__)
        if binding is not None:
            return binding.error(f"{name} is not found or may not be written")
        return ObjectGone(f"{name} no longer exists")

    def __str__(self) -> str:
        values = (self.__dict__.get(name) for name in self.__rowhooks_repr__)
        return ", ".join(str(value) for value in values if value is not None)

    def __repr__(self) -> str:
        return f"<{self.__rowhooks_table__} {self}>"


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


def reflect(connection: sqlalchemy.Connection, table: TrackedTable) -> type[RowObject]:
    """Return a class for the rows of a table.

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
    cls = type(
        table.table_name,
        (RowObject,),
        {
            "__rowhooks_table__": table.name,
            "__rowhooks_key__": keys,
            "__rowhooks_attributes__": attributes,
            "__rowhooks_repr__": tuple(attributes[name] for name in representing or names),
        },
    )
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
    return cls
