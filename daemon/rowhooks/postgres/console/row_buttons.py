"""The buttons of a table, and of one of its rows, for the pages of the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.labels import ButtonGroup, LabelRow, render_buttons
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


def buttons_of_table(conn: Connection, relation: int) -> list[Row]:
    """Return the buttons of a table, as the view rowhooks.buttons has them for the asking role.

    Args:
        conn: a connection of the person's.
        relation: the table's oid; for a partition that of its root.
    """
    return fetch(conn, _SQL["buttons"], relation)


def render_on_row(
    buttons: Sequence[Row], row: Mapping[str, Any], key_columns: Sequence[str], user: Any
) -> list[ButtonGroup]:
    """Return the buttons of one row as a page shows them.

    Args:
        buttons: those of its table.
        row: its columns to their values.
        key_columns: the columns of its key, which stands for a row that has no better name.
        user: who looks at the row, in templates.
    """
    name = row.get(buttons[0]["repr_column"]) if buttons else None
    obj = LabelRow(row, str(name) if name is not None else ", ".join(str(row[column]) for column in key_columns))
    return render_buttons(buttons, obj, user)


def render_safely(
    conn: Connection, buttons: Sequence[Row], row: Mapping[str, Any], key_columns: Sequence[str], user: Any
) -> list[ButtonGroup]:
    """Return the same; a question of a template's that the database refuses leaves the transaction as it was.

    Args:
        conn: the connection on which the user's questions are asked.
        buttons: as for `render_on_row`, and all that follow.
        row: see there.
        key_columns: see there.
        user: see there.
    """
    if not buttons:
        return []
    with conn.transaction(force_rollback=True):
        return render_on_row(buttons, row, key_columns, user)
