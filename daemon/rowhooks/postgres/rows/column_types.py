"""Types of the columns of row objects, for values that SQLAlchemy's own types refuse or misread."""

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
    """A type of the server's that has no counterpart in Python: its values are text.

    The server reads a text without a cast as the type that it is assigned to, by whatever name that type has now. A
    cast is for values that are compared, because the operator does not determine the type.

    Args:
        name: the type's name, qualified, quoted by the server.
        is_compared: whether the column is part of a key.
    """

    cache_ok = True

    def __init__(self, name: str, is_compared: bool = True) -> None:
        self.name = name
        self.is_compared = is_compared
        self.render_bind_cast = is_compared

    def get_col_spec(self, **_: Any) -> str:
        """Return the type that a parameter is cast to."""
        return self.name.replace("%", "%%")


class DriverType(types.TypeDecorator[Any]):
    """A type of SQLAlchemy's. A value that SQLAlchemy cannot convert stays as the driver has read it.

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
        """Whether the values can be altered in place."""
        return is_alterable(self.inner)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Compare as SQLAlchemy's own type does."""
        return self.inner.coerce_compared_value(op, value)

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor | None:
        """Return SQLAlchemy's conversion, which leaves a value alone that it cannot convert."""
        try:
            process = super().result_processor(dialect, coltype)
        except InvalidRequestError:
            # The column has another type now.
            return None
        return None if process is None else lambda value: _tried(process, value)


def _tried(process: Processor, value: Any) -> Any:
    try:
        return process(value)
    except (AttributeError, TypeError, ValueError):
        return value


class KeyType(DriverType):
    """A type with several parts, in a key. SQLAlchemy finds rows by their keys, so that a value needs a hash."""

    cache_ok = True

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """Return the conversion of lists to tuples and of objects to hashable ones."""
        process = super().result_processor(dialect, coltype)
        return hashable if process is None else lambda value: hashable(process(value))


class HashableObject(dict[str, Any]):
    """A JSON object in a key; it has a hash."""

    def __hash__(self) -> int:  # type: ignore[override]
        """Return the same hash for equal objects."""
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
        item_type: the type of the items.
        oid: the oid of that type, below all domains.
        delimiter: what separates two items.
        is_compared: whether the column is part of a key.
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
        """Say whether two values are equal, at any depth."""
        return tokens(x) == tokens(y)

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """Return the conversion to a list; the driver has read a list, or text if it does not know the items."""
        read = _array_reader(self.oid, int(str(coltype)), self.delimiter)
        item = self.item_type.dialect_impl(dialect).result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            found = read(value) if isinstance(value, str) else value
            return found if item is None else _each(item, found)

        return process

    def bind_processor(self, dialect: sqlalchemy.Dialect) -> Processor:
        """Return the conversion of a list to an array's text; its items may be text beside values of other classes."""
        is_json = isinstance(self.item_type, types.JSON)
        item = None if is_json else self.item_type.dialect_impl(dialect).bind_processor(dialect)

        def process(value: Any) -> Any:
            if type(value) not in (list, tuple):
                return value
            if is_json:
                # A document may be a list, which must not be taken for a dimension of the array.
                value = [None if document is None else write_json(document) for document in value]
            return _literal(value if item is None else _each(item, value), self.delimiter)

        return process


def _each(process: Processor, value: Any) -> Any:
    # SQLAlchemy's multirange is a subclass of list, and not an array.
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
        # Without a connection libpq would write bytes in the form of the last connection that it had.
        return f"\\x{bytes(value).hex()}"
    dumped = Transformer().get_dumper(value, PyFormat.TEXT).dump(value)
    return bytes(dumped or b"").decode()
