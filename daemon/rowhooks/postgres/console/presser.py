"""A person's own connection, for the questions that templates of labels ask of the person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from psycopg import Cursor
from sqlalchemy import TextClause

from rowhooks.postgres.administration.common import Connection

_PLACEHOLDER = re.compile(r"(?<!:):(\w+)")


class PermissionSession:
    """As much of SQLAlchemy's session as the permissions ask, on a connection of psycopg's.

    Args:
        conn: the connection, for as long as its transaction lasts.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def execute(self, statement: TextClause, values: Mapping[str, Any]) -> _Found:
        """Execute a statement."""
        with Cursor(self._conn) as cursor:
            text = _PLACEHOLDER.sub(r"%(\1)s", statement.text.replace("%", "%%"))
            return _Found(cursor.execute(text.encode(), values).fetchall())

    def scalar(self, statement: TextClause, values: Mapping[str, Any]) -> Any:
        """Return the first value of a statement's first row; None where there is no row."""
        first = self.execute(statement, values).first()
        return None if first is None else first[0]

    def scalars(self, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
        """Return the first values of a statement's rows."""
        return [row[0] for row in self.execute(statement, values).rows]


class _Found:
    """The rows that a statement has found."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows = rows

    def first(self) -> tuple[Any, ...] | None:
        """Return the first row."""
        return self.rows[0] if self.rows else None
