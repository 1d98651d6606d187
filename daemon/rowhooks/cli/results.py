"""rowhooks results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.text import Text

from rowhooks.cli.batches import show_batch
from rowhooks.cli.common import (
    Before,
    Columns,
    Config,
    Dsn,
    Json,
    Limit,
    Since,
    Yes,
    complain,
    counted,
    more_before,
    print_json,
    say,
    settings,
    target,
)
from rowhooks.cli.listing import first_line
from rowhooks.cli.origins import OfJob
from rowhooks.cli.printing import cell, console, print_fields, print_rows, progress
from rowhooks.cli.result_log import LogPrinter, follow, print_failure
from rowhooks.domain.errors import ConnectionFailed, NotFound, RowhooksError, UsageError
from rowhooks.domain.times import point_in_time, span
from rowhooks.postgres.administration import results as administration
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.connections.target import Target

app = typer.Typer(no_args_is_help=True, help="Results: the status, log and outcome of each run.")

TRIGGERS = ("change", "press", "replay")
STATUSES = ("PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED")
Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="The ids of results.")]


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    status: Annotated[str | None, typer.Option("--status", help=f"Only this status: {', '.join(STATUSES)}.")] = None,
    hook: Annotated[str | None, typer.Option("--hook", help="Only runs of this hook.")] = None,
    button: Annotated[str | None, typer.Option("--button", help="Only runs of this button.")] = None,
    job: OfJob = None,
    trigger: Annotated[
        str | None, typer.Option("--trigger", help="Only runs started by: change, press or replay.")
    ] = None,
    table: Annotated[str | None, typer.Option("--table", help="Only runs for this table (schema.table).")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Only runs of this press of several rows.")] = None,
    since: Since = None,
    before: Before = None,
    limit: Limit = 20,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List the newest results."""
    if status is not None and status.upper() not in STATUSES:
        raise UsageError(f"there is no status {status}", hint=f"choose from: {', '.join(STATUSES)}")
    if trigger is not None and trigger not in TRIGGERS:
        raise UsageError(f"no run has the trigger {trigger}", hint=f"choose from: {', '.join(TRIGGERS)}")
    since_time = None if since is None else point_in_time(since)
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_results(
            conn, status=status and status.upper(), hook=hook, button=button, trigger=trigger, table=table,
            since=since_time, batch=batch, job=job, before=before, limit=limit,
        )  # fmt: skip
    for row in rows:
        row["origin"] = row["hook_name"] or row["button_name"]
        if not as_json:
            row["exception_message"] = first_line(row["exception_message"])
    print_rows(
        rows,
        [
            "id", "status", "origin", "action", "object_type", "object_repr", "db_user", "user_name", "finished_at",
            "exception_message",
        ],
        as_json=as_json,
        empty="No result is recorded. See: rowhooks status",
        wanted=columns,
        first_to_go=("user_name", "db_user", "action", "object_type", "finished_at", "origin"),
    )  # fmt: skip
    more_before(rows, limit, as_json=as_json)


@app.command()
def show(
    result_id: Annotated[int, typer.Argument(metavar="ID")],
    dsn: Dsn = None,
    config: Config = None,
    as_json: Json = False,
    as_a_test: Annotated[
        bool,
        typer.Option("--as-test", help="Print a test for pytest that brings this change, or press, to its receiver."),
    ] = False,
    follow_it: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Print log lines and states until the run has finished. Exit code 1 if it does not succeed.",
        ),
    ] = False,
) -> None:
    """Show one result with its log and the traceback of a failure; or a press of several rows, with their states."""
    if as_a_test:
        if as_json or follow_it:
            raise UsageError("--as-test excludes --json and --follow", hint="give one of them")
        from rowhooks.cli.as_test import as_test  # a listing does without
        from rowhooks.postgres.administration.recorded_runs import recorded_run

        chosen = settings(dsn, config)
        with installed_connection(Target(chosen.dsn, password=chosen.password)) as conn:
            run = recorded_run(conn, result_id)
        typer.echo(as_test(run, chosen.redactor().clean), nl=False)
        return
    with installed_connection(target(dsn, config)) as conn:
        try:
            result = administration.show_result(conn, result_id)
        except NotFound:
            # No batch has the id of a result.
            if (batch := administration.find_batch(conn, result_id)) is None:
                raise
            raise typer.Exit(0 if show_batch(conn, batch, follow=follow_it, as_json=as_json) else 1) from None
        if as_json and not follow_it:
            print_json(result)
            return
        if not as_json:
            _print_result(result, live=follow_it)
        if follow_it:
            succeeded = follow(conn, result_id, as_json=as_json)
            raise typer.Exit(0 if succeeded else 1)
    LogPrinter().print(result["log"])
    print_failure(result)


def _print_result(result: dict[str, Any], *, live: bool) -> None:
    before = [
        "id", "status", "trigger", "original_id", "class_path", "hook_name", "button_name", "action", "object_type",
        "object_id", "object_repr", "inputs", "batch_id", "object_change_id", "db_user", "login", "user_name",
    ]  # fmt: skip
    # These change during the run, and are printed later.
    changing = [
        "attempt", "retries", "retry_at", "created_at", "started_at", "finished_at", "key", "result", "log_counts",
    ]  # fmt: skip
    result["log_counts"] = result["log_counts"] or None
    print_fields(result, [*(name for name in before if name != "status"), "key"] if live else [*before, *changing])
    for other in result["history"]:
        console.print(
            Text.assemble("run ", str(other["id"]), " ", cell(other["status"]), " ", cell(other["created_at"]))
        )


@app.command()
def retry(
    result_ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="The ids of results.")] = None,
    dsn: Dsn = None,
    config: Config = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Retry all failed runs that were not retried since.")
    ] = False,
    hook: Annotated[str | None, typer.Option("--hook", help="With --failed: only runs of this hook.")] = None,
    job: Annotated[str | None, typer.Option("--job", help="With --failed: only runs of this job.")] = None,
    since: Since = None,
    yes: Yes = False,
) -> None:
    """Run finished runs again, as new runs; the old results stay."""
    if bool(result_ids) == failed:
        raise UsageError("give either ids or --failed", hint="for example: rowhooks results retry 17 18")
    if not failed and (hook or job or since):
        raise UsageError("--hook, --job and --since need --failed", hint="add --failed, or give only ids")
    since_time = None if since is None else point_in_time(since)
    with installed_connection(target(dsn, config)) as conn:
        if result_ids:
            all_done = _for_each(
                conn, result_ids, lambda run: f"Run {run} is run again as run {administration.retry(conn, run)}."
            )
        else:
            all_done = _retry_failed(
                conn, administration.failed_runs(conn, hook=hook, job=job, since=since_time), yes=yes
            )
    if not all_done:
        raise typer.Exit(1)


def _retry_failed(conn: Connection, chosen: list[int], *, yes: bool) -> bool:
    if not chosen:
        say("There is no failed run to retry.")
        return True
    # No transaction stays open during the question.
    conn.commit()
    if not yes:
        typer.confirm(f"Run {counted(len(chosen), 'failed run')} again?", abort=True)
    refusals: list[RowhooksError] = []
    with progress("Retrying", len(chosen)) as advance:
        for result_id in chosen:
            try:
                administration.retry(conn, result_id)
            except ConnectionFailed:
                raise
            except RowhooksError as error:
                refusals.append(error)
            conn.commit()
            advance(1)
    for refusal in refusals:
        complain(refusal)
    say(f"{counted(len(chosen) - len(refusals), 'failed run')} will run again.")
    return not refusals


@app.command()
def revoke(result_ids: Ids, dsn: Dsn = None, config: Config = None) -> None:
    """Revoke runs that have not finished: waiting runs do not start, running ones are interrupted."""
    with installed_connection(target(dsn, config)) as conn:
        all_done = _for_each(
            conn, result_ids, lambda run: f"Run {run} is revoked; it was {administration.revoke(conn, run)}."
        )
    if not all_done:
        raise typer.Exit(1)


def _for_each(conn: Connection, result_ids: list[int], do: Callable[[int], str]) -> bool:
    """Change each run in a transaction of its own and print what was done; return whether none was refused."""
    all_done = True
    for result_id in result_ids:
        try:
            said = do(result_id)
        except ConnectionFailed:
            raise
        except RowhooksError as error:
            all_done = False
            complain(error)
            conn.commit()
        else:
            # Committed first, so that the printed line is true.
            conn.commit()
            say(said)
    return all_done


@app.command()
def prune(
    older_than: Annotated[
        str,
        typer.Option("--older-than", help="Delete results of runs that finished longer ago than this: 90d, 12w ..."),
    ],
    dsn: Dsn = None,
    config: Config = None,
    failed: Annotated[bool, typer.Option("--failed", help="Also delete results of failed runs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many results.")] = False,
) -> None:
    """Delete old results with their logs. Results of unfinished runs stay; so do failures without --failed."""
    age = span(older_than)
    deleted = 0
    with installed_connection(target(dsn, config)) as conn:
        total = administration.highest_id(conn)
        with progress("Pruning", total) as advance:
            reached = 0
            for step, last_id in administration.prune(conn, age, include_failed=failed, dry_run=dry_run):
                deleted += step
                advance((last_id or total) - reached)
                reached = last_id or total
    results = counted(deleted, "result")
    say(f"{results} would be deleted." if dry_run else f"{results} deleted.")
