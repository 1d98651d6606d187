"""Presses of a rehearsal: what receivers press is listed, in the same transaction, and starts no run."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import psycopg
import sqlalchemy
from sqlalchemy import event

from rowhooks.domain.names import TableName, join_name
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
_PRESS = re.compile(r"\browhooks\.(press(?:_many)?)(?=\s*\()")


class ListedPress(NamedTuple):
    """A press that a receiver has made.

    Args:
        button: the button's name.
        table: the table, as it is called now.
        object_id: key columns to values.
        object_repr: what people call the row.
        idempotency_key: as it was given.
        inputs: as they were given.
        user_name: the user for whom the run acts that pressed.
    """

    button: str
    table: TableName
    object_id: dict[str, Any]
    object_repr: str
    idempotency_key: str | None
    inputs: dict[str, Any] | None
    user_name: str | None


def divert_presses(engine: sqlalchemy.Engine) -> None:
    """Let what presses in a statement list the press; rowhooks need not be installed, and no button exist."""

    def divert(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return _PRESS.sub(r"pg_temp.rowhooks_\1", statement), parameters

    event.listen(engine, "before_cursor_execute", divert, retval=True)


class Presses:
    """The presses of one transaction.

    Args:
        driver: psycopg's connection.
    """

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver = driver

    def last(self) -> int:
        """Return the id of the last press that was listed; 0 where none was."""
        return int(self._rows("last")[0][0])

    def after(self, last: int) -> list[ListedPress]:
        """Return the presses that were listed after one, in order."""
        found = self._rows("listed", last)
        return [ListedPress(button, join_name(schema, table), *rest) for button, schema, table, *rest in found]

    def _rows(self, name: str, *values: object) -> list[Any]:
        # Afterwards the settings of tests and receivers are as they were.
        with translated_errors(), self._driver.transaction(force_rollback=True):
            self._driver.execute(PINNED)
            return psycopg.RawCursor(self._driver).execute(_SQL[name], values).fetchall()
