"""The buttons of one row as a page shows them, asked on whichever kind of connection the application has.

Nothing here imports a driver.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowhooks.domain.errors import NotFound, UsageError
from rowhooks.postgres.foreign_connections import Query, all_rows
from rowhooks.postgres.labels import ButtonGroup, LabelRow, render_buttons
from rowhooks.postgres.pressing import as_json, as_text

_PARAMETERS = ("table", "relation")
_QUERY_OF_ROW = Query.read(__file__, "query_of_row", _PARAMETERS)
_BUTTONS = Query.read(__file__, "buttons", _PARAMETERS)


def buttons_for(connection: Any, table: str, key: object, user: Any) -> list[ButtonGroup]:
    """Return the buttons of one row as a page shows them, with the rights of the connection's role.

    Args:
        connection: a synchronous connection, session or cursor of psycopg, psycopg2, SQLAlchemy or Django.
        table: the table, as PostgreSQL reads names.
        key: the value of a key of one column, else a mapping of columns to values, or that as JSON text.
        user: who looks at the row, in templates.

    Raises:
        NotFound: the table has no primary key, or no row has this key, or row security hides it.
        UsageError: the key does not name the key's columns.
    """
    found = find_row(connection, table, key)
    buttons = [
        {**button, **{name: _read(button[name]) for name in ("renamed_columns", "inputs_schema", "input_fields")}}
        for button in all_rows(connection, _BUTTONS, (str(found.relation),))
    ]
    return render_buttons(buttons, found.labelled(buttons[0]["repr_column"] if buttons else None), user)


@dataclass(frozen=True)
class FoundRow:
    """A row with which labels are rendered.

    Args:
        relation: the oid of its table.
        values: columns to values.
        key: the columns of its key.
    """

    relation: int
    values: Mapping[str, Any]
    key: tuple[str, ...]

    def labelled(self, repr_column: str | None) -> LabelRow:
        """Return the row for templates; `repr_column` is the column by which people call it."""
        name = self.values.get(repr_column) if repr_column is not None else None
        called = str(name) if name is not None else ", ".join(str(self.values[column]) for column in self.key)
        return LabelRow(self.values, called)


def find_row(connection: Any, table: str, key: object) -> FoundRow:
    """Return a row with the rights of the connection's role; parameters and errors as of `buttons_for`."""
    found = next(iter(all_rows(connection, _QUERY_OF_ROW, (table,))), None)
    if found is None:
        raise NotFound(f"table {table} has no primary key", hint="a row without a key has no buttons")
    query = Query.around(found["before"], found["behind"])
    names = list(found["names"])
    row = next(iter(all_rows(connection, query, (as_json(_key_columns(key, names, table)),))), None)
    if row is None:
        raise NotFound(f"there is no row {key} in {table}, or you may not see it")
    for column in found["json_columns"]:
        row[column] = _read(row[column])
    return FoundRow(found["relation"], row, tuple(names))


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _key_columns(key: object, names: list[str], table: str) -> Mapping[str, object]:
    if isinstance(key, str) and len(names) > 1:
        try:
            key = json.loads(key)
        except ValueError as error:
            raise UsageError(f"{key} is no JSON object", hint=f"{table}'s key is {', '.join(names)}") from error
    if not isinstance(key, Mapping) and len(names) == 1:
        key = {names[0]: as_text(key)}
    if not isinstance(key, Mapping) or set(key) != set(names):
        raise UsageError(f"{key} is no key of {table}", hint=f"its columns are {', '.join(names)}")
    return key
