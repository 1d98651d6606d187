"""What the commands share: options, output, errors."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rowhooks.cli.listing import chosen_columns, total_width, widths_that_fit
from rowhooks.domain import display, exact
from rowhooks.domain.display import LONG, SHORT, as_json, visible
from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.connections.target import Target
from rowhooks.settings import Settings, load_settings

console = Console()
if not console.is_terminal:
    # In a file or a pipe, lines are wide enough that nothing is folded.
    console = Console(width=200)

Dsn = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        help="The database: a libpq URI or keywords. By default ROWHOOKS_DSN, rowhooks.toml, or PGHOST etc.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="The settings file; by default rowhooks.toml in this directory, if it exists."),
]
ReceiverModules = Annotated[
    list[str] | None,
    typer.Option("--receivers", help="A module with receivers: a dotted name, or the path of a .py file."),
]
ModelModules = Annotated[
    list[str] | None,
    typer.Option("--models", help="A module with SQLAlchemy classes for rows: a dotted name, or a .py file."),
]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]
LogFormat = Annotated[str | None, typer.Option(help="auto, text, json or journal.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Columns = Annotated[
    str | None, typer.Option("--columns", help="The columns to show, with commas, of those that --json has.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="The largest number of rows.")]

Since = Annotated[
    str | None, typer.Option("--since", help="From this time on: 2026-01-31T12:00, or so long ago: 2h, 7d.")
]
Before = Annotated[
    int | None, typer.Option("--before", metavar="ID", help="Only what is older than this one: the next page.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]

COLOURS = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "STARTED": "cyan",
    "RETRY": "yellow",
    "PENDING": "blue",
    "REVOKED": "dim",
    "create": "green",
    "update": "yellow",
    "delete": "red",
    "truncate": "magenta",
    "warning": "yellow",
    "failure": "red",
    "error": "red",
    "critical": "red",
    "success": "green",
}


def complain(error: RowhooksError) -> None:
    """Print an error and its hint on standard error."""
    say(f"rowhooks: {error.message}", err=True, fg="red")
    if error.hint:
        # Not shortened: it may be a command, which is quoted so that nothing in it acts on a terminal.
        say(f"  {error.hint}", err=True, longest=None)


def say(text: str, *, err: bool = False, fg: str | None = None, longest: int | None = LONG) -> None:
    """Print one line for people, with invisible characters made visible.

    Args:
        text: the whole line; the caller has shortened long names in it with `visible`.
        err: whether to print on standard error.
        fg: the colour.
        longest: the largest number of characters; None for all.
    """
    typer.secho(visible(text, longest), err=err, fg=fg)


def target(dsn: str | None, config: Path | None) -> Target:
    """Return the database in the options and settings."""
    chosen = settings(dsn, config)
    return Target(chosen.dsn, password=chosen.password)


def settings(dsn: str | None, config: Path | None, **given: Any) -> Settings:
    """Return the settings; options of the command line come first. A DSN given there does not use the set password."""
    if dsn is not None:
        given = {"password": "", **given}
    return load_settings(config, dsn=dsn, **given)


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of a command on standard error; yield a function that takes each advance.

    Nothing is shown if standard error is not a terminal: there the last line of the command is enough.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def print_json(value: Any) -> None:
    """Print a value as JSON, and nothing else."""
    typer.echo(as_json(exact.write(value, _plain, indent=2), sys.stdout.encoding))


def print_json_line(value: Any) -> None:
    """Print a value as JSON on one line."""
    typer.echo(as_json(exact.write(value, _plain), sys.stdout.encoding))


def print_rows(
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    empty: str,
    whole: Collection[str] = (),
    wanted: str | None = None,
    first_to_go: Sequence[str] = (),
) -> None:
    """Print a listing, in a terminal with the columns that fit into it.

    Args:
        rows: the rows.
        columns: the keys that a table shows; JSON shows all keys.
        as_json: whether to print JSON.
        empty: the sentence for no rows, with the command that makes some.
        whole: the columns with long texts.
        wanted: the columns that the option `--columns` names.
        first_to_go: the columns that a narrow terminal does without, the least important first.

    Raises:
        UsageError: `--columns` names a column that does not exist.
    """
    columns = chosen_columns(wanted, columns, rows[0] if rows else columns)
    if as_json:
        print_json(rows if wanted is None else [{name: row[name] for name in columns} for row in rows])
        return
    if not rows:
        say(empty, err=True)
        return
    texts = {name: [cell(row[name], LONG if name in whole else SHORT) for row in rows] for name in columns}
    headers = {name: name.replace("_", " ") for name in columns}
    if console.is_terminal:
        widths, left_out = widths_that_fit(texts, console.width, () if wanted else first_to_go)
    else:
        # In a file or a pipe there is no width; nothing is left out, or folded.
        widths, left_out = widths_that_fit(texts, sys.maxsize, ())
    # Between two columns: a blank of the cell, and one of the box.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width in widths.items():
        table.add_column(headers[name], width=width, no_wrap=True, overflow="ellipsis")
    for place in range(len(rows)):
        table.add_row(*(texts[name][place] for name in widths))
    # A console prints nothing that is wider than itself.
    printer = console if console.is_terminal else Console(file=console.file, width=max(1, total_width(widths)))
    printer.print(table)
    if left_out:
        say(f"Not shown here: {', '.join(left_out)} (--columns, --json, or a wider terminal)", err=True)


def more_before(rows: Sequence[dict[str, Any]], limit: int, *, as_json: bool) -> None:
    """Say how the page after a full one is asked for."""
    if len(rows) == limit and not as_json:
        say(f"There may be more: --before {rows[-1]['id']}, or a larger --limit", err=True)


def print_fields(row: dict[str, Any], names: Sequence[str]) -> None:
    """Print the fields of a row one below the other, without the empty ones."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name in names:
        if row[name] is not None and row[name] != "":
            table.add_row(name.replace("_", " "), cell(row[name], LONG))
    console.print(table)


def cell(value: Any, longest: int = SHORT) -> Text:
    """Return a value as people read it, shortened to `longest` characters; its text is never markup."""
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no", style="" if value else "dim")
    if isinstance(value, datetime):
        return Text(value.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3])
    if isinstance(value, dict):
        items = (f"{display.visible(name)}={display.value(item, longest)}" for name, item in value.items())
        return Text(display.shortened(", ".join(items), longest))
    if isinstance(value, list):
        return Text(display.shortened(", ".join(display.value(item, longest) for item in value), longest))
    return Text(visible(value, longest), style=COLOURS.get(str(value), ""))


def counted(number: int, what: str) -> str:
    """Return a number and a noun, in the plural if necessary."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
