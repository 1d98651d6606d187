"""A button that is not saved yet, as a row would show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.labels import RenderedButton, render_buttons
from rowhooks.postgres.shown_buttons import find_row
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


@dataclass(frozen=True)
class Presser:
    """A role whose members may press.

    Args:
        name: its name.
        exists: whether there is such a role.
        logins: how many logins are its members, itself included; superusers are not counted.
        examples: the names of some of them.
    """

    name: str
    exists: bool
    logins: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """What a row would show of a button.

    Args:
        button: the button; None: it is not shown on this row, because its label is empty.
        row: what people call the row.
        may_press: whether the person may press it.
        by_every_role: whether every role may.
        pressers: the roles whose members may.
        inputs_schema: what a press gives, as a JSON schema; None: nothing.
    """

    button: RenderedButton | None
    row: str
    may_press: bool
    by_every_role: bool
    pressers: tuple[Presser, ...]
    inputs_schema: Mapping[str, Any] | None


def preview_button(
    conn: Connection,
    table: str,
    key: str,
    *,
    job: str,
    roles: Sequence[str],
    fields: Mapping[str, Any],
    user: Callable[[Connection], Any],
) -> Preview:
    """Return a button as a row would show it to the person.

    Args:
        conn: the person's connection.
        table: the table, as PostgreSQL reads names.
        key: the value of a key of one column, else a JSON object.
        job: the class path of its job; empty, or of a job that is not known: one that is enabled.
        roles: members of these may press it.
        fields: name, text, group_name, weight, button_class and confirmation.
        user: makes the person, for templates, of its connection.

    Raises:
        NotFound: there is no such table or row, or the person may not see it.
        UsageError: the key does not name the key's columns.
    """
    with translated_errors():
        found = find_row(conn, table, key)
        [asked] = fetch(conn, _SQL["pressers"], list(roles), job)
        button = {
            **fields, "job": job, "enabled": True, "may_press": asked["may_press"],
            "job_enabled": asked["job_enabled"] is not False, "inputs_schema": asked["inputs_schema"],
        }  # fmt: skip
        row = found.labelled(None)
        groups = render_buttons([button], row, user(conn))
    return Preview(
        button=groups[0].buttons[0] if groups else None,
        row=str(row),
        may_press=asked["may_press"],
        by_every_role="public" in roles,
        pressers=tuple(
            Presser(one["name"], one["exists"], one["logins"], tuple(one["examples"])) for one in asked["pressers"]
        ),
        inputs_schema=asked["inputs_schema"],
    )
