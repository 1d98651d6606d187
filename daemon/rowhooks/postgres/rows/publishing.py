"""Relations of classes that other threads use meanwhile: these see a relation when all of it is there.

SQLAlchemy adds a property to a mapper step by step. A query, a flush or an assignment in another thread would meet one
without a loader, or a dict that grows while it is gone through.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Mapper, MapperProperty, QueryableAttribute
from sqlalchemy.orm.instrumentation import ClassManager


class _Properties(dict[str, MapperProperty[Any]]):
    """The properties of a mapper. To go through them leaves out what is being made."""

    def __init__(self, cls: Any, properties: Mapping[str, MapperProperty[Any]]) -> None:
        super().__init__(properties)
        self._cls = cls

    def __iter__(self) -> Iterator[str]:
        return iter(_finished(self._cls, self))

    def keys(self) -> Any:
        return _finished(self._cls, self).keys()

    def values(self) -> Any:
        return _finished(self._cls, self).values()

    def items(self) -> Any:
        return _finished(self._cls, self).items()


class _Attributes(ClassManager[Any]):
    """The attributes of a class. To go through them leaves out what is being made."""

    def __iter__(self) -> Iterator[str]:
        return iter(_finished(self.class_, self))

    def keys(self) -> Any:
        return _finished(self.class_, self).keys()

    def values(self) -> Any:
        return _finished(self.class_, self).values()

    def items(self) -> Any:
        return _finished(self.class_, self).items()


class _ForeignKeys(set[Any]):
    """The foreign keys of a table or a column, which may become more while they are gone through."""

    def __iter__(self) -> Iterator[Any]:
        return iter(set.copy(self))


def _finished(cls: Any, found: dict[str, Any]) -> dict[str, Any]:
    # The names are taken at once: no other thread can add one meanwhile.
    names, pending = list(dict.keys(found)), cls._rowhooks_pending
    return {name: dict.__getitem__(found, name) for name in names if name not in pending}


def prepare(cls: Any) -> None:
    """Prepare a class that was mapped, and that no other thread knows yet, for relations that are made later."""
    mapper: Mapper[Any] = sqlalchemy.inspect(cls)
    mapper._props = _Properties(cls, mapper._props)  # noqa: SLF001
    mapper.class_manager.__class__ = _Attributes
    table: Any = mapper.local_table
    for one in (table, *table.c):
        one.foreign_keys = _ForeignKeys(one.foreign_keys)


@contextlib.contextmanager
def making(names: Mapping[Any, Collection[str]], kind: type[QueryableAttribute[Any]]) -> Iterator[None]:
    """Hide properties of some classes from other threads while the block makes them; one thread at a time does so.

    Args:
        names: the names of the properties, by class.
        kind: the class of their attributes.
    """
    for cls, some in names.items():
        cls._rowhooks_pending = dict.fromkeys(some, kind)
    try:
        yield
    finally:
        for cls in names:
            cls._rowhooks_pending = {}
            mapper: Any = sqlalchemy.inspect(cls)
            # What was worked out meanwhile lacks them.
            mapper._expire_memoizations()  # noqa: SLF001
            mapper.class_manager._reset_memoizations()  # noqa: SLF001
