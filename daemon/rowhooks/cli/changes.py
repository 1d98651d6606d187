"""rowhooks changes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.text import Text

from rowhooks.cli.common import (
    Before,
    Columns,
    Config,
    Dsn,
    Json,
    Limit,
    Since,
    more_before,
    print_json,
    print_json_line,
    target,
)
from rowhooks.cli.printing import COLOURS, cell, console, print_fields, print_rows
from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange, differing_columns
from rowhooks.domain.display import LONG, SHORT, by_whom, visible
from rowhooks.domain.errors import UsageError
from rowhooks.domain.likeness import hinted
from rowhooks.domain.times import point_in_time
from rowhooks.postgres.administration import changes as administration
from rowhooks.postgres.administration.common import LOGS, log_of
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.administration.visible_following import follow_visible

app = typer.Typer(no_args_is_help=True, help="The log of changed rows.")

ACTIONS = ("create", "update", "delete", "truncate")
Table = Annotated[str | None, typer.Option("--table", help="Only changes of this table (schema.table).")]


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    table: Table = None,
    action: Annotated[
        str | None, typer.Option("--action", help="Only this action: create, update, delete or truncate.")
    ] = None,
    since: Since = None,
    before: Before = None,
    limit: Limit = 20,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List the newest changes."""
    if action is not None and action not in ACTIONS:
        raise UsageError(
            f"there is no action {action}", hint=hinted(action, ACTIONS, f"choose from: {', '.join(ACTIONS)}")
        )
    since_time = None if since is None else point_in_time(since)
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_changes(
            conn, table=table, action=action, since=since_time, before=before, limit=limit
        )
    print_rows(
        rows,
        ["id", "time", "action", "object_type", "object_id", "object_repr", "db_user", "user_name"],
        as_json=as_json,
        empty="No change is recorded. See which tables are tracked: rowhooks tables",
        wanted=columns,
        first_to_go=("user_name", "db_user", "object_id", "time"),
    )
    more_before(rows, limit, as_json=as_json)


@app.command()
def show(
    change_id: Annotated[int, typer.Argument(metavar="ID")],
    dsn: Dsn = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show one change: the columns that differ, who made it, the runs that it started."""
    with installed_connection(target(dsn, config)) as conn:
        change = administration.show_change(conn, change_id)
    if as_json:
        print_json(change)
        return
    print_fields(
        change,
        [
            "id", "time", "action", "object_type", "object_id", "object_repr", "db_user", "user_name", "request_id",
            "change_context", "receiver", "capture_error", "transaction_id",
        ],
    )  # fmt: skip
    console.print(diff(change["prechange"], change["postchange"]))
    for run in change["runs"]:
        line = Text.assemble(
            "run ",
            str(run["id"]),
            " ",
            cell(run["status"]),
            " ",
            cell(run["hook_name"]),
            " (",
            cell(run["class_path"]),
            ")",
        )
        console.print(line)


@app.command()
def follow(dsn: Dsn = None, config: Config = None, table: Table = None, as_json: Json = False) -> None:
    """Print changes as they are committed, until Ctrl-C: those that the role may see."""
    where = target(dsn, config)
    with installed_connection(where) as conn:
        if log_of(conn) != LOGS[0]:
            for change in follow_visible(conn):
                _print_change(change, table, as_json=as_json)
    asyncio.run(_follow(where, table, as_json=as_json))


async def _follow(where: Any, table: str | None, *, as_json: bool) -> None:
    from rowhooks.postgres.administration import following  # a listing does without asyncpg

    async for change in following.follow(where):
        _print_change(change, table, as_json=as_json)


def _print_change(change: ObjectChange, table: str | None, *, as_json: bool) -> None:
    if table not in (None, change.changed_object_type):
        return
    if as_json:
        print_json_line(_as_json(change))
        return
    console.print(
        Text.assemble(
            cell(change.time), " ", Text(change.action, style=COLOURS[change.action]),
            f" {visible(change.changed_object_type)} {visible(change.object_repr)}",
            f" by {by_whom(change.db_user, change.user_name)}",
        )
    )  # fmt: skip
    console.print(diff(change.exact_prechange, change.exact_postchange, SHORT))


def _as_json(change: ObjectChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "time": change.time.isoformat(),
        "action": change.action,
        "object_type": change.changed_object_type,
        "object_id": exact.read_exactly(change.object_id_json),
        "object_repr": change.object_repr,
        "prechange": change.exact_prechange,
        "postchange": change.exact_postchange,
        "user_name": change.user_name,
        "db_user": change.db_user,
        "request_id": change.request_id,
        "change_context": change.change_context,
        "capture_error": change.capture_error,
    }


def diff(before: dict[str, Any] | None, after: dict[str, Any] | None, longest: int = LONG) -> Text:
    """Return the columns that differ, with old and new values, each shortened to `longest` characters."""
    lines = Text()
    for name in differing_columns(before, after):
        for sign, row, style in (("-", before, "red"), ("+", after, "green")):
            if row is not None and name in row:
                lines.append(f"  {sign} {visible(name)}: {visible(exact.write(row[name]), longest)}\n", style=style)
    return lines
