"""Values that a receiver can alter in place (documents, arrays, hstore): what it has altered is saved.

SQLAlchemy notices assignments. Other values are compared with what they were when the receiver first read them, so that
a row which the receiver does not read costs nothing.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ranges
from sqlalchemy.orm import InstrumentedAttribute, Session, object_session
from sqlalchemy.orm.attributes import flag_modified

from rowhooks.domain.documents import tokens

_LOOKED_AT = "rowhooks_looked_at"


class _Document:
    """A type of JSON documents: None is SQL's NULL, and `sqlalchemy.JSON.NULL` is the null of JSON."""

    def compare_values(self, x: Any, y: Any) -> bool:
        """Say whether assigning `x` in the place of `y` changes nothing."""
        # Both nulls are loaded as None.
        return x is not None and tokens(x) == tokens(y)


class _Json(_Document, postgresql.JSON):
    pass


class _Jsonb(_Document, postgresql.JSONB):
    pass


def as_document(type_: sqlalchemy.JSON) -> sqlalchemy.JSON:
    """Return our type for a column of SQLAlchemy's."""
    return _Jsonb(none_as_null=True) if isinstance(type_, postgresql.JSONB) else _Json(none_as_null=True)


def is_alterable(type_: Any) -> bool:
    """Say whether the values of a type can be altered in place; our own types have an attribute for it."""
    theirs = isinstance(type_, sqlalchemy.JSON | postgresql.HSTORE | ranges.AbstractMultiRange)
    return bool(getattr(type_, "alterable", theirs))


class _Watched(InstrumentedAttribute[Any]):
    """An attribute that notes the values it has returned."""

    __slots__ = ()
    inherit_cache = True

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        if isinstance(value, dict | list):
            _note(instance, self.key, value)
        return value


def watch(cls: type) -> None:
    """Let a mapped class note which of the values that can be altered in place were read."""
    mapper: Any = sqlalchemy.inspect(cls)
    for attribute in mapper.column_attrs:
        if is_alterable(attribute.columns[0].type):
            # The mapper's own attribute gets one more method.
            getattr(cls, attribute.key).__class__ = _Watched


def _note(instance: Any, key: str, value: Any) -> None:
    seen: dict[str, tuple[Any, list[Any]]] = instance.__dict__.setdefault("_rowhooks_seen", {})
    known = seen.get(key)
    # An assigned value is compared with the value that it replaces. After a reload the value is another one.
    is_assigned = key in sqlalchemy.inspect(instance).committed_state
    if known is None and is_assigned:
        return
    if known is None or (known[0] is not value and not is_assigned):
        seen[key] = value, tokens(value)
    session = object_session(instance)
    if session is not None:
        attached(session, instance)


def attached(session: Session, instance: Any) -> None:
    """Let a session look for values that were altered in place whenever it writes."""
    session.info.setdefault(_LOOKED_AT, {})[id(instance)] = instance


def is_looking(session: Session) -> bool:
    """Say whether a session looks for such values."""
    return _LOOKED_AT in session.info


def forget(instance: Any) -> None:
    """Forget the values that were read of a row which is loaded again."""
    instance.__dict__.pop("_rowhooks_seen", None)


def mark(session: Session) -> list[tuple[Any, set[str]]]:
    """Mark the values that were altered in place, so that the session writes them.

    Returns:
        The rows, each with the attributes whose values the receiver has; for `written`.
    """
    held = []
    for instance in session.info.get(_LOOKED_AT, {}).values():
        assigned = set(sqlalchemy.inspect(instance).committed_state)
        seen: dict[str, tuple[Any, list[Any]]] = instance.__dict__.get("_rowhooks_seen", {})
        for key, (value, was) in seen.items():
            present = instance.__dict__.get(key)
            if (present is value or key in assigned) and tokens(present) != was:
                flag_modified(instance, key)
        held.append((instance, assigned | set(seen)))
    return held


def written(held: list[tuple[Any, set[str]]]) -> None:
    """Note the values that the receiver has after they were written: it may alter them again."""
    for instance, keys in held:
        values = {key: instance.__dict__.get(key) for key in keys}
        instance.__dict__["_rowhooks_seen"] = {
            key: (value, tokens(value)) for key, value in values.items() if isinstance(value, dict | list)
        }
