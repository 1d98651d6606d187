"""Types of the columns of row objects, for what SQLAlchemy's own types refuse or take for something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.types import TypeInfo
from sqlalchemy import types
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import InvalidRequestError

from rowhooks.domain.documents import tokens, write_json
from rowhooks.postgres.connections.loaders import adapted
from rowhooks.postgres.rows.in_place import is_alterable

Processor = Callable[[Any], Any]


class ServerType(types.UserDefinedType[Any]):
    """A type of the server's that Python has nothing for: its values are text.

    A text without a cast is read as what it is assigned to, by whatever name its type has now. A cast is for values
    that are compared, where the operator does not tell.

    Args:
        name: qualified, quoted by the server.
        is_compared: whether it is that of a key.
    """

    cache_ok = True

    def __init__(self, name: str, is_compared: bool = True) -> None:
        self.name = name
        self.is_compared = is_compared
        self.render_bind_cast = is_compared

    def get_col_spec(self, **_: Any) -> str:
        """Return what a parameter is cast to."""
        return self.name.replace("%", "%%")


class DriverType(types.TypeDecorator[Any]):
    """A type of SQLAlchemy's; a value that it makes nothing of is as the driver has read it.

    Args:
        inner: SQLAlchemy's type.
    """

    impl = types.NullType
    cache_ok = True

    def __init__(self, inner: types.TypeEngine[Any]) -> None:
        super().__init__()
        self.inner = inner
        self.impl = inner  # type: ignore[assignment]

    @property
    def alterable(self) -> bool:
        """Whether its values can be altered in place."""
        return is_alterable(self.inner)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Compare as SQLAlchemy's own type does."""
        return self.inner.coerce_compared_value(op, value)

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor | None:
        """Return what SQLAlchemy does to a value, where it can."""
        try:
            process = super().result_processor(dialect, coltype)
        except InvalidRequestError:
            # The column has become one of another type.
            return None
        return None if process is None else lambda value: _tried(process, value)


def _tried(process: Processor, value: Any) -> Any:
    try:
        return process(value)
    except (AttributeError, TypeError, ValueError):
        return value


class KeyType(DriverType):
    """A type of several parts in a key: SQLAlchemy looks for rows by their keys, so that a value must have a hash."""

    cache_ok = True

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """Return what makes lists tuples, and an object one with a hash."""
        process = super().result_processor(dialect, coltype)
        return hashable if process is None else lambda value: hashable(process(value))


class HashableObject(dict[str, Any]):
    """A JSON object in a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        """Be the same for equal ones."""
        return hash(frozenset(self.items()))


def hashable(value: Any) -> Any:
    """Return an equal value that has a hash."""
    if isinstance(value, dict):
        return HashableObject({name: hashable(item) for name, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(hashable(item) for item in value)
    return value


class ArrayType(ServerType):
    """An array of any type, as a list; items that Python cannot hold are text.

    Args:
        name: the array's type, qualified, quoted by the server.
        item_type: the items' type.
        oid: its oid, below all domains.
        delimiter: what stands between two items.
        is_compared: whether it is that of a key.
    """

    cache_ok = True
    comparator_factory = ARRAY.Comparator
    alterable = True
    dimensions = None
    zero_indexes = False

    def __init__(
        self, name: str, item_type: types.TypeEngine[Any], oid: int, delimiter: str, is_compared: bool = True
    ) -> None:
        super().__init__(name, is_compared=is_compared)
        self.item_type = item_type
        self.oid = oid
        self.delimiter = delimiter

    def compare_values(self, x: Any, y: Any) -> bool:
        """Say whether two values are equal, however deep they are."""
        return tokens(x) == tokens(y)

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """Return what makes a list of what the driver has read: a list, or text where it does not know the items."""
        read = _array_reader(self.oid, int(str(coltype)), self.delimiter)
        item = self.item_type.dialect_impl(dialect).result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            found = read(value) if isinstance(value, str) else value
            return found if item is None else _each(item, found)

        return process

    def bind_processor(self, dialect: sqlalchemy.Dialect) -> Processor:
        """Return what makes an array's text of a list: its items may be of several kinds, one of them text."""
        is_json = isinstance(self.item_type, types.JSON)
        item = None if is_json else self.item_type.dialect_impl(dialect).bind_processor(dialect)

        def process(value: Any) -> Any:
            if type(value) not in (list, tuple):
                return value
            if is_json:
                # A document may be a list itself: one is not to be taken for more of the array.
                value = [None if document is None else write_json(document) for document in value]
            return _literal(value if item is None else _each(item, value), self.delimiter)

        return process


def _each(process: Processor, value: Any) -> Any:
    # SQLAlchemy's multirange is a list too, of another kind.
    if type(value) in (list, tuple):
        return [_each(process, item) for item in value]
    return None if value is None else process(value)


def _array_reader(oid: int, array_oid: int, delimiter: str) -> Processor:
    context = adapted()
    TypeInfo("items", oid, array_oid, delimiter=delimiter).register(context)
    loader = Transformer(context).get_loader(array_oid, pq.Format.TEXT)
    return lambda value: loader.load(value.encode())


def _literal(value: Any, delimiter: str) -> str:
    if value is None:
        return "NULL"
    if type(value) in (list, tuple):
        return "{" + delimiter.join(_literal(item, delimiter) for item in value) + "}"
    text = value if isinstance(value, str) else _as_text(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _as_text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        # Without a connection libpq writes bytes as the one that it saw last would have them.
        return f"\\x{bytes(value).hex()}"
    dumped = Transformer().get_dumper(value, PyFormat.TEXT).dump(value)
    return bytes(dumped or b"").decode()
