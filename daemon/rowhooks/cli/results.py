"""rowhooks results."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from rowhooks.cli.common import Config, Dsn, Json, Limit, cell, console, print_fields, print_json, print_rows, target
from rowhooks.postgres import administration
from rowhooks.postgres.schema import installed_connection

app = typer.Typer(no_args_is_help=True, help="What became of the runs.")


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    status: Annotated[
        str | None, typer.Option("--status", help="PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED.")
    ] = None,
    hook: Annotated[str | None, typer.Option("--hook", help="Only of this hook.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="Only of this table (schema.table).")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the newest results."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_results(conn, status=status and status.upper(), hook=hook, table=table, limit=limit)
    print_rows(
        rows,
        ["id", "status", "hook_name", "action", "object_type", "object_repr", "finished_at", "exception_message"],
        as_json=as_json,
        empty="No result is recorded. See: rowhooks status",
    )


@app.command()
def show(
    result_id: Annotated[int, typer.Argument(metavar="ID")],
    dsn: Dsn = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show one result with its log and, where it failed, the traceback."""
    with installed_connection(target(dsn, config)) as conn:
        result = administration.show_result(conn, result_id)
    if as_json:
        print_json(result)
        return
    print_fields(
        result,
        [
            "id", "status", "class_path", "hook_name", "action", "object_type", "object_id", "object_repr",
            "object_change_id", "user_name", "attempt", "created_at", "started_at", "finished_at", "key", "result",
        ],
    )  # fmt: skip
    for entry in result["log"]:
        console.print(Text.assemble(cell(entry["time"]), " ", cell(entry["level"]), " ", entry["message"]))
    if result["traceback"]:
        console.print(Text(result["traceback"], style="red"))
