"""Presses of a person, and what the database answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from rowhooks.domain import exact
from rowhooks.domain.errors import NotFound
from rowhooks.domain.names import quoting_hint, split_name
from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.connections.errors import first_line
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


@dataclass(frozen=True)
class PressableButton:
    """A button on a table, as far as a press of it needs.

    Args:
        name: its name.
        confirmation: whether to ask before.
        is_pressable: whether the asking role may press it, and it is enabled, and its job.
        button_class: what it looks like.
        inputs_schema: what its job takes, as a JSON schema; None: nothing.
    """

    name: str
    confirmation: bool
    is_pressable: bool
    button_class: str
    inputs_schema: Mapping[str, Any] | None


@dataclass(frozen=True)
class Pressed:
    """What has become of a press.

    Args:
        id: the run's, or the batch's; None: there is none, because of a problem.
        is_earlier: whether its idempotency key was used a while ago: nothing was pressed now.
        problem: what is wrong with the inputs, as the database says it.
        is_key_used: whether the idempotency key was used for another press.
    """

    id: int | None
    is_earlier: bool = False
    problem: str = ""
    is_key_used: bool = False


def find_button(conn: Connection, table: str, button: str) -> PressableButton | None:
    """Return a button on a table; None where there is none that the asking role may see.

    Args:
        conn: a connection of the person's.
        table: `schema.table`.
        button: its name.
    """
    found = fetch(conn, _SQL["button"], button, table)
    return PressableButton(**found[0]) if found else None


def press_rows(
    conn: Connection,
    button: str,
    table: str,
    keys: Sequence[str | Mapping[str, Any]],
    idempotency_key: str | None,
    inputs: Mapping[str, Any] | None,
    *,
    is_batch: bool | None = None,
) -> Pressed:
    """Press a button on one row, or on several at once. The transaction is of no more use where there is a problem.

    Args:
        conn: a connection of the person's, in a transaction that may write.
        button: the button's name.
        table: `schema.table`.
        keys: the keys of the rows: columns to values, or the text of a key of one column.
        idempotency_key: presses with the same key are one press; None: each counts.
        inputs: what the job takes; None: nothing.
        is_batch: whether it is a press of several rows, though it may name one; None: if it names several.

    Raises:
        NotFound: this is no name of a table.
    """
    parts = split_name(table)
    if parts is None:
        raise NotFound(f"there is no table {table}", hint=quoting_hint(table))
    alone = len(keys) == 1 if is_batch is None else not is_batch
    name, given = ("press", keys[0]) if alone else ("press_many", list(keys))
    try:
        [pressed] = fetch(conn, _SQL[name], button, *parts, exact.write(given), idempotency_key,
                          None if inputs is None else exact.write(inputs))  # fmt: skip
    except psycopg.errors.InvalidParameterValue as error:
        begin = f"button {button} does not take these inputs: "
        if not first_line(error).startswith(begin):
            raise
        return Pressed(None, problem=first_line(error).removeprefix(begin))
    except psycopg.errors.UniqueViolation:
        return Pressed(None, is_key_used=True)
    [earlier] = fetch(conn, _SQL["is_earlier"], pressed["id"])
    return Pressed(pressed["id"], is_earlier=earlier["is_earlier"])
