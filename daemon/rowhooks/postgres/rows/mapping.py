"""Row objects: a class for each table, whose instances are its rows."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import sqlalchemy
from sqlalchemy.orm import InstrumentedAttribute, Session, object_session

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.row_types import RowType, row_type_of
from rowhooks.domain.tables import current_rows
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.writing import write

WORKSPACE = "rowhooks_workspace"
"""The key of a weak reference to the run's workspace in the `info` of its session."""

_OURS = ("__", "_sa_", "_rowhooks_")
_DJANGO = {
    "objects": "a class has no manager here: self.session.scalars(select({cls}).where(...))",
    "DoesNotExist": "self.session.get() returns None where there is no row",
    "full_clean": "PostgreSQL checks a row when save() writes it",
    "clean": "PostgreSQL checks a row when save() writes it",
    "validated_data": "PostgreSQL checks a row when save() writes it",
}
"""What Django's and Nautobot's models have and these do not."""


class SessionHolder(Protocol):
    """A run's workspace, as far as objects need it."""

    is_asynchronous: bool
    """Whether the receiver is `async def`."""

    @property
    def can_wait(self) -> bool:
        """Whether the code that asks may wait for the database: an `async def` receiver has to await what does."""
        ...

    @property
    def synchronous_session(self) -> Session:
        """The session; where the receiver is `async def`, the one beneath its own."""
        ...

    def with_session(self, work: Any, call: Callable[[], str]) -> Any:
        """Do some work on the run's session; in `async def` receivers an awaitable, which messages name by `call`."""
        ...


class ClassOwner(Protocol):
    """What has made the classes, and knows their relations."""

    def add_relation(self, cls: type, name: str) -> bool:
        """Give a class the relation of a name; False if it has none.

        Raises:
            AttributeError: several relations could be meant.
            ReceiverError: the table that it leads to cannot be mapped, or is not known yet.
        """
        ...

    def relation_names(self, cls: type) -> list[str]:
        """Return what the relations of a class are called."""
        ...

    def missed(self) -> None:
        """Take note that something was asked for that is not known: the table may have been altered."""
        ...


class RowMeta(type):
    """The class of row classes. A relation is made when it is first asked for."""

    _rowhooks_owner: ClassOwner
    _rowhooks_pending: Mapping[str, type] = {}
    """The relations that are being made, and what their attributes are; other threads wait for these."""

    def __setattr__(cls, name: str, value: Any) -> None:
        kind = cls._rowhooks_pending.get(name)
        if kind is not None:
            value.__class__ = kind
        super().__setattr__(name, value)

    def __getattr__(cls, name: str) -> Any:
        if not name.startswith(_OURS):
            if cls._rowhooks_owner.add_relation(cls, name):
                return type.__getattribute__(cls, name)
            raise _unknown(cls, name)
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")


class RowObject(metaclass=RowMeta):
    """A row of a table, with an attribute for each column and for each relation that its foreign keys make.

    `save`, `delete` and `refresh_from_db` work in the run's transaction; in `async def` receivers they are awaited. A
    column whose name one of them (or SQLAlchemy's `metadata`) already has is the attribute of its name and `_`. Each
    column, whatever its name, is also an item: `obj["save"]`.

    Args:
        values: columns and relations of a new row; `save()` inserts it.
    """

    _rowhooks_repr: tuple[str, ...] = ()
    _rowhooks_workspace: SessionHolder | None = None
    _rowhooks_followed: Mapping[str, Sequence[str]] = {}
    """The relations that follow each attribute of a key."""

    def __init__(self, **values: Any) -> None:
        attributes = _row_type(self).attributes
        for name, value in values.items():
            setattr(self, attributes.get(name, name), value)

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

    def __copy__(self) -> Any:
        return self.__deepcopy__({}, lambda value, _: value)

    def __deepcopy__(self, memo: dict[int, Any], copied: Callable[[Any, Any], Any] = copy.deepcopy) -> Any:
        """Return an object to compare with: it has the values of the columns, and cannot be saved."""
        twin = memo[id(self)] = type(self).__new__(type(self))
        columns = set(_row_type(self).attributes.values())
        for name, value in self.__dict__.items():
            twin.__dict__[name] = copied(value, memo) if name in columns else value
        return twin

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"a row of {_row_type(self).table_name} is bound to its run: hand on its key (row.pk) instead")

    @property
    def pk(self) -> Any:
        """The row's key: its value where it is one column, else a mapping of key columns to values."""
        rows = _row_type(self)
        names = [column.name for column in rows.key]
        values = {name: getattr(self, rows.attributes[name]) for name in names}
        return values[names[0]] if len(names) == 1 else values

    @property
    def awaitable_attrs(self) -> AwaitableAttributes:
        """The attributes, each to be awaited: `await device.awaitable_attrs.location`; for `async def` receivers."""
        return AwaitableAttributes(self)

    def save(self) -> Any:
        """Write the attributes that were assigned, or altered in place, since the row was loaded. Insert a new row.

        Raises:
            ObjectGone: the row no longer exists, or this run has deleted it.
            WriteSuppressed: the row is there, and a trigger or a rule kept it from being written.
            PermissionDenied: the row is not there, or row security hides it.
            ReceiverError: the object is a copy of the row.
        """
        return self._work("save", lambda session: session.flush())

    def validated_save(self) -> Any:
        """Do what `save` does (Nautobot's name): PostgreSQL validates what is written."""
        return self._work("validated_save", lambda session: session.flush())

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

    def __getattr__(self, name: str) -> Any:
        cls = type(self)
        if name.startswith(_OURS):
            raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
        # Another thread may have made the relation meanwhile.
        if name in cls.__dict__ or cls._rowhooks_owner.add_relation(cls, name):
            return object.__getattribute__(self, name)
        raise _unknown(cls, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # An attribute that is no column would be written nowhere.
        if not name.startswith("_") and not isinstance(_found(type(self), name), InstrumentedAttribute):
            raise _unknown(type(self), name, "which could be saved")
        for relation in self._rowhooks_followed.get(name, ()):
            self._check_undecided(relation, name, value)
        super().__setattr__(name, value)

    def _check_undecided(self, relation: str, column: str, value: Any) -> None:
        """Refuse a key beside a row that was assigned to the key's relation and is another: only one can be written."""
        if relation in sqlalchemy.inspect(self).committed_state and getattr(self, column) != value:
            raise ReceiverError(
                f"{_row_type(self).table_name}.{column} is decided by {relation}, which was assigned and is not saved",
                hint=f"assign another row to {relation}, or save() first",
            )

    def _work(self, call: str, work: Callable[[Session], None]) -> Any:
        return workspace_of(self).with_session(
            lambda session: write(session, self, call, work), lambda: f"{call}() of {self!r}"
        )

    def __str__(self) -> str:
        values = (self.__dict__.get(name) for name in self._rowhooks_repr)
        return ", ".join(str(value) for value in values if value is not None)

    def __repr__(self) -> str:
        return f"<{_row_type(self).table_name} {self}>"


class AwaitableAttributes:
    """The attributes of a row of an `async def` receiver, each to be awaited.

    Args:
        row: the row.
    """

    def __init__(self, row: RowObject) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        row = self._row
        workspace = workspace_of(row)
        if not workspace.is_asynchronous:
            raise ReceiverError(f"a plain receiver awaits nothing: row.{name} instead of row.awaitable_attrs.{name}")
        return workspace.with_session(lambda session: getattr(row, name), lambda: f"awaitable_attrs.{name} of {row!r}")


def workspace_of(row: Any) -> SessionHolder:
    """Return the workspace of the run to which a row belongs, or in which the present code runs.

    Raises:
        RuntimeError: there is none.
    """
    found: Any = row.__dict__.get("_rowhooks_workspace")
    if found is None and (session := object_session(row)) is not None and WORKSPACE in session.info:
        found = session.info[WORKSPACE]()
    found = found or current_rows.get()
    if found is None:
        raise RuntimeError(f"{row!r} belongs to no run")
    workspace: SessionHolder = found
    return workspace


def _row_type(row: RowObject) -> RowType:
    found = row_type_of(type(row))
    assert found is not None
    return found


def _found(cls: type, name: str) -> Any:
    try:
        return getattr(cls, name)
    except AttributeError:
        return None


def _unknown(cls: RowMeta, name: str, meant: str = "") -> AttributeError:
    """Return an error that says what a row has of names like this one."""
    rows = row_type_of(cls)
    if rows is None:
        return AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
    cls._rowhooks_owner.missed()
    columns, relations = list(rows.attributes.values()), cls._rowhooks_owner.relation_names(cls)
    known = [*columns, *relations]
    nearest = [f"{name}_"] if f"{name}_" in known else difflib.get_close_matches(name, known, cutoff=0.5)
    said = f"nearest: {', '.join(nearest)}" if nearest else f"columns: {', '.join(columns)}"
    if relations and not nearest:
        said += f"; relations: {', '.join(relations)}"
    if name in _DJANGO:
        said = _DJANGO[name].format(cls=cls.__name__)
    kind = f"column {name!r}, {meant}" if meant else f"column or relation {name!r}"
    return AttributeError(f"{rows.table_name} has no {kind} ({said})", name=name)


_TAKEN = (set(dir(RowObject)) - {"pk"}) | {"metadata", "registry"}


def attribute_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the attribute for each column: its name, with `_` behind it as often as the name is taken."""
    found = {name: name for name in columns}
    for name in found:
        attribute = name
        while attribute in _TAKEN or attribute.startswith(_OURS) or (attribute != name and attribute in found):
            attribute = f"c{attribute}" if attribute.startswith(_OURS) else f"{attribute}_"
        found[name] = attribute
    return found


def names_taken() -> frozenset[str]:
    """Return the names that no relation can have."""
    return frozenset(_TAKEN | {"pk"})
