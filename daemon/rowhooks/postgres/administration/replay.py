"""Changes of the past, given to a hook again: found in the log, and asked for as runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

from rowhooks.domain import shell
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.errors import Conflict
from rowhooks.pipeline.rules import Rule
from rowhooks.postgres.administration.changes import iterate_changes
from rowhooks.postgres.administration.common import Connection, execute, fetch
from rowhooks.postgres.administration.tables import resolve_table
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
BATCH = 1000
"""Runs that are put on record by one statement."""


def check_replay(hook: JobHook) -> None:
    """Make sure that runs of the hook's job would start.

    The hook itself may be disabled: it starts nothing by itself then.

    Raises:
        Conflict: its job is disabled or not installed.
    """
    if not hook.job.installed:
        raise Conflict(
            f"hook {hook.name} cannot be replayed: its job {hook.job.class_path} is not installed",
            hint="add its module to rowhooks.toml and restart the daemon",
        )
    if not hook.job.enabled:
        raise Conflict(
            f"hook {hook.name} cannot be replayed: its job {hook.job.class_path} is disabled",
            hint=f"run: {shell.command('rowhooks', 'jobs', 'enable', hook.job.class_path)}",
        )


def tables_of(conn: Connection, hook: JobHook, table: str | None) -> frozenset[int]:
    """Return the ids of the hook's tables, or of the one that is named.

    Raises:
        NotFound: there is no such table.
        Conflict: it is none of the hook's.
    """
    if table is None:
        return hook.tables
    quoted = resolve_table(conn, table)
    entries = fetch(conn, "select t.id from rowhooks.tracked_table as t where t.relation = $1::regclass", quoted)
    named = {row["id"] for row in entries}
    if not named & hook.tables:
        raise Conflict(f"{quoted} is no table of hook {hook.name}", hint="see: rowhooks hooks list")
    return hook.tables & named


def matching_changes(
    conn: Connection,
    hook: JobHook,
    *,
    since: datetime,
    until: datetime | None,
    tables: Collection[int],
    looked_at: Callable[[int], None],
) -> Iterator[ObjectChange]:
    """Yield the changes of a time span that the hook would start on, were it enabled then; by id, in bounded memory.

    Args:
        conn: in a transaction, until the last one was taken.
        hook: which one.
        since: from this time on.
        until: before this time; None: all that is committed.
        tables: ids of the tables to look at.
        looked_at: called with the number of changes looked at since the last call.

    Raises:
        ConditionsError: the hook's conditions are malformed.
    """
    rule = Rule(hook)
    for change in iterate_changes(conn, since=since, until=until, tables=tables):
        looked_at(1)
        if rule.why_not(change, replaying=True) is None:
            yield change


def made_up_for(conn: Connection, hook: JobHook, *, since: datetime, until: datetime | None) -> None:
    """Forget that changes were not kept for a hook, where all of them lie in a time span that it was given again."""
    execute(conn, _SQL["made_up_for"], hook.id, since, until)


def ask_for_runs(conn: Connection, hook: JobHook, change_ids: Sequence[int], done: Callable[[int], None]) -> int:
    """Ask for one run for each change; return how many there are: a change may have left the log.

    Args:
        conn: in a transaction, which makes it all or nothing.
        hook: which one.
        change_ids: in ascending order.
        done: called with the number of changes dealt with since the last call.
    """
    asked = 0
    for start in range(0, len(change_ids), BATCH):
        chunk = list(change_ids[start : start + BATCH])
        asked += execute(conn, _SQL["ask_for"], chunk, hook.id)
        done(len(chunk))
    return asked
