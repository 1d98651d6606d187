"""rowhooks plan, apply and export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rowhooks.cli.common import Config, Dsn, Json, Yes, counted, print_json, say, target
from rowhooks.domain.display import LONG, value, visible
from rowhooks.domain.errors import UsageError
from rowhooks.domain.plan import Difference
from rowhooks.postgres.administration import plans as administration
from rowhooks.postgres.administration.plans import Planned
from rowhooks.postgres.administration.schema import installed_connection

File = Annotated[Path, typer.Argument(metavar="FILE", help="The plan: YAML; see docs/migrations.md.")]
Prune = Annotated[
    bool,
    typer.Option("--prune", help="Also remove what is not in the file, of those sections that the file has."),
]
_KINDS = {"tables": "table", "future": "tables created later:", "jobs": "job", "hooks": "hook", "buttons": "button"}
_SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}


def plan(
    file: File,
    dsn: Dsn = None,
    config: Config = None,
    prune: Prune = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if the database differs from the file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how the database differs from a file of tables, jobs, hooks and buttons. Nothing is changed."""
    wanted = _plan_file().read_plan(file)
    with installed_connection(target(dsn, config)) as conn:
        found = administration.differences(conn, wanted, prune=prune)
    _show(found, file, as_json=as_json)
    if exit_code and found.differences:
        raise typer.Exit(1)


def apply(
    file: File,
    dsn: Dsn = None,
    config: Config = None,
    prune: Prune = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make the database agree with a file of tables, jobs, hooks and buttons, in one transaction.

    It asks before it removes anything.
    """
    wanted = _plan_file().read_plan(file)
    with installed_connection(target(dsn, config)) as conn:
        if prune and not yes:
            _ask(administration.differences(conn, wanted, prune=True))
            conn.commit()
        done = administration.apply_plan(conn, wanted, prune=prune)
    _show(done, file, as_json=as_json)


def export(dsn: Dsn = None, config: Config = None) -> None:
    """Print what is tracked, and the jobs, hooks and buttons, as a file for `rowhooks apply`."""
    plan_file = _plan_file()
    with installed_connection(target(dsn, config)) as conn:
        current = administration.current_plan(conn)
    typer.echo(plan_file.write_plan(current), nl=False)


def _plan_file() -> Any:
    try:
        from rowhooks.cli import plan_file
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise UsageError("plans need PyYAML", hint="install it: pip install 'rowhooks[plan]'") from error
    return plan_file


def _ask(found: Planned) -> None:
    """Ask whether what is not in the file may go."""
    removed = [one for one in found.differences if one.action == "remove"]
    if removed:
        for difference in removed:
            _line(difference)
        typer.confirm(f"Remove {counted(len(removed), 'thing')} that the file does not name?", abort=True)


def _show(found: Planned, file: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "differences": [
                    {"section": one.section, "name": one.name, "action": one.action, "fields": one.fields()}
                    for one in found.differences
                ],
                "notes": found.notes,
            }
        )
        return
    for difference in found.differences:
        _line(difference)
    for note in found.notes:
        say(note, err=True, fg="yellow")
    if not found.differences:
        say(f"The database agrees with {visible(file)}.")
        return
    numbers = {action: sum(one.action == action for one in found.differences) for action in _SIGNS}
    say(f"{numbers['add']} to add, {numbers['change']} to change, {numbers['remove']} to remove.")


def _line(difference: Difference) -> None:
    sign, colour = _SIGNS[difference.action]
    said = [
        f"{name}: {_shown(then)}" if difference.action != "change" else f"{name}: {_shown(now)} -> {_shown(then)}"
        for name, (now, then) in difference.fields().items()
        if difference.action != "remove"
    ]
    details = f" ({'; '.join(said)})" if said else ""
    say(f"{sign} {_KINDS[difference.section]} {visible(difference.name)}{details}", fg=colour)


def _shown(given: Any) -> str:
    if isinstance(given, tuple):
        return ", ".join(visible(item) for item in given) or "none"
    return "none" if given is None else value(given, LONG)
