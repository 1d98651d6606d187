"""rowhooks replay."""

from __future__ import annotations

from array import array
from typing import Annotated, Any

import typer

from rowhooks.cli.common import Config, Dsn, Json, Yes, print_json, say, target
from rowhooks.cli.printing import print_rows, progress
from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.display import visible
from rowhooks.domain.errors import Conflict, UsageError
from rowhooks.domain.times import point_in_time
from rowhooks.postgres.administration.changes import count_changes
from rowhooks.postgres.administration.hooks import load_hook
from rowhooks.postgres.administration.replay import ask_for_runs, check_replay, made_up_for, matching_changes, tables_of
from rowhooks.postgres.administration.schema import installed_connection

FIRST = 10
"""The number of changes that a dry run lists."""


def replay(
    hook: Annotated[str, typer.Option("--hook", help="The hook to run.")],
    since: Annotated[str, typer.Option("--since", help="From this time on: 2026-01-31T12:00, or so long ago: 2h, 7d.")],
    dsn: Dsn = None,
    config: Config = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this time; the default is now.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="Only changes of this table of the hook.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the first changes, and count them.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run a hook for past changes that match it, even if it was disabled then or has run for them before."""
    start = point_in_time(since)
    end = None if until is None else point_in_time(until)
    if end is not None and end <= start:
        raise UsageError(f"--until {until} is not after --since {since}")
    if as_json and not (dry_run or yes):
        raise UsageError("--json cannot ask for confirmation", hint="add --yes or --dry-run")
    matching = array("q")
    first: list[dict[str, Any]] = []
    with installed_connection(target(dsn, config)) as conn:
        wanted = load_hook(conn, hook)
        check_replay(wanted)
        tables = tables_of(conn, wanted, table)
        with progress("Matching", count_changes(conn, since=start, until=end, tables=tables)) as advance:
            for change in matching_changes(conn, wanted, since=start, until=end, tables=tables, looked_at=advance):
                matching.append(change.id)
                if len(first) < FIRST:
                    first.append(_row(change))
        # No transaction stays open during the question.
        conn.commit()
        counted = f"{len(matching):,} {'change' if len(matching) == 1 else 'changes'}"
        if dry_run:
            _print_dry_run(hook, counted, matching, first, as_json=as_json)
            return
        if matching and not yes:
            typer.confirm(f"Run hook {visible(hook)} for {counted}?", abort=True)
        with progress("Asking for runs", len(matching)) as advance, conn.transaction():
            if load_hook(conn, hook) != wanted:
                raise Conflict(f"hook {hook} was changed meanwhile", hint="repeat the command")
            asked = ask_for_runs(conn, wanted, matching, advance)
            if table is None:
                made_up_for(conn, wanted, since=start, until=end)
    if as_json:
        print_json({"hook": hook, "runs": asked})
    else:
        say(
            f"{asked:,} {'run' if asked == 1 else 'runs'} of hook {visible(hook)} requested. See: rowhooks results list"
        )


def _print_dry_run(
    hook: str, counted: str, matching: array[int], first: list[dict[str, Any]], *, as_json: bool
) -> None:
    if as_json:
        print_json({"hook": hook, "runs": len(matching), "first": first})
        return
    say(f"Hook {visible(hook)} would run for {counted}.")
    if first:
        print_rows(
            first,
            ["id", "time", "action", "object_type", "object_id", "object_repr", "db_user", "user_name"],
            as_json=False,
            empty="",
        )
    if len(matching) > len(first):
        say(f"... and {len(matching) - len(first):,} more")


def _row(change: ObjectChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "time": change.time,
        "action": change.action,
        "object_type": change.changed_object_type,
        "object_id": exact.read_exactly(change.object_id_json),
        "object_repr": change.object_repr,
        "db_user": change.db_user,
        "user_name": change.user_name,
    }
