"""Values that can be altered in place (documents, arrays, hstore): what a receiver has altered is saved.

SQLAlchemy notices what is assigned. The rest is compared with what it was when the receiver first looked at it, so that
rows nobody looks at cost nothing.
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
    """None is SQL's NULL, and `sqlalchemy.JSON.NULL` the null of JSON."""

    def compare_values(self, x: Any, y: Any) -> bool:
        """Say whether assigning `x` in the place of `y` changes nothing."""
        # Both nulls are loaded as None.
        return x is not None and tokens(x) == tokens(y)


class _Json(_Document, postgresql.JSON):
    pass


class _Jsonb(_Document, postgresql.JSONB):
    pass


def as_document(type_: sqlalchemy.JSON) -> sqlalchemy.JSON:
    """Return the type of a column in whose place ours is to be used."""
    return _Jsonb(none_as_null=True) if isinstance(type_, postgresql.JSONB) else _Json(none_as_null=True)


def is_alterable(type_: Any) -> bool:
    """Say whether a type's values can be altered in place; a type of ours says it itself."""
    theirs = isinstance(type_, sqlalchemy.JSON | postgresql.HSTORE | ranges.AbstractMultiRange)
    return bool(getattr(type_, "alterable", theirs))


class _Watched(InstrumentedAttribute[Any]):
    """An attribute that notes what it has handed out."""

    __slots__ = ()
    inherit_cache = True

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        if isinstance(value, dict | list):
            _note(instance, self.key, value)
        return value


def watch(cls: type) -> None:
    """Let a mapped class notice which values of its instances were handed out that can be altered in place."""
    mapper: Any = sqlalchemy.inspect(cls)
    for attribute in mapper.column_attrs:
        if is_alterable(attribute.columns[0].type):
            # The mapper's own, with one method more.
            getattr(cls, attribute.key).__class__ = _Watched


def _note(instance: Any, key: str, value: Any) -> None:
    seen: dict[str, tuple[Any, list[Any]]] = instance.__dict__.setdefault("_rowhooks_seen", {})
    known = seen.get(key)
    # One that was assigned is compared with what it takes the place of. One that was loaded again is another.
    is_assigned = key in sqlalchemy.inspect(instance).committed_state
    if known is None and is_assigned:
        return
    if known is None or (known[0] is not value and not is_assigned):
        seen[key] = value, tokens(value)
    session = object_session(instance)
    if session is not None:
        attached(session, instance)


def attached(session: Session, instance: Any) -> None:
    """Let a session look, whenever it writes, for what was altered in place."""
    session.info.setdefault(_LOOKED_AT, {})[id(instance)] = instance


def forget(instance: Any) -> None:
    """Forget what was handed out of a row that is loaded again."""
    instance.__dict__.pop("_rowhooks_seen", None)


def mark(session: Session) -> list[tuple[Any, set[str]]]:
    """Let a session write what was altered in place.

    Returns:
        For `written`: the rows, with the attributes whose values the receiver has.
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
    """Note what the values are that a receiver has, once they were written: it may alter them again."""
    for instance, keys in held:
        values = {key: instance.__dict__.get(key) for key in keys}
        instance.__dict__["_rowhooks_seen"] = {
            key: (value, tokens(value)) for key, value in values.items() if isinstance(value, dict | list)
        }
