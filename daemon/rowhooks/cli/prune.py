"""rowhooks prune."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, counted, say, target
from rowhooks.cli.printing import progress
from rowhooks.domain.times import span
from rowhooks.postgres.administration import retention as administration
from rowhooks.postgres.administration.schema import installed_connection


def prune(
    older_than: Annotated[str, typer.Option("--older-than", help="Prune changes older than this: 90d, 12w ...")],
    dsn: Dsn = None,
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many changes.")] = False,
) -> None:
    """Delete old changes: whole partitions that hold only old changes are dropped; others are pruned row by row.

    Changes that the feed has not dealt with stay. So do changes of runs that have failed or not finished.
    """
    age = span(older_than)
    kept: list[str] = []
    dropped = deleted = moved = 0
    with installed_connection(target(dsn, config)) as conn:
        before = administration.time_before(conn, age)
        if not dry_run:
            # First, because a full default partition would prevent the rest.
            moved = administration.empty_default_partition(conn)
        partitions = administration.prunable_partitions(conn, before)
        with progress("Dropping partitions", len(partitions)) as advance:
            for partition in partitions:
                if dry_run or administration.drop_partition(conn, partition["partition"], before):
                    dropped += 1
                else:
                    kept.append(partition["partition"])
                advance(1)
        inside = sum(partition["changes"] for partition in partitions)
        for count, _ in administration.prune_changes(conn, before, dry_run=dry_run):
            deleted += count
    would = "would be " if dry_run else ""
    among = " (those in the partitions among them)" if dry_run else ""
    say(f"{counted(dropped, 'partition')} {would}dropped (about {counted(inside, 'change')}).")
    say(f"{counted(deleted, 'change')} {would}deleted{among}.")
    if moved:
        say(f"{counted(moved, 'change')} moved out of the default partition.")
    for name in kept:
        say(f"Partition {name} stays for now: an open transaction has written to the log (see pg_stat_activity).")
    if kept:
        raise typer.Exit(1)
