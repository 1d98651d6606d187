"""Replay: past changes that match a hook are found in the log, and runs are requested."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

from rowhooks.domain import shell
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.errors import Conflict, PermissionDenied
from rowhooks.pipeline.rules import Rule
from rowhooks.postgres.administration.changes import iterate_changes
from rowhooks.postgres.administration.common import Connection, act, fetch
from rowhooks.postgres.administration.tables import resolve_table
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
BATCH = 1000
"""The number of runs that one statement asks for."""


def check_replay(hook: JobHook) -> None:
    """Make sure that runs of the job of a hook can start. The hook itself may be disabled.

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
    """Return the ids of the tables of a hook, or of one of them.

    Raises:
        NotFound: there is no such table.
        Conflict: the hook is not on it.
        PermissionDenied: the role may read neither the log nor the whole table.
    """
    if table is None:
        _check_readable(conn, hook, hook.tables)
        return hook.tables
    quoted = resolve_table(conn, table)
    entries = fetch(conn, "select t.id from rowhooks.tracked_table as t where t.relation = $1::regclass", quoted)
    named = {row["id"] for row in entries}
    if not named & hook.tables:
        raise Conflict(f"hook {hook.name} is not on table {quoted}", hint="see: rowhooks hooks list")
    _check_readable(conn, hook, hook.tables & named)
    return hook.tables & named


def _check_readable(conn: Connection, hook: JobHook, tables: Collection[int]) -> None:
    """Make sure that the role sees whole rows: what it may not read of them, the hook may ask for."""
    for row in fetch(conn, _SQL["unreadable"], sorted(tables)):
        raise PermissionDenied(
            f"hook {hook.name} cannot be replayed: role {row['role']} may not read table {row['name']}",
            hint=f"let its owner run: grant select on {row['name']} to {row['role']}; or name another of its tables",
        )


def matching_changes(
    conn: Connection,
    hook: JobHook,
    *,
    since: datetime,
    until: datetime | None,
    tables: Collection[int],
    looked_at: Callable[[int], None],
) -> Iterator[ObjectChange]:
    """Yield the changes of a time span that match a hook, whether it was enabled or not; by id, in bounded memory.

    Args:
        conn: a connection that stays in a transaction until the end.
        hook: the hook.
        since: from this time on.
        until: before this time; None: until now.
        tables: the ids of the tables.
        looked_at: called with the number of changes read since the last call.

    Raises:
        ConditionsError: the hook's conditions are malformed.
    """
    rule = Rule(hook)
    for change in iterate_changes(conn, since=since, until=until, tables=tables):
        looked_at(1)
        if rule.why_not(change, replaying=True) is None:
            yield change


def made_up_for(conn: Connection, hook: JobHook, *, since: datetime, until: datetime | None) -> None:
    """Delete the note of changes that were not kept for a hook, if all of them lie in a replayed time span."""
    act(conn, _SQL["made_up_for"], hook.name, since, until)


def ask_for_runs(conn: Connection, hook: JobHook, change_ids: Sequence[int], done: Callable[[int], None]) -> int:
    """Ask for a run for each change; return the number of runs. A change that has left the log has none.

    Args:
        conn: a connection in a transaction, which makes it all or nothing.
        hook: the hook.
        change_ids: in ascending order.
        done: called with the number of changes since the last call.
    """
    asked = 0
    for start in range(0, len(change_ids), BATCH):
        chunk = list(change_ids[start : start + BATCH])
        asked += act(conn, _SQL["ask_for"], hook.name, chunk)
        done(len(chunk))
    return asked
