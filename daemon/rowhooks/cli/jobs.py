"""rowhooks jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, Json, print_fields, print_json, print_rows, say, target
from rowhooks.domain.display import visible
from rowhooks.postgres.administration import jobs as administration
from rowhooks.postgres.schema import installed_connection

app = typer.Typer(no_args_is_help=True, help="Receiver classes that the daemon has found.")

Name = Annotated[str, typer.Argument(metavar="JOB", help="Class path (module.Class), class name or name.")]


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    all_: Annotated[bool, typer.Option("--all", help="The hidden ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List the jobs."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_jobs(conn, hidden=all_)
    print_rows(
        rows,
        ["class_path", "kind", "name", "grouping", "enabled", "installed", "hooks", "buttons"],
        as_json=as_json,
        empty="No job is known yet. Name your module in rowhooks.toml and start: rowhooks run",
    )


@app.command()
def show(name: Name, dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Show one job: what its class says of itself, and what starts it."""
    with installed_connection(target(dsn, config)) as conn:
        job = administration.show_job(conn, name)
    if as_json:
        print_json(job)
        return
    print_fields(
        job,
        [
            "class_path", "kind", "name", "grouping", "description", "hidden", "enabled", "installed", "hooks",
            "buttons", "meta",
        ],
    )  # fmt: skip


@app.command()
def enable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Enable a job: its hooks and buttons start it from now on."""
    _set(name, dsn, config, enabled=True)


@app.command()
def disable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Disable a job: its hooks and buttons start nothing."""
    _set(name, dsn, config, enabled=False)


def _set(name: str, dsn: Dsn, config: Config, *, enabled: bool) -> None:
    with installed_connection(target(dsn, config)) as conn:
        job = administration.set_job_enabled(conn, name, enabled=enabled)
    say(f"Job {visible(job['class_path'])} is {'enabled' if enabled else 'disabled'}.")
