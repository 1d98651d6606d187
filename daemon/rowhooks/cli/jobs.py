"""rowhooks jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import Columns, Config, Dsn, Json, Yes, counted, print_json, say, settings, target
from rowhooks.cli.printing import print_fields, print_rows
from rowhooks.domain.display import visible
from rowhooks.domain.inputs import describe_inputs
from rowhooks.postgres.administration import jobs as administration
from rowhooks.postgres.administration.schema import installed_connection

app = typer.Typer(no_args_is_help=True, help="Jobs: the receiver classes that the daemon has found.")

Name = Annotated[str, typer.Argument(metavar="JOB", help="The class path (module.Class), the class name, or the name.")]


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    all_: Annotated[bool, typer.Option("--all", help="List hidden jobs too.")] = False,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List the jobs."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_jobs(conn, hidden=all_)
    for row in rows:
        row["inputs"] = describe_inputs(row["inputs_schema"])
        row["queue"] = row["meta"].get("queue")
    print_rows(
        rows,
        ["class_path", "kind", "name", "grouping", "enabled", "installed", "hooks", "buttons", "queue", "inputs"],
        as_json=as_json,
        wanted=columns,
        first_to_go=("inputs", "queue", "grouping", "buttons", "hooks", "kind", "name"),
        empty="No job is known yet. Name your module in rowhooks.toml and run: rowhooks jobs sync, or rowhooks run",
    )


@app.command()
def show(name: Name, dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Show one job: what its class declares, and the hooks and buttons that start it."""
    with installed_connection(target(dsn, config)) as conn:
        job = administration.show_job(conn, name)
    if as_json:
        print_json(job)
        return
    print_fields(
        {**job, "inputs": describe_inputs(job["inputs_schema"]) or None},
        [
            "class_path", "kind", "name", "grouping", "description", "hidden", "enabled", "installed", "hooks",
            "buttons", "inputs", "meta",
        ],
    )  # fmt: skip


@app.command()
def sync(
    dsn: Dsn = None,
    config: Config = None,
    receivers: Annotated[
        list[str] | None,
        typer.Option("--receivers", help="A module with receivers, in place of those in the settings."),
    ] = None,
) -> None:
    """Import the receivers and register their jobs without a daemon. Exit code 1 if something is not registered."""
    from rowhooks.cli.job_sync import synchronise  # a listing does not import what receivers need

    chosen = settings(dsn, config, receivers=tuple(receivers) if receivers else None)
    if not synchronise(chosen):
        raise typer.Exit(1)


@app.command()
def enable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Enable a job: its hooks and buttons start it from now on."""
    _set(name, dsn, config, enabled=True)


@app.command()
def disable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Disable a job: its hooks and buttons start nothing."""
    _set(name, dsn, config, enabled=False)


@app.command()
def remove(name: Name, dsn: Dsn = None, config: Config = None, yes: Yes = False) -> None:
    """Remove a job whose class no longer exists, with its hooks, buttons and waiting runs; results stay."""
    with installed_connection(target(dsn, config)) as conn:
        job = administration.find_missing_job(conn, name)
        conn.commit()
        if not yes:
            typer.confirm(
                f"Remove job {visible(job['class_path'])} with {counted(job['hooks'], 'hook')},"
                f" {counted(job['buttons'], 'button')} and {counted(job['waiting'], 'run')} that waits for it?",
                abort=True,
            )
        with conn.transaction():
            job = administration.remove_job(conn, job["class_path"])
    say(
        f"Job {visible(job['class_path'])} is removed, with {counted(job['hooks'], 'hook')} and"
        f" {counted(job['buttons'], 'button')}; {counted(job['revoked'], 'run')} revoked."
    )


@app.command()
def move(
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="The class path that the job has now.")],
    dsn: Dsn = None,
    config: Config = None,
) -> None:
    """Move the hooks, buttons and waiting runs of a job to the new path of its class."""
    with installed_connection(target(dsn, config)) as conn, conn.transaction():
        job = administration.move_job(conn, name, new_name)
    say(
        f"Job {visible(job['class_path'])} has what waited for {visible(name)}; {counted(job['waiting'], 'run')} of it,"
        f" and it is {'enabled' if job['enabled'] else 'disabled'}."
    )


def _set(name: str, dsn: Dsn, config: Config, *, enabled: bool) -> None:
    with installed_connection(target(dsn, config)) as conn:
        job = administration.set_job_enabled(conn, name, enabled=enabled)
    say(f"Job {visible(job['class_path'])} is {'enabled' if enabled else 'disabled'}.")
