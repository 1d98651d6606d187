"""Job hooks. The database checks them (sql/functions/check_hook.sql, check_hook_scope.sql)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from rowhooks.domain import shell
from rowhooks.domain.configuration import Configuration, JobHook
from rowhooks.domain.errors import Conflict, NotFound
from rowhooks.domain.likeness import hinted
from rowhooks.domain.plan import Action, OnUndecided, PlannedHook
from rowhooks.domain.queues import check_queue
from rowhooks.domain.renaming import with_columns
from rowhooks.postgres import calls
from rowhooks.postgres.administration.common import Connection, Row, call, fetch
from rowhooks.postgres.administration.jobs import find_job
from rowhooks.postgres.administration.origins import Origins
from rowhooks.postgres.administration.tables import check_columns, resolve_table, tracked_ids
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.statements import Statements

_HOOKS = Origins("hook")
_SQL = Statements(__file__, _HOOKS.statements)
HOOKS = _SQL["hooks"]
"""The query of the hooks."""


def list_hooks(conn: Connection, *, job: str | None = None, table: str | None = None) -> list[Row]:
    """Return the hooks.

    Args:
        conn: an open connection.
        job: only those that start this job.
        table: only those on this table, or that wait for it.

    Raises:
        NotFound: there is no such job or table.
        Conflict: several jobs have that name.
    """
    return _HOOKS.narrowed(conn, fetch(conn, _SQL["list"]), job, table)


def find_hook(conn: Connection, name: str) -> Row:
    """Return a hook by its name.

    Raises:
        NotFound: there is none.
    """
    return _HOOKS.find(conn, _SQL["find"], name)


def load_configuration(conn: Connection) -> Configuration:
    """Return the configuration as the daemon reads it."""
    if getattr(conn, "pinned", False):
        # Its search_path is ours already.
        return _loaded(conn)
    # The savepoint is rolled back, which restores the search_path.
    with conn.transaction(force_rollback=True):
        conn.execute(PINNED)
        return _loaded(conn)


def _loaded(conn: Connection) -> Configuration:
    row = conn.execute(LOAD).fetchone()
    assert row is not None, "an aggregate is always a row"
    return read_configuration(row[0])


def load_hook(conn: Connection, name: str) -> JobHook:
    """Return a hook as the daemon matches it against changes.

    Raises:
        NotFound: there is none.
    """
    hooks = load_configuration(conn).hooks
    for hook in hooks:
        if hook.name == name:
            return hook
    hint = hinted(name, [hook.name for hook in hooks], "see: rowhooks hooks list")
    raise NotFound(f"there is no hook {name}", hint=hint)


def add_hook(
    conn: Connection,
    name: str,
    *,
    job: str,
    tables: Sequence[str],
    actions: Sequence[str],
    columns: Sequence[str] = (),
    ignored_columns: Sequence[str] = (),
    conditions: object = None,
    on_undecided: str | None = None,
    queue: str | None = None,
    enabled: bool = True,
) -> Row:
    """Add a hook; return it.

    Args:
        conn: the caller commits.
        name: its unique name.
        job: as `find_job` understands it.
        tables: as PostgreSQL reads names.
        actions: of `create`, `update`, `delete`.
        columns: an update that changes none of these starts nothing; empty: every column counts.
        ignored_columns: an update that changes only such columns starts nothing.
        conditions: as json.loads returns them; None for no conditions.
        on_undecided: `run` or `skip`, for changes for which they cannot be decided; None means `run`.
        queue: the queue of its runs; None: that of its job.
        enabled: whether it is enabled.

    Raises:
        NotFound: the job, a table or a column does not exist.
        Conflict: a table is not tracked.
        DatabaseError: a hook of that name exists, or the database refuses the hook, perhaps not before the transaction
            commits.
        UsageError: a queue cannot have that name.
    """
    check_queue(queue)
    # It is said before a column that the table does not have either.
    tracked_ids(conn, tables)
    check_columns(conn, tables, (*columns, *ignored_columns))
    hook = PlannedHook(
        job=find_job(conn, job)["class_path"],
        tables=tuple(resolve_table(conn, table) for table in tables),
        actions=cast("tuple[Action, ...]", tuple(actions)),
        columns=tuple(columns),
        ignored_columns=tuple(ignored_columns),
        conditions=conditions,
        on_undecided=cast("OnUndecided", on_undecided or "run"),
        queue=queue,
        enabled=enabled,
    )
    call(conn, calls.create_hook(name, hook))
    return find_hook(conn, name)


def edit_hook(
    conn: Connection,
    name: str,
    *,
    job: str | None = None,
    tables: Sequence[str] | None = None,
    more_tables: Sequence[str] = (),
    no_tables: Sequence[str] = (),
    actions: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    ignored_columns: Sequence[str] | None = None,
    conditions: object = None,
    no_conditions: bool = False,
    on_undecided: str | None = None,
    queue: str | None = None,
    no_queue: bool = False,
    new_name: str | None = None,
) -> Row:
    """Change what is not None of a hook; return it.

    Args:
        conn: the caller commits.
        name: its present name.
        job: as `find_job` understands it.
        tables: its new list of tables.
        more_tables: tables to add; a table that it has already is known by its present name from now on.
        no_tables: tables to remove, which may have been dropped.
        actions: its new list of actions.
        columns: its new list of columns.
        ignored_columns: its new list of ignored columns.
        conditions: its new conditions.
        no_conditions: whether to remove its conditions.
        on_undecided: `run` or `skip`, for changes for which the conditions cannot be decided.
        queue: the queue of its runs from now on.
        no_queue: whether its runs are in the queue of its job from now on.
        new_name: its new name.

    Raises:
        NotFound: the hook, the job or a table does not exist, or the hook is not on a table to remove.
        Conflict: it is declared in code, the new name is taken, or a table is not tracked.
        DatabaseError: the database refuses it, perhaps not before the transaction commits.
        UsageError: a queue cannot have that name.
    """
    check_queue(queue)
    hook = _find_own(conn, name)
    if not (more_tables or no_tables):
        # A name that the hook has asked for is known, also where its column has another name now.
        given = {*(columns or ()), *(ignored_columns or ())} - {*hook["columns"], *hook["ignored_columns"]}
        check_columns(conn, hook["tables"] if tables is None else tables, sorted(given))
    changes = _present_columns(conn, hook) | _given(conn, job, actions, columns, ignored_columns, on_undecided)
    if conditions is not None or no_conditions:
        changes["conditions"] = conditions
    if queue is not None or no_queue:
        changes["queue"] = queue
    if new_name is not None and new_name != name:
        _HOOKS.check_name(conn, new_name)
        changes["name"] = new_name
    _HOOKS.alter(conn, hook, changes, tables, more_tables, no_tables)
    return find_hook(conn, new_name or name)


def set_hook_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    """Enable or disable a hook; return it.

    Raises:
        NotFound: there is none.
        DatabaseError: its job is disabled or not installed.
    """
    return _HOOKS.set_enabled(conn, find_hook(conn, name), enabled=enabled)


def remove_hook(conn: Connection, name: str) -> None:
    """Remove a hook; its results stay.

    Raises:
        NotFound: there is none.
        DatabaseError: it is declared in code.
    """
    call(conn, calls.drop_hook(find_hook(conn, name)["name"]))


def _find_own(conn: Connection, name: str) -> Row:
    hook = find_hook(conn, name)
    refuse_declared(hook)
    return hook


def refuse_declared(hook: Row) -> None:
    """Make sure that a hook may be edited.

    Raises:
        Conflict: it is declared in code.
    """
    if hook["declared"]:
        raise Conflict(
            f"hook {hook['name']} is declared in the code of {hook['job']}",
            hint="change it there, or disable it: "
            + shell.command("rowhooks", "hooks", "disable", *shell.operand(hook["name"])),
        )


def _present_columns(conn: Connection, hook: Row) -> dict[str, object]:
    """Return what of a hook needs the present names of columns.

    A person who edits a hook has these names in mind. A column that has different names in two of its tables keeps its
    name.
    """
    names: dict[str, set[str]] = {}
    for table in load_hook(conn, hook["name"]).names.values():
        for former, now in table.items():
            names.setdefault(former, set()).add(now)
    held = {row["name"] for row in fetch(conn, _SQL["held"], hook["id"])}
    present = {name: found.pop() for name, found in names.items() if len(found) == 1 and name not in held}
    columns = [present.get(column, column) for column in hook["columns"]]
    ignored = [present.get(column, column) for column in hook["ignored_columns"]]
    conditions = with_columns(hook["conditions"], lambda column: present.get(column, column))
    changes: dict[str, object] = {}
    if columns != hook["columns"]:
        changes["columns"] = columns
    if ignored != hook["ignored_columns"]:
        changes["ignored_columns"] = ignored
    if conditions != hook["conditions"]:
        changes["conditions"] = conditions
    return changes


def _given(
    conn: Connection,
    job: str | None,
    actions: Sequence[str] | None,
    columns: Sequence[str] | None,
    ignored_columns: Sequence[str] | None,
    on_undecided: str | None,
) -> dict[str, object]:
    """Return what is not None, as rowhooks.alter_job_hook takes it."""
    given = {
        "job": None if job is None else find_job(conn, job)["class_path"],
        "actions": None if actions is None else list(actions),
        "columns": None if columns is None else list(columns),
        "ignored_columns": None if ignored_columns is None else list(ignored_columns),
        "on_undecided": on_undecided,
    }
    return {name: value for name, value in given.items() if value is not None}
