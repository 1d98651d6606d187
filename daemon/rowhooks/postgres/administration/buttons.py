"""Buttons, for those who set them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, NotFound, UsageError
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.administration.jobs import find_job
from rowhooks.postgres.administration.tables import add_tables, linked_tables, remove_tables, tracked_ids
from rowhooks.postgres.connections.connect import translated_errors
from rowhooks.postgres.labels import check_text

BUTTON_CLASSES = ("default", "primary", "success", "info", "warning", "danger", "link")

_BUTTONS = f"""
select b.id, b.name, j.class_path as job, b.enabled, j.enabled as job_enabled, b.text, b.group_name,
  b.weight, b.button_class, b.confirmation, b.roles,
  {linked_tables("button", "b")}
from rowhooks.job_button as b
join rowhooks.job as j on j.id = b.job_id
"""  # noqa: S608  (constants)


def list_buttons(conn: Connection) -> list[Row]:
    """Return the buttons, in the order of a page."""
    return fetch(conn, f"{_BUTTONS} order by b.group_name, b.weight, b.name")


def find_button(conn: Connection, name: str) -> Row:
    """Return a button by its name.

    Raises:
        NotFound: there is none.
    """
    return only(fetch(conn, f"{_BUTTONS} where b.name = %s", (name,)), "button", name, "see: rowhooks buttons list")


def add_button(conn: Connection, name: str, *, job: str, tables: Sequence[str], text: str, **fields: Any) -> Row:
    """Make a button; return it.

    Args:
        conn: a connection of somebody who may configure rowhooks.
        name: unique.
        job: a job that is a button receiver.
        tables: tracked tables.
        text: a Jinja2 template for the label.
        fields: group_name, weight, button_class, confirmation, roles, enabled; the database has their defaults.

    Raises:
        NotFound: the job, a table or a role does not exist.
        Conflict: a button of that name exists, a table is not tracked, or the job is no button receiver.
        UsageError: the text is no template, or another field is wrong.
    """
    if fetch(conn, "select b.id from rowhooks.job_button as b where b.name = %s", (name,)):
        raise Conflict(
            f"a button named {name} exists already",
            hint="change it: " + shell.command("rowhooks", "buttons", "edit", *shell.operand(name)),
        )
    if not tables:
        raise UsageError(f"button {name} is on no table", hint="name one with --table")
    columns = {"name": name, **_columns(conn, job=job, text=text, **fields)}
    statement = sql.SQL("insert into rowhooks.job_button ({}) values ({}) returning id").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(map(sql.Placeholder, columns))
    )
    tracked = tracked_ids(conn, tables)
    with translated_errors():
        row = conn.execute(statement, columns).fetchone()
    assert row is not None
    add_tables(conn, "button", {"id": row[0]}, tracked)
    return find_button(conn, name)


def edit_button(
    conn: Connection,
    name: str,
    *,
    tables: Sequence[str] | None = None,
    more_tables: Sequence[str] = (),
    no_tables: Sequence[str] = (),
    **fields: Any,
) -> Row:
    """Change what is given of a button, and leave the rest; return it.

    Args:
        conn: a connection of somebody who may configure rowhooks.
        name: which button.
        tables: all of its tables from now on.
        more_tables: what it is to be on beside its others; one that it is on is known by its present name from now on.
        no_tables: what it is to be on no more; may be gone.
        fields: as in `add_button`.

    Raises:
        NotFound: the button, the job, a table or a role does not exist, or it is not on a table that it is to be on no
            more.
        Conflict: a table is not tracked, or the job is no button receiver.
        UsageError: the text is no template, or another field is wrong.
    """
    button = find_button(conn, name)
    columns = _columns(conn, **fields)
    tracked = None if tables is None else tracked_ids(conn, tables)
    added = tracked_ids(conn, more_tables)
    if columns:
        assignments = [sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column)) for column in columns]
        statement = sql.SQL("update rowhooks.job_button set {} where id = {}").format(
            sql.SQL(", ").join(assignments), sql.Literal(button["id"])
        )
        with translated_errors():
            conn.execute(statement, columns)
    if tracked is not None:
        conn.execute("delete from rowhooks.job_button_table where job_button_id = %s", (button["id"],))
        add_tables(conn, "button", button, tracked)
    remove_tables(conn, "button", button, no_tables)
    add_tables(conn, "button", button, added)
    return find_button(conn, name)


def set_button_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    """Enable or disable a button; return it.

    Raises:
        Conflict: its job is disabled or not installed.
    """
    button = find_button(conn, name)
    try:
        conn.execute("update rowhooks.job_button set enabled = %s where id = %s", (enabled, button["id"]))
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise Conflict(str(error.diag.message_primary), hint=error.diag.message_hint) from error
    return {**button, "enabled": enabled}


def remove_button(conn: Connection, name: str) -> None:
    """Remove a button; its results stay."""
    conn.execute("delete from rowhooks.job_button where id = %s", (find_button(conn, name)["id"],))


def _columns(conn: Connection, **given: Any) -> dict[str, Any]:
    columns = {name: value for name, value in given.items() if value is not None}
    if "job" in columns:
        columns["job_id"] = find_job(conn, columns.pop("job"))["id"]
    if "text" in columns:
        check_text(columns["text"])
    if (chosen := columns.get("button_class")) is not None and chosen not in BUTTON_CLASSES:
        raise UsageError(f"there is no button class {chosen}", hint=f"choose from: {', '.join(BUTTON_CLASSES)}")
    for role in columns.get("roles", ()):
        # A name that is mistyped would let nobody press, in silence.
        if role != "public" and not fetch(conn, "select 1 from pg_roles where rolname::text = %s", (role,)):
            raise NotFound(f"there is no role {role}", hint="public means everybody; see: select rolname from pg_roles")
    return columns
