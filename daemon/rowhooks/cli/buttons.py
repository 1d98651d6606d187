"""rowhooks buttons, and rowhooks press."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

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
    warn,
    warn_of_disabled_job,
    warn_of_stray_queue,
)
from rowhooks.cli.printing import print_rows
from rowhooks.domain import shell
from rowhooks.domain.display import visible
from rowhooks.domain.errors import UsageError
from rowhooks.domain.inputs import read_inputs
from rowhooks.postgres.administration import buttons as administration
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.press_connection import inputs_schema_of, pressing_connection, suggesting
from rowhooks.pressing import press as press_button
from rowhooks.pressing import press_many

app = typer.Typer(no_args_is_help=True, help="Job buttons: buttons on the rows of tables that start jobs.")

Button = Annotated[str, typer.Argument(help="The button's name.")]
Table = Annotated[str, typer.Argument(metavar="TABLE", help="The table, as schema.table.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The row's key; a JSON object if the key has several columns.")]
Group = Annotated[str | None, typer.Option("--group", help="The group in which pages show it.")]
Weight = Annotated[int | None, typer.Option("--weight", min=0, help="Lower weights come first; 100 by default.")]
Class = Annotated[str | None, typer.Option("--class", help=f"Its style: {', '.join(administration.BUTTON_CLASSES)}.")]
Confirmation = Annotated[
    bool | None,
    typer.Option("--confirmation/--no-confirmation", help="Ask before a press (the default), or not."),
]


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    job: OfJob = None,
    table: OfTable = None,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List the buttons."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_buttons(conn, job=job, table=table)
    print_rows(
        rows,
        [
            "name", "group_name", "weight", "text", "job", "enabled", "job_enabled", "tables", "waits_for", "roles",
            "queue",
        ],
        as_json=as_json,
        wanted=columns,
        first_to_go=("queue", "waits_for", "weight", "group_name", "job_enabled", "text", "roles"),
        empty="There is no button. Add one: rowhooks buttons add NAME --job JOB --table TABLE --text TEXT --role ROLE",
    )  # fmt: skip


@app.command()
def add(
    name: Name,
    job: Annotated[str, typer.Option("--job", help="The job it starts: a button receiver.")],
    table: Tables,
    text: Annotated[str, typer.Option("--text", help="The label: a Jinja2 template that can use obj and user.")],
    group: Group = None,
    weight: Weight = None,
    button_class: Class = None,
    confirmation: Confirmation = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="Its members may press; public means every role. May be given several times."),
    ] = None,
    queue: Queue = None,
    dsn: Dsn = None,
    config: Config = None,
    disabled: Disabled = False,
) -> None:
    """Add a button."""
    with installed_connection(target(dsn, config)) as conn:
        button = administration.add_button(
            conn, name, job=job, tables=table, text=text, group_name=group, weight=weight, button_class=button_class,
            confirmation=confirmation, roles=role or None, queue=queue, enabled=not disabled,
        )  # fmt: skip
    say(f"Button {visible(name)} added.")
    warn_of_disabled_job(button)
    warn_of_stray_queue(queue, dsn, config)
    if not button["roles"]:
        edit = shell.command("rowhooks", "buttons", "edit", "--role", "ROLE", *shell.operand(name))
        warn(f"Only superusers and the daemon's role may press it: {edit} (public means every role)")


@app.command()
def edit(
    name: Name,
    job: Annotated[str | None, typer.Option("--job", help="The job it starts from now on.")] = None,
    table: NewTables = None,
    add_table: AddTable = None,
    remove_table: RemoveTable = None,
    text: Annotated[str | None, typer.Option("--text", help="Its new label.")] = None,
    group: Group = None,
    weight: Weight = None,
    button_class: Class = None,
    confirmation: Confirmation = None,
    role: Annotated[list[str] | None, typer.Option("--role", help="A role of its new list of roles.")] = None,
    no_role: Annotated[bool, typer.Option("--no-role", help="Remove all its roles.")] = False,
    queue: Queue = None,
    no_queue: NoQueue = False,
    dsn: Dsn = None,
    config: Config = None,
) -> None:
    """Change a button; what is not given stays as it is."""
    if role and no_role:
        raise typer.BadParameter("--role and --no-role exclude each other")
    check_tables(table, add_table, remove_table)
    check_queues(queue, no_queue)
    with installed_connection(target(dsn, config)) as conn:
        administration.edit_button(
            conn, name, job=job, tables=table or None, more_tables=add_table or (), no_tables=remove_table or (),
            text=text, group_name=group, weight=weight, button_class=button_class, confirmation=confirmation,
            roles=[] if no_role else (role or None), queue=queue, no_queue=no_queue,
        )  # fmt: skip
    say(f"Button {visible(name)} changed.")
    warn_of_stray_queue(queue, dsn, config)


add_commands(app, "button", administration.set_button_enabled, administration.remove_button)


@app.command("for")
def for_(table: Table, key: Key, dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Show the buttons of one row as a page would: in order, with their labels; a disabled one with the reason."""
    # Not for the other commands, which do without SQLAlchemy.
    from rowhooks.postgres.press_session import current_role, pressing_session
    from rowhooks.postgres.sessions.permissions import PostgresPermissions
    from rowhooks.postgres.shown_buttons import buttons_for
    from rowhooks.receivers.user import User

    with pressing_session(target(dsn, config)) as session:
        # In templates the user is what self.user is in a receiver.
        user = User(current_role(session), PostgresPermissions(), lambda work: work(session), asynchronous=False)
        groups = buttons_for(session, table, key, user)
    print_rows(
        [asdict(button) for group in groups for button in group.buttons],
        ["group_name", "name", "label", "button_class", "confirmation", "disabled", "reason"],
        as_json=as_json,
        empty="This row has no button.",
    )


@app.command("press")
def press(
    button: Button,
    table: Table,
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...",
            help="The row's key; a JSON object if it has several columns. Several keys: one press of several rows.",
        ),
    ] = None,
    keys_from: Annotated[
        Path | None,
        typer.Option("--keys-from", help="A file with a key on each line, for one press of several rows; - for stdin."),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=VALUE", help="An input of the job. May be given several times."),
    ] = None,
    inputs: Annotated[str | None, typer.Option("--inputs", help="All inputs of the job, as a JSON object.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Presses with the same key start one run.")
    ] = None,
    dsn: Dsn = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Press a button on a row, as the connected role, and print the id of the run; on several rows, of the batch."""
    if bool(keys) == (keys_from is not None):
        raise UsageError("give either keys or --keys-from", hint="for example: rowhooks press Reboot dcim.device 42")
    chosen = _keys_in(keys_from) if keys_from else keys or []
    with pressing_connection(target(dsn, config)) as conn:
        # The notice says that the run waits, where the leader does not have its job.
        conn.add_notice_handler(lambda notice: say(notice.message_primary or "", err=True))
        given = read_inputs(input_ or [], inputs, inputs_schema_of(conn, button) if input_ else None)
        with suggesting(conn, button, table):
            if keys_from is None and len(chosen) == 1:
                result = press_button(conn, button, table, chosen[0], idempotency_key=idempotency_key, inputs=given)
            else:
                result = press_many(conn, button, table, chosen, idempotency_key=idempotency_key, inputs=given)
    if as_json:
        print_json({"id": result})
    else:
        print_json(result)


def _keys_in(file: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--keys-from {file} cannot be read: {error}", hint="one key a line") from error
    # Not splitlines(): a key may have a character in it that is a line's end in Unicode alone.
    return [line for line in text.split("\n") if line.strip()]
