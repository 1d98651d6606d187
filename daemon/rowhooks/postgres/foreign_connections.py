"""Queries on an application's own connection, of whichever library.

A library is known by the name of the connection's class, so that none is imported that the application does not use.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rowhooks.postgres.statements import Statements

_MARK = re.compile("\0(\\w+)\0")
"""Where a value stands."""
_COLON = re.compile(r"(?<!:):(\w+)")


@dataclass(frozen=True, slots=True)
class Query:
    """A query with each library's placeholders.

    Args:
        parameters: the names of its values, in their order.
        by_colon: its text for SQLAlchemy.
        by_number: its text for asyncpg and psycopg's raw cursors.
        by_percent: its text for psycopg2 and Django.
    """

    parameters: tuple[str, ...]
    by_colon: str
    by_number: str
    by_percent: str

    @classmethod
    def read(cls, file: str, name: str, parameters: tuple[str, ...]) -> Query:
        """Return a query of an .sql file.

        Args:
            file: the module's `__file__`, see `Statements`.
            name: the block's name.
            parameters: the names of the fragments that stand for values, in the whole file. The query's values have
                their order.
        """
        marked = Statements(file, {one: f"\0{one}\0" for one in parameters})[name]
        return cls._marked(marked, tuple(one for one in parameters if f"\0{one}\0" in marked))

    @classmethod
    def named_by_colons(cls, text: str) -> Query:
        """Return a query whose parameters are written as SQLAlchemy reads them; its values have their order."""
        marked = _COLON.sub("\0\\1\0", text)
        return cls._marked(marked, tuple(dict.fromkeys(_MARK.findall(marked))))

    @classmethod
    def _marked(cls, marked: str, parameters: tuple[str, ...]) -> Query:
        numbers = {one: f"${number}" for number, one in enumerate(parameters, start=1)}
        return cls(
            parameters,
            by_colon=_MARK.sub(r":\1", marked),
            by_number=_MARK.sub(lambda found: numbers[found[1]], marked),
            # What is no placeholder is doubled.
            by_percent=_MARK.sub(r"%(\1)s", marked.replace("%", "%%")),
        )

    @classmethod
    def around(cls, before: str, behind: str) -> Query:
        """Return a query of one value, between two parts that may contain what would be a placeholder."""
        colon, percent = (
            [one.replace(sign, to) for one in (before, behind)] for sign, to in ((":", "\\:"), ("%", "%%"))
        )
        return cls(
            ("value",),
            by_colon=":value".join(colon),
            by_number=f"{before}$1{behind}",
            by_percent="%(value)s".join(percent),
        )

    def named(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Return the values by their parameters' names."""
        return dict(zip(self.parameters, values, strict=True))


def first_value(connection: Any, query: Query, values: tuple[Any, ...]) -> int | Awaitable[int]:
    """Run a query in the transaction of a connection, session or cursor, and return the number that it returns.

    Raises:
        TypeError: the connection is of no library that is known here.
    """
    for name in _names(connection):
        if name in _BEHIND:
            return first_value(_BEHIND[name](connection), query, values)
        if name in _RUN:
            return _RUN[name](connection, query, values)
    raise _unknown(connection)


def all_rows(connection: Any, query: Query, values: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
    """Run a query in the transaction of a synchronous connection, session or cursor, and return the rows.

    JSON comes as the library gives it: as text, or read. Let the query cast it to text.

    Raises:
        TypeError: the connection is of no library that is known here, or asynchronous.
    """
    for name in _names(connection):
        if name in _BEHIND:
            return all_rows(_BEHIND[name](connection), query, values)
        if name in _READ:
            return _READ[name](connection, query, values)
    raise _unknown(connection)


def _unknown(connection: Any) -> TypeError:
    kind = type(connection)
    return TypeError(
        f"a button cannot be pressed on a {kind.__module__}.{kind.__qualname__}; give a connection of psycopg,"
        " psycopg2, asyncpg, SQLAlchemy or Django, or a SQLAlchemy session"
    )


def _names(connection: Any) -> Iterator[str]:
    """Yield `library.Class` for the class of a connection and for those that it inherits from."""
    return (f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in type(connection).__mro__)


def _number(row: Any) -> int:
    assert row is not None, "the query returned no row"
    return int(row[0])


def _on_psycopg(connection: Any, query: Query, values: tuple[Any, ...]) -> int:
    import psycopg

    # The connection's own factories may make other rows, or read other placeholders.
    with psycopg.RawCursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
        return _number(cursor.execute(query.by_number, values).fetchone())


async def _on_psycopg_asynchronously(connection: Any, query: Query, values: tuple[Any, ...]) -> int:
    import psycopg

    async with psycopg.AsyncRawCursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
        await cursor.execute(query.by_number, values)
        return _number(await cursor.fetchone())


def _on_psycopg2(connection: Any, query: Query, values: tuple[Any, ...]) -> int:
    from psycopg2.extensions import cursor as PlainCursor  # noqa: N812

    with connection.cursor(cursor_factory=PlainCursor) as cursor:
        cursor.execute(query.by_percent, query.named(values))
        return _number(cursor.fetchone())


def _check_vendor(connection: Any) -> None:
    if connection.vendor != "postgresql":
        raise TypeError(f"Django's database {connection.alias} is {connection.display_name}, and not PostgreSQL")


def _on_django(connection: Any, query: Query, values: tuple[Any, ...]) -> int:
    _check_vendor(connection)
    # By Django's own cursor, so that its wrappers see the statement: the one that names the author, above all.
    with connection.cursor() as cursor:
        cursor.execute(query.by_percent, query.named(values))
        return _number(cursor.fetchone())


async def _on_asyncpg(connection: Any, query: Query, values: tuple[Any, ...]) -> int:
    return _number(await connection.fetchrow(query.by_number, *values))


def _on_sqlalchemy(connection: Any, query: Query, values: tuple[Any, ...]) -> int:
    import sqlalchemy

    return _number(connection.execute(sqlalchemy.text(query.by_colon), query.named(values)).one())


async def _on_sqlalchemy_asynchronously(connection: Any, query: Query, values: tuple[Any, ...]) -> int:
    import sqlalchemy

    return _number((await connection.execute(sqlalchemy.text(query.by_colon), query.named(values))).one())


def _read_on_psycopg(connection: Any, query: Query, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    import psycopg

    with psycopg.RawCursor(connection, row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query.by_number, values).fetchall()


def _read_on_psycopg2(connection: Any, query: Query, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    from psycopg2.extensions import cursor as PlainCursor  # noqa: N812

    with connection.cursor(cursor_factory=PlainCursor) as cursor:
        cursor.execute(query.by_percent, query.named(values))
        return _as_dicts(cursor)


def _read_on_django(connection: Any, query: Query, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    _check_vendor(connection)
    with connection.cursor() as cursor:
        cursor.execute(query.by_percent, query.named(values))
        return _as_dicts(cursor)


def _read_on_sqlalchemy(connection: Any, query: Query, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    import sqlalchemy

    found = connection.execute(sqlalchemy.text(query.by_colon), query.named(values))
    return [dict(row) for row in found.mappings()]


def _as_dicts(cursor: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_RUN: dict[str, Callable[[Any, Query, tuple[Any, ...]], int | Awaitable[int]]] = {
    "psycopg.Connection": _on_psycopg,
    "psycopg.AsyncConnection": _on_psycopg_asynchronously,
    "psycopg2.connection": _on_psycopg2,
    "asyncpg.Connection": _on_asyncpg,
    "asyncpg.PoolConnectionProxy": _on_asyncpg,
    "sqlalchemy.Connection": _on_sqlalchemy,
    "sqlalchemy.Session": _on_sqlalchemy,
    "sqlalchemy.AsyncConnection": _on_sqlalchemy_asynchronously,
    "sqlalchemy.AsyncSession": _on_sqlalchemy_asynchronously,
    "django.BaseDatabaseWrapper": _on_django,
    "django.ConnectionProxy": _on_django,
}
_READ: dict[str, Callable[[Any, Query, tuple[Any, ...]], list[dict[str, Any]]]] = {
    "psycopg.Connection": _read_on_psycopg,
    "psycopg2.connection": _read_on_psycopg2,
    "sqlalchemy.Connection": _read_on_sqlalchemy,
    "sqlalchemy.Session": _read_on_sqlalchemy,
    "django.BaseDatabaseWrapper": _read_on_django,
    "django.ConnectionProxy": _read_on_django,
}
_BEHIND: dict[str, Callable[[Any], Any]] = {
    "psycopg.BaseCursor": lambda cursor: cursor.connection,
    "psycopg2.cursor": lambda cursor: cursor.connection,
    "sqlalchemy.scoped_session": lambda scoped: scoped(),
    "sqlalchemy.async_scoped_session": lambda scoped: scoped(),
    "django.CursorWrapper": lambda cursor: cursor.db,
}
"""What has a connection or a session."""
