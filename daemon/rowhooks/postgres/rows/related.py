"""Relations of rows: how they are read and assigned, wherever the row comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy
from sqlalchemy.orm import InstrumentedAttribute, Session, object_session
from sqlalchemy.orm.attributes import set_attribute, set_committed_value

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.row_types import row_type_of
from rowhooks.postgres.rows.mapping import workspace_of
from rowhooks.postgres.rows.row_security import find_binding

_DELETIONS = "_rowhooks_deletions"
"""By relation of a row: the last deletion that it has taken note of, and the rows that it has left out since."""
_NEVER: list[Any] = [None]
_NONE: dict[str, Any] = {}
_NONE_YET: tuple[Any, tuple[Any, ...]] = (None, ())


class RelatedRows(list[Any]):
    """The rows that refer to a row: a list, with the calls of a Django manager that need no query."""

    def all(self) -> list[Any]:
        """Return the rows as a list of their own."""
        return list(self)

    def first(self) -> Any:
        """Return the first row; None where there is none."""
        return self[0] if self else None

    def exists(self) -> bool:
        """Say whether there is a row."""
        return bool(self)

    def count(self, *value: Any) -> int:
        """Return how many rows there are; with a value, how often it is among them."""
        return super().count(*value) if value else len(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise AttributeError(
            f"rows that are related are a list, which has no {name!r}: go through it with for,"
            " or query with self.session.scalars(select(...).where(...))"
        )


class Related(InstrumentedAttribute[Any]):
    """An attribute that is a relation. While one thread makes it, others wait for it."""

    __slots__ = ()
    inherit_cache = True

    def __get__(self, instance: Any, owner: Any) -> Any:
        if self.key in vars(owner).get("_rowhooks_pending", ()):
            vars(owner)["_rowhooks_owner"].add_relation(owner, self.key)
        if instance is None:
            return super().__get__(instance, owner)
        values = instance.__dict__
        self.leave_out_deleted(instance)
        if self.key in values and not self._is_outdated(instance):
            return values[self.key]
        if not workspace_of(instance).can_wait:
            raise ReceiverError(
                f"{_path(self, instance)} is not loaded, and an async def receiver has to await it",
                hint=f"await row.awaitable_attrs.{self.key}, or class Meta: load = [{self.key!r}]",
            )
        if object_session(instance) is None:
            return self._load(instance)
        value = super().__get__(instance, owner)
        if value is None:
            self._check_hidden(instance, object_session(instance))
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        # Whether it is there was asked first, of the class: see RowObject.
        if self._is_forward:
            if value is not None and not isinstance(value, self.property.mapper.class_):
                raise ReceiverError(
                    f"{_path(self, instance)} takes a row of {_table_of(self.property.mapper.class_)}, not {value!r}",
                    hint="a key is assigned to the column: " + ", ".join(own for own, _ in self._pairs(instance)),
                )
            for own, theirs in self._pairs(instance):
                key = None if value is None else getattr(value, theirs)
                if value is None or key is not None:
                    set_attribute(instance, own, key)
        super().__set__(instance, value)

    @property
    def _is_forward(self) -> bool:
        return bool(self.property.direction.name == "MANYTOONE")

    def _pairs(self, instance: Any) -> list[tuple[str, str]]:
        """Return the attributes that are equal on both sides, this row's first."""
        here, there = sqlalchemy.inspect(type(instance)), self.property.mapper
        return [
            (here.get_property_by_column(own).key, there.get_property_by_column(theirs).key)
            for own, theirs in self.property.local_remote_pairs
        ]

    def _is_outdated(self, instance: Any) -> bool:
        """Say whether the key of a row that was loaded was assigned since, and forget that row."""
        if not self._is_forward or self.key in sqlalchemy.inspect(instance).committed_state:
            return False
        value = instance.__dict__[self.key]
        for own, theirs in self._pairs(instance):
            if own not in instance.__dict__:
                return False
            key = instance.__dict__[own]
            if value is None and key is None:
                return False
            if value is not None and value.__dict__.get(theirs, key) == key:
                continue
            del instance.__dict__[self.key]
            return True
        return False

    def leave_out_deleted(self, instance: Any) -> None:
        """Leave out rows that this run has deleted; a list that is gone through stays as it is."""
        values = instance.__dict__
        last: list[Any] = vars(self.property.mapper.class_).get("_rowhooks_deleted", _NEVER)
        seen, gone = values.get(_DELETIONS, _NONE).get(self.key, _NONE_YET)
        if not all(map(_is_deleted, gone)):
            # A savepoint was rolled back: they are there again, and the relation is read again.
            values[_DELETIONS] = {**values[_DELETIONS], self.key: _NONE_YET}
            if self.key not in sqlalchemy.inspect(instance).committed_state:
                values.pop(self.key, None)
        elif seen is not last[0] and self.key in values:
            gone = (*gone, *self._without_deleted(instance))
            values[_DELETIONS] = {**values.get(_DELETIONS, _NONE), self.key: (last[0], gone)}

    def _without_deleted(self, instance: Any) -> list[Any]:
        value, changed = instance.__dict__[self.key], sqlalchemy.inspect(instance).committed_state
        if not self.property.uselist:
            gone = [value] if value is not None and self.key not in changed and _is_deleted(value) else []
            if gone:
                # Where the key leads to is asked again.
                del instance.__dict__[self.key]
            return gone
        gone = [one for one in value if _is_deleted(one)]
        if gone:
            before = changed.get(self.key)
            set_committed_value(instance, self.key, [one for one in value if not _is_deleted(one)])
            if isinstance(before, list):
                changed[self.key] = type(before)(one for one in before if not _is_deleted(one))
        return gone

    def _load(self, instance: Any) -> Any:
        """Load the relation of a row that is in no session, which stays so: what it was assigned is not written yet."""
        session = workspace_of(instance).synchronous_session
        pairs = self._pairs(instance)
        target = self.property.mapper.class_
        values = [getattr(instance, own) for own, _ in pairs]
        value: Any
        if any(one is None for one in values):
            found: list[Any] = []
        else:
            conditions = [getattr(target, theirs) == one for (_, theirs), one in zip(pairs, values, strict=True)]
            query = sqlalchemy.select(target).where(*conditions)
            found = list(session.scalars(query.order_by(*(self.property.order_by or ()))))
        if self.property.uselist:
            value = found
        else:
            value = found[0] if found else None
            if value is None:
                self._check_hidden(instance, session)
        set_committed_value(instance, self.key, value)
        return getattr(instance, self.key) if self.property.uselist else value

    def _check_hidden(self, instance: Any, session: Session | None) -> None:
        """Raise PermissionDenied where the row exists that a key refers to, and row security hides it."""
        if (
            not self._is_forward
            or session is None
            or any(getattr(instance, own) is None for own, _ in self._pairs(instance))
        ):
            return
        binding = find_binding(session.connection(), _table_of(self.property.mapper.class_))
        if binding is not None:
            raise binding.error(f"{_path(self, instance)} is not found")


def follow_key(cls: Any, name: str) -> None:
    """Let a row know of a relation whose key it has, for when the key is assigned."""
    mapper = sqlalchemy.inspect(cls)
    followed = {key: list(names) for key, names in cls._rowhooks_followed.items()}
    relation = mapper.get_property(name)
    for column in relation.local_columns:
        followed.setdefault(mapper.get_property_by_column(column).key, []).append(name)
    # Replaced as a whole: another thread may be reading it.
    cls._rowhooks_followed = followed


def adopt(session: Session, row: Any) -> None:
    """Make room in a session for a row, and for those that come with it: others that stand for the same rows leave it.

    What these were assigned is written first.
    """
    state: Any = sqlalchemy.inspect(row)
    for one in (row, *(one[0] for one in state.mapper.cascade_iterator("save-update", state))):
        _leave_out_deleted(one)
    coming = [state, *(one[2] for one in state.mapper.cascade_iterator("save-update", state))]
    for one in coming:
        other = None if one.key is None else session.identity_map.get(one.key)
        if other is not None and other is not one.obj():
            if other in session.dirty:
                session.flush()
            session.expunge(other)


def note_deleted(rows: Iterable[Any]) -> None:
    """Note that rows were deleted, so that relations leave them out when they are next read."""
    for cls in {type(row) for row in rows if "_rowhooks_deleted" in vars(type(row))}:
        vars(cls)["_rowhooks_deleted"][0] = object()


def _is_deleted(row: Any) -> bool:
    return bool(sqlalchemy.inspect(row).was_deleted)


def _leave_out_deleted(row: Any) -> None:
    for name in sqlalchemy.inspect(type(row)).relationships.keys():  # noqa: SIM118  (a mapper's collection)
        attribute = vars(type(row)).get(name)
        if isinstance(attribute, Related):
            attribute.leave_out_deleted(row)


def order_writes(session: Session) -> None:
    """Let SQLAlchemy know the relations between new rows, and between those to be deleted: it orders them by these."""
    for some in (session.new, session.deleted):
        classes = {type(one) for one in some} if len(some) > 1 else set()
        owners = {vars(cls)["_rowhooks_owner"] for cls in classes if "_rowhooks_owner" in vars(cls)}
        for owner in owners:
            owner.relate_among(classes)


def _table_of(cls: type) -> str:
    found = row_type_of(cls)
    return cls.__name__ if found is None else found.table_name


def _path(attribute: InstrumentedAttribute[Any], instance: Any) -> str:
    return f"{_table_of(type(instance))}.{attribute.key}"
