"""Job buttons: listed, added, changed, removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowhooks.domain.errors import NotFound, UsageError
from rowhooks.domain.likeness import hinted
from rowhooks.domain.plan import PlannedButton
from rowhooks.domain.queues import check_queue
from rowhooks.postgres import calls
from rowhooks.postgres.administration.common import Connection, Row, call, fetch
from rowhooks.postgres.administration.jobs import find_job
from rowhooks.postgres.administration.origins import Origins
from rowhooks.postgres.administration.tables import resolve_table
from rowhooks.postgres.statements import Statements

BUTTON_CLASSES = ("default", "primary", "success", "info", "warning", "danger", "link")

_BUTTONS = Origins("button")
_SQL = Statements(__file__, _BUTTONS.statements)
BUTTONS = _SQL["buttons"]
"""The query of the buttons."""


def list_buttons(conn: Connection, *, job: str | None = None, table: str | None = None) -> list[Row]:
    """Return the buttons, in the order of a page.

    Args:
        conn: an open connection.
        job: only those that start this job.
        table: only those on this table, or that wait for it.

    Raises:
        NotFound: there is no such job or table.
        Conflict: several jobs have that name.
    """
    return _BUTTONS.narrowed(conn, fetch(conn, _SQL["list"]), job, table)


def find_button(conn: Connection, name: str) -> Row:
    """Return a button by its name.

    Raises:
        NotFound: there is none.
    """
    return _BUTTONS.find(conn, _SQL["find"], name)


def add_button(conn: Connection, name: str, *, job: str, tables: Sequence[str], text: str, **fields: Any) -> Row:
    """Add a button; return it.

    Args:
        conn: a connection of a role that may configure rowhooks.
        name: its unique name.
        job: the job of a button receiver.
        tables: tracked tables.
        text: a Jinja2 template for the label.
        fields: group_name, weight, button_class, confirmation, roles, queue, enabled; the defaults are the database's.

    Raises:
        NotFound: the job, a table or a role does not exist.
        DatabaseError: a button of that name exists, a table is not tracked, or the job is not a button receiver.
        UsageError: the text is not a template, or another field is wrong.
    """
    if not tables:
        raise UsageError(f"button {name} is on no table", hint="name one with --table")
    class_path = find_job(conn, job)["class_path"]
    quoted = tuple(resolve_table(conn, table) for table in tables)
    button = PlannedButton(job=class_path, tables=quoted, **_given(conn, text=text, **fields))
    call(conn, calls.create_button(name, button))
    return find_button(conn, name)


def edit_button(
    conn: Connection,
    name: str,
    *,
    tables: Sequence[str] | None = None,
    more_tables: Sequence[str] = (),
    no_tables: Sequence[str] = (),
    no_queue: bool = False,
    **fields: Any,
) -> Row:
    """Change what is given of a button; return it.

    Args:
        conn: a connection of a role that may configure rowhooks.
        name: its name.
        tables: its new list of tables.
        more_tables: tables to add; a table that it has already is known by its present name from now on.
        no_tables: tables to remove, which may have been dropped.
        no_queue: whether its runs are in the queue of its job from now on.
        fields: as in `add_button`.

    Raises:
        NotFound: the button, the job, a table or a role does not exist, or it is not on a table to remove.
        Conflict: a table is not tracked, or the job is not a button receiver.
        UsageError: the text is not a template, or another field is wrong.
    """
    button = find_button(conn, name)
    changes = _given(conn, **fields) | ({"queue": None} if no_queue else {})
    _BUTTONS.alter(conn, button, changes, tables, more_tables, no_tables)
    return find_button(conn, name)


def set_button_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    """Enable or disable a button; return it.

    Raises:
        NotFound: there is none.
        DatabaseError: its job is disabled or not installed.
    """
    return _BUTTONS.set_enabled(conn, find_button(conn, name), enabled=enabled)


def remove_button(conn: Connection, name: str) -> None:
    """Remove a button; its results stay.

    Raises:
        NotFound: there is none.
    """
    call(conn, calls.drop_button(find_button(conn, name)["name"]))


def _given(conn: Connection, **given: Any) -> dict[str, Any]:
    """Return what is not None, as the SQL functions take it."""
    columns = {name: value for name, value in given.items() if value is not None}
    if "job" in columns:
        columns["job"] = find_job(conn, columns["job"])["class_path"]
    if "text" in columns:
        from rowhooks.postgres.labels import check_text  # a listing does without Jinja

        check_text(columns["text"])
    check_queue(columns.get("queue"))
    if (chosen := columns.get("button_class")) is not None and chosen not in BUTTON_CLASSES:
        raise UsageError(f"there is no button class {chosen}", hint=f"choose from: {', '.join(BUTTON_CLASSES)}")
    for role in columns.get("roles", ()):
        # With a mistyped name nobody could press the button, and nothing would say so.
        if role != "public" and not fetch(conn, "select from pg_roles as r where r.rolname::text = $1", role):
            roles = [row["name"] for row in fetch(conn, "select r.rolname::text as name from pg_roles as r order by 1")]
            hint = hinted(role, roles, "public means every role; see: select rolname from pg_roles")
            raise NotFound(f"there is no role {role}", hint=hint)
    return columns
