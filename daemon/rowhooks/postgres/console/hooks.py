"""What the pages of hooks ask of the database, and what they do in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.configuration import JobHook
from rowhooks.postgres.administration import hooks as administration
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.console.origins import (
    Choices,
    RunsOfDay,
    check_unchanged,
    choices,
    fingerprint_of,
    moved_tables,
    runs_of_day,
    unfinished_runs,
)
from rowhooks.postgres.console.trials import Past, past_changes_of
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__, {"hooks": administration.HOOKS})
PAGE = 50
"""How many hooks a page lists."""
_DEFINITION = ("name", "job", "actions", "tables", "waits_for", "columns", "ignored_columns", "conditions",
               "on_undecided", "queue")  # fmt: skip


@dataclass(frozen=True)
class HookWanted:
    """What a form says of a hook.

    Args:
        name: its name.
        job: the class path of its job.
        tables: the tables to be on, as PostgreSQL reads names.
        actions: of create, update, delete.
        columns: an update that changes none of these starts nothing; empty: every column counts.
        ignored_columns: an update that changes only such columns starts nothing.
        conditions: as JSON has them; None for no conditions.
        on_undecided: `run` or `skip`.
        queue: the queue of its runs; None: that of its job.
        enabled: whether a new one is enabled.
        no_tables: tables that are gone, on which it is no longer to be.
    """

    name: str
    job: str
    tables: tuple[str, ...]
    actions: tuple[str, ...]
    columns: tuple[str, ...] = ()
    ignored_columns: tuple[str, ...] = ()
    conditions: Any = None
    on_undecided: str = "run"
    queue: str | None = None
    enabled: bool = True
    no_tables: tuple[str, ...] = ()


def list_hooks(conn: Connection, after: str | None) -> tuple[list[Row], RunsOfDay]:
    """Return the hooks behind a name, one more than a page has if there are more; and the runs of the last day."""
    return hooks_behind(conn, after, PAGE + 1), runs_of_day(conn)


def hooks_behind(conn: Connection, after: str | None, limit: int) -> list[Row]:
    """Return so many hooks by name, at most, behind a name; None: from the first."""
    return fetch(conn, _SQL["list"], after, limit)


def show_hook(conn: Connection, name: str) -> tuple[Row, RunsOfDay, int]:
    """Return a hook, the runs of the last day, and how many of its runs have not ended, MOST_UNFINISHED at most.

    Raises:
        NotFound: there is none.
    """
    hook = _find(conn, name)
    return hook, runs_of_day(conn), unfinished_runs(conn, hook=hook["id"])


def past_of_hook(conn: Connection, name: str) -> tuple[JobHook, Past]:
    """Return a hook as the daemon matches it, and past changes of its tables.

    Raises:
        NotFound: there is none.
    """
    hook = administration.load_hook(conn, name)
    return hook, past_changes_of(conn, hook.tables)


def hook_to_edit(conn: Connection, name: str | None) -> tuple[Row | None, Choices]:
    """Return a hook (None for one that is to be added), and what its form offers.

    Raises:
        NotFound: there is none.
        Conflict: it is declared in code.
    """
    hook = None if name is None else _find(conn, name)
    if hook is not None and hook["declared"]:
        administration.refuse_declared(hook)
    return hook, choices(conn, "hook", hook["id"] if hook else None)


def add_hook(conn: Connection, wanted: HookWanted) -> Row:
    """Add a hook; errors as in `administration.hooks.add_hook`."""
    return administration.add_hook(
        conn, wanted.name, job=wanted.job, tables=wanted.tables, actions=wanted.actions, columns=wanted.columns,
        ignored_columns=wanted.ignored_columns, conditions=wanted.conditions, on_undecided=wanted.on_undecided,
        queue=wanted.queue, enabled=wanted.enabled,
    )  # fmt: skip


def edit_hook(conn: Connection, name: str, seen: str, wanted: HookWanted) -> Row:
    """Change what differs of a hook; return it.

    Args:
        conn: in a transaction that is to be committed.
        name: its present name.
        seen: the fingerprint of the definition that the person has seen.
        wanted: what it is to be.

    Raises:
        Conflict: it was changed since.
        RowhooksError: as in `administration.hooks.edit_hook`.
    """
    hook, offered = hook_to_edit(conn, name)
    assert hook is not None, "it is found, or NotFound is raised"
    check_unchanged(f"hook {name}", fingerprint(hook), seen)
    more, fewer = moved_tables(offered.chosen, wanted.tables, wanted.no_tables)
    return administration.edit_hook(
        conn,
        name,
        job=wanted.job if wanted.job != hook["job"] else None,
        more_tables=more,
        no_tables=fewer,
        actions=_if_other(wanted.actions, hook["actions"]),
        columns=_if_other(wanted.columns, hook["columns"]),
        ignored_columns=_if_other(wanted.ignored_columns, hook["ignored_columns"]),
        conditions=wanted.conditions if _are_other(wanted.conditions, hook["conditions"]) else None,
        no_conditions=wanted.conditions is None and hook["conditions"] is not None,
        on_undecided=wanted.on_undecided if wanted.on_undecided != hook["on_undecided"] else None,
        queue=wanted.queue if wanted.queue != hook["queue"] else None,
        no_queue=wanted.queue is None and hook["queue"] is not None,
        new_name=wanted.name if wanted.name != name else None,
    )


def fingerprint(hook: Row) -> str:
    """Return a text that is another one when the hook's definition is."""
    return fingerprint_of([hook[name] for name in _DEFINITION])


def _find(conn: Connection, name: str) -> Row:
    return only(fetch(conn, _SQL["find"], name), "hook", name, "see: rowhooks hooks list")


def _if_other(wanted: Sequence[str], present: Sequence[str]) -> list[str] | None:
    return list(wanted) if set(wanted) != set(present) else None


def _are_other(wanted: Any, present: Any) -> bool:
    return not exact.same(wanted, present)
