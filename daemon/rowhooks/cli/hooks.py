"""rowhooks hooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rowhooks.cli.common import Columns, Config, Dsn, Json, print_json, say, target
from rowhooks.cli.origins import (
    AddTable,
    Disabled,
    Name,
    NewTables,
    NoQueue,
    OfJob,
    OfTable,
    Queue,
    RemoveTable,
    Tables,
    add_commands,
    check_queues,
    check_tables,
    warn_of_disabled_job,
    warn_of_stray_queue,
)
from rowhooks.cli.printing import print_rows
from rowhooks.domain import exact
from rowhooks.domain.configuration import ON_UNDECIDED
from rowhooks.domain.display import visible
from rowhooks.domain.errors import ConditionsError, UsageError
from rowhooks.domain.likeness import hinted
from rowhooks.postgres.administration import hooks as administration
from rowhooks.postgres.administration.changes import load_change
from rowhooks.postgres.administration.schema import installed_connection

app = typer.Typer(no_args_is_help=True, help="Job hooks: which tables and actions start which job.")

ACTIONS = ("create", "update", "delete")
COLUMNS = (
    "name", "job", "enabled", "job_enabled", "declared", "actions", "tables", "waits_for", "columns",
    "ignored_columns", "conditions", "on_undecided", "queue",
)  # fmt: skip
Column = Annotated[
    list[str] | None,
    typer.Option("--column", help="Skip updates that change none of these columns; may be given several times."),
]
NoColumns = Annotated[bool, typer.Option("--no-columns", help="Start on updates of any column.")]
IgnoreColumn = Annotated[
    list[str] | None,
    typer.Option("--ignore-column", help="Skip updates that change only such columns; may be given several times."),
]
NoIgnoredColumns = Annotated[bool, typer.Option("--no-ignored-columns", help="Ignore no columns any more.")]
Conditions = Annotated[
    str | None,
    typer.Option(
        "--conditions", help="What the rows before and after the change must be, as JSON or @FILE; see docs/hooks.md."
    ),
]
NoConditions = Annotated[bool, typer.Option("--no-conditions", help="Remove its conditions.")]
OnUndecided = Annotated[
    str | None,
    typer.Option(
        "--on-undecided", help="What to do if the conditions cannot be decided for a change: run (the default) or skip."
    ),
]
Rename = Annotated[str | None, typer.Option("--rename", help="Its new name.")]


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    job: OfJob = None,
    table: OfTable = None,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List the hooks."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_hooks(conn, job=job, table=table)
    if not as_json:
        for row in rows:
            conditions = row["conditions"]
            row["conditions"] = None if conditions is None else exact.write(conditions)
    print_rows(
        rows, COLUMNS, as_json=as_json, whole=["conditions"], wanted=columns,
        first_to_go=(
            "on_undecided", "queue", "ignored_columns", "declared", "conditions", "columns", "waits_for",
            "job_enabled", "actions",
        ),
        empty="There is no hook. Add one: rowhooks hooks add NAME --job JOB --table TABLE --on update",
    )  # fmt: skip


@app.command()
def add(
    name: Name,
    job: Annotated[str, typer.Option("--job", help="The job it starts.")],
    table: Tables,
    on: Annotated[
        list[str],
        typer.Option("--on", help="The actions: create, update, delete; with commas, or given several times."),
    ],
    dsn: Dsn = None,
    config: Config = None,
    column: Column = None,
    ignore_column: IgnoreColumn = None,
    conditions: Conditions = None,
    on_undecided: OnUndecided = None,
    queue: Queue = None,
    disabled: Disabled = False,
) -> None:
    """Add a hook."""
    actions, parsed = _actions(on), _conditions(conditions)
    with installed_connection(target(dsn, config)) as conn:
        hook = administration.add_hook(
            conn, name, job=job, tables=table, actions=actions, columns=column or (),
            ignored_columns=ignore_column or (), conditions=parsed,
            on_undecided=_checked(on_undecided), queue=queue, enabled=not disabled,
        )  # fmt: skip
    say(f"Hook {visible(name)} added.")
    warn_of_disabled_job(hook)
    warn_of_stray_queue(queue, dsn, config)


@app.command()
def edit(
    name: Name,
    dsn: Dsn = None,
    config: Config = None,
    job: Annotated[str | None, typer.Option("--job", help="The job it starts from now on.")] = None,
    table: NewTables = None,
    add_table: AddTable = None,
    remove_table: RemoveTable = None,
    on: Annotated[
        list[str] | None, typer.Option("--on", help="Its actions from now on; may be given several times.")
    ] = None,
    column: Column = None,
    no_columns: NoColumns = False,
    ignore_column: IgnoreColumn = None,
    no_ignored_columns: NoIgnoredColumns = False,
    conditions: Conditions = None,
    no_conditions: NoConditions = False,
    on_undecided: OnUndecided = None,
    queue: Queue = None,
    no_queue: NoQueue = False,
    rename: Rename = None,
) -> None:
    """Change a hook; what is not given stays as it is."""
    check_tables(table, add_table, remove_table)
    check_queues(queue, no_queue)
    for option, is_given, removes in (
        ("--column and --no-columns", column, no_columns),
        ("--ignore-column and --no-ignored-columns", ignore_column, no_ignored_columns),
        ("--conditions and --no-conditions", conditions is not None, no_conditions),
    ):
        if is_given and removes:
            raise UsageError(f"{option} exclude each other")
    given = (
        job, table, add_table, remove_table, on, column, no_columns, ignore_column, no_ignored_columns,
        conditions is not None, no_conditions, on_undecided, queue is not None, no_queue, rename,
    )  # fmt: skip
    if not any(given):
        raise UsageError("nothing to change", hint="see: rowhooks hooks edit --help")
    actions, parsed = _actions(on) if on else None, _conditions(conditions)
    with installed_connection(target(dsn, config)) as conn:
        administration.edit_hook(
            conn, name, job=job, tables=table or None, more_tables=add_table or (), no_tables=remove_table or (),
            actions=actions, columns=[] if no_columns else column or None,
            ignored_columns=[] if no_ignored_columns else ignore_column or None,
            conditions=parsed, no_conditions=no_conditions, on_undecided=_checked(on_undecided),
            queue=queue, no_queue=no_queue, new_name=rename,
        )  # fmt: skip
    say(f"Hook {visible(rename or name)} changed.")
    warn_of_stray_queue(queue, dsn, config)


add_commands(app, "hook", administration.set_hook_enabled, administration.remove_hook)


@app.command("test")
def check(
    name: Name,
    change_id: Annotated[int, typer.Option("--change", metavar="ID", help="A change of the log.")],
    dsn: Dsn = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say whether a past change would start a hook, and why not. Exit code 0 if it would, 1 if not."""
    from rowhooks.pipeline.rules import Rule  # see _conditions

    with installed_connection(target(dsn, config)) as conn:
        hook = administration.load_hook(conn, name)
        change, receiver = load_change(conn, change_id)
    reasons = [] if receiver is None else [f"hook receiver {receiver} wrote it, which starts no hook"]
    undecided = None
    try:
        rule = Rule(hook)
        reasons += rule.reasons(change)
        undecided = None if reasons else rule.undecided(change)
    except ConditionsError as error:
        reasons.append(error.message)
    if as_json:
        print_json(
            {
                "hook": name,
                "job": hook.job.class_path,
                "change": change.id,
                "starts": not reasons,
                "reasons": reasons,
                "undecided": undecided,
                "waits": hook.lacks_class,
            }
        )
    else:
        row = f"{visible(change.changed_object_type)} {visible(change.object_repr)}"
        what = f"change {change.id} ({change.action} of {row})"
        say(f"Hook {visible(name)} {'does not start' if reasons else 'starts'} on {what}{':' if reasons else '.'}")
        for reason in reasons:
            say(f"  {reason}")
        if undecided is not None:
            say(f"  {undecided}; the hook runs because on_undecided = run")
        if hook.lacks_class and not reasons:
            say(f"  the run waits: the leader does not have job {visible(hook.job.class_path)}")
    if reasons:
        raise typer.Exit(1)


def _actions(on: Sequence[str]) -> list[str]:
    actions = [action.strip() for actions in on for action in actions.split(",") if action.strip()]
    if unknown := sorted(set(actions) - set(ACTIONS)):
        hint = hinted(unknown[0], ACTIONS, f"choose from: {', '.join(ACTIONS)}")
        raise UsageError(f"--on does not know {', '.join(unknown)}", hint=hint)
    if not actions:
        raise UsageError("You must select at least one type: create, update, and/or delete.")
    return actions


def _checked(on_undecided: str | None) -> str | None:
    if on_undecided not in (None, *ON_UNDECIDED):
        raise UsageError(f"--on-undecided does not know {on_undecided}", hint=f"choose from: {', '.join(ON_UNDECIDED)}")
    return on_undecided


def _conditions(given: str | None) -> Any:
    """Return conditions as they are read from JSON, once they have been found to be well-formed."""
    if given is None:
        return None
    from rowhooks.pipeline.conditions import parse_json  # its module of regular expressions takes long to import

    if given.startswith("@"):
        try:
            given = Path(given[1:]).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"--conditions: {given[1:]} cannot be read: {error}") from error
    parse_json(given)
    return exact.read_exactly(given)
