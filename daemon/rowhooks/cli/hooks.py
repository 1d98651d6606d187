"""rowhooks hooks."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, Json, print_rows, target
from rowhooks.domain.errors import UsageError
from rowhooks.postgres import administration
from rowhooks.postgres.schema import installed_connection

app = typer.Typer(no_args_is_help=True, help="Which tables and actions start which job.")

ACTIONS = ("create", "update", "delete")
Name = Annotated[str, typer.Argument(metavar="HOOK", help="The hook's name.")]


@app.command("list")
def list_(dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """List the hooks."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_hooks(conn)
    print_rows(
        rows,
        ["name", "job", "enabled", "job_enabled", "actions", "tables"],
        as_json=as_json,
        empty="There is no hook. Add one: rowhooks hooks add NAME --job JOB --table TABLE --on update",
    )


@app.command()
def add(
    name: Name,
    job: Annotated[str, typer.Option("--job", help="The job it starts.")],
    table: Annotated[list[str], typer.Option("--table", help="A tracked table; may be given several times.")],
    on: Annotated[str, typer.Option("--on", help="Of create, update, delete; separated by commas.")],
    dsn: Dsn = None,
    config: Config = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Add it disabled.")] = False,
) -> None:
    """Add a hook."""
    actions = [action.strip() for action in on.split(",") if action.strip()]
    if unknown := sorted(set(actions) - set(ACTIONS)):
        raise UsageError(f"--on does not know {', '.join(unknown)}", hint=f"choose from: {', '.join(ACTIONS)}")
    if not actions:
        raise UsageError("You must select at least one type: create, update, and/or delete.")
    with installed_connection(target(dsn, config)) as conn:
        hook = administration.add_hook(conn, name, job=job, tables=table, actions=actions, enabled=not disabled)
    typer.echo(f"Hook {name} added.")
    if not hook["job_enabled"]:
        typer.secho(
            f"It starts nothing until its job is enabled: rowhooks jobs enable {hook['job']}", err=True, fg="yellow"
        )


@app.command()
def enable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Enable a hook: changes from now on start its job."""
    _set(name, dsn, config, enabled=True)


@app.command()
def disable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Disable a hook."""
    _set(name, dsn, config, enabled=False)


@app.command()
def remove(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Remove a hook; its results stay."""
    with installed_connection(target(dsn, config)) as conn:
        administration.remove_hook(conn, name)
    typer.echo(f"Hook {name} removed.")


def _set(name: str, dsn: Dsn, config: Config, *, enabled: bool) -> None:
    with installed_connection(target(dsn, config)) as conn:
        administration.set_hook_enabled(conn, name, enabled=enabled)
    typer.echo(f"Hook {name} is {'enabled' if enabled else 'disabled'}.")
