"""rowhooks buttons, and rowhooks press."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from rowhooks.cli.common import AddTable, Config, Dsn, Json, RemoveTable, print_json, print_rows, say, target
from rowhooks.domain import shell
from rowhooks.domain.display import visible
from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration import buttons as administration
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.pressing import buttons_for, current_role, pressing_connection, pressing_session
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from rowhooks.pressing import press as press_button
from rowhooks.receivers.user import User

app = typer.Typer(no_args_is_help=True, help="Buttons on the rows of tables, which start jobs.")

Name = Annotated[str, typer.Argument(metavar="BUTTON", help="The button's name.")]
Table = Annotated[str, typer.Argument(metavar="TABLE", help="The table, as schema.table.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The row's key; a JSON object where it has several columns.")]
Group = Annotated[str | None, typer.Option("--group", help="The group it is shown in.")]
Weight = Annotated[int | None, typer.Option("--weight", min=0, help="The lower, the earlier; 100 where not given.")]
Class = Annotated[str | None, typer.Option("--class", help=f"Its looks: {', '.join(administration.BUTTON_CLASSES)}.")]
Confirmation = Annotated[
    bool | None, typer.Option("--confirmation/--no-confirmation", help="Ask before pressing; the default.")
]


@app.command("list")
def list_(dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """List the buttons."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_buttons(conn)
    print_rows(
        rows,
        ["name", "group_name", "weight", "text", "job", "enabled", "job_enabled", "tables", "waits_for", "roles"],
        as_json=as_json,
        empty="There is no button. Add one: rowhooks buttons add NAME --job JOB --table TABLE --text TEXT --role ROLE",
    )


@app.command()
def add(
    name: Name,
    job: Annotated[str, typer.Option("--job", help="The job it starts: a button receiver.")],
    table: Annotated[list[str], typer.Option("--table", help="A tracked table; may be given several times.")],
    text: Annotated[str, typer.Option("--text", help="The label: a Jinja2 template with obj and user.")],
    group: Group = None,
    weight: Weight = None,
    button_class: Class = None,
    confirmation: Confirmation = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="Its members may press; public: everybody. May be given several times."),
    ] = None,
    dsn: Dsn = None,
    config: Config = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Add it disabled.")] = False,
) -> None:
    """Add a button."""
    with installed_connection(target(dsn, config)) as conn:
        button = administration.add_button(
            conn, name, job=job, tables=table, text=text, group_name=group, weight=weight, button_class=button_class,
            confirmation=confirmation, roles=role or None, enabled=not disabled,
        )  # fmt: skip
    say(f"Button {visible(name)} added.")
    if not button["job_enabled"]:
        say(
            "It starts nothing until its job is enabled: " + shell.command("rowhooks", "jobs", "enable", button["job"]),
            err=True,
            fg="yellow",
            longest=None,
        )
    if not button["roles"]:
        say(
            "Nobody but superusers and the daemon's role may press it: "
            + shell.command("rowhooks", "buttons", "edit", "--role", "ROLE", *shell.operand(name))
            + " (public: everybody)",
            err=True,
            fg="yellow",
            longest=None,
        )


@app.command()
def edit(
    name: Name,
    job: Annotated[str | None, typer.Option("--job", help="The job it starts.")] = None,
    table: Annotated[list[str] | None, typer.Option("--table", help="Its tables; all that it is to have.")] = None,
    add_table: AddTable = None,
    remove_table: RemoveTable = None,
    text: Annotated[str | None, typer.Option("--text", help="The label.")] = None,
    group: Group = None,
    weight: Weight = None,
    button_class: Class = None,
    confirmation: Confirmation = None,
    role: Annotated[list[str] | None, typer.Option("--role", help="Who may press; all that it is to have.")] = None,
    no_role: Annotated[bool, typer.Option("--no-role", help="Take all roles from it.")] = False,
    dsn: Dsn = None,
    config: Config = None,
) -> None:
    """Change what is given of a button, and leave the rest."""
    if role and no_role:
        raise typer.BadParameter("--role and --no-role exclude each other")
    if table and (add_table or remove_table):
        raise UsageError("--table names all of its tables: --add-table and --remove-table exclude it")
    with installed_connection(target(dsn, config)) as conn:
        administration.edit_button(
            conn, name, job=job, tables=table or None, more_tables=add_table or (), no_tables=remove_table or (),
            text=text, group_name=group, weight=weight, button_class=button_class, confirmation=confirmation,
            roles=[] if no_role else (role or None),
        )  # fmt: skip
    say(f"Button {visible(name)} changed.")


@app.command()
def enable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Enable a button."""
    _set(name, dsn, config, enabled=True)


@app.command()
def disable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Disable a button: it is no longer shown, and cannot be pressed."""
    _set(name, dsn, config, enabled=False)


@app.command()
def remove(name: Name, dsn: Dsn = None, config: Config = None) -> None:
    """Remove a button; its results stay."""
    with installed_connection(target(dsn, config)) as conn:
        administration.remove_button(conn, name)
    say(f"Button {visible(name)} removed.")


@app.command("for")
def for_(table: Table, key: Key, dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Show the buttons of one row as a page would: in order, labelled, hidden, or disabled and why."""
    with pressing_session(target(dsn, config)) as session:
        # In templates the user is what a receiver's self.user would be.
        user = User(current_role(session), PostgresPermissions(), lambda work: work(session), asynchronous=False)
        groups = buttons_for(session, table, key, user)
    print_rows(
        [asdict(button) for group in groups for button in group.buttons],
        ["group_name", "name", "label", "button_class", "confirmation", "disabled", "reason"],
        as_json=as_json,
        empty="This row has no button.",
    )


def press(
    button: Name,
    table: Table,
    key: Key,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Two presses with one key are one press.")
    ] = None,
    dsn: Dsn = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Press a button on a row, as the connected role, and print the id of the run."""
    with pressing_connection(target(dsn, config)) as conn:
        # That it waits, where no daemon that leads has its job.
        conn.add_notice_handler(lambda notice: say(notice.message_primary or "", err=True))
        result = press_button(conn, button, table, key, idempotency_key=idempotency_key)
    if as_json:
        print_json({"id": result})
    else:
        print_json(result)


def _set(name: str, dsn: Dsn, config: Config, *, enabled: bool) -> None:
    with installed_connection(target(dsn, config)) as conn:
        administration.set_button_enabled(conn, name, enabled=enabled)
    say(f"Button {visible(name)} is {'enabled' if enabled else 'disabled'}.")
