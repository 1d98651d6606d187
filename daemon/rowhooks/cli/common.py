"""What the commands share: their options, their output, their errors."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from rowhooks.domain import display, exact
from rowhooks.domain.display import LONG, SHORT, as_json, visible
from rowhooks.domain.errors import RowhooksError, UsageError
from rowhooks.postgres.connections.connect import Target
from rowhooks.settings import Settings, load_settings

console = Console()
if not console.is_terminal:
    # Into a file or a pipe: wide enough that nothing is folded in the middle.
    console = Console(width=200)

Dsn = Annotated[
    str | None,
    typer.Option(
        "--dsn", help="The database, as a libpq URI or keywords; else ROWHOOKS_DSN, rowhooks.toml, PGHOST ..."
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; rowhooks.toml in this directory if there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at the most.")]

Since = Annotated[
    str | None, typer.Option("--since", help="From then on: 2026-01-31T12:00, or a span back such as 2h or 7d.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_SPAN = re.compile(r"(?:\d+[wdhms])+", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

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
    """Say what went wrong, and the way out, on standard error."""
    say(f"rowhooks: {error.message}", err=True, fg="red")
    if error.hint:
        # Whole: it may be a command, which is quoted so that nothing in it acts on a terminal.
        say(f"  {error.hint}", err=True, longest=None)


def say(text: str, *, err: bool = False, fg: str | None = None, longest: int | None = LONG) -> None:
    """Print one line for people; what is not to be seen in it is made visible.

    Args:
        text: whole; names in it that may be long are shortened by `visible` before.
        err: on standard error.
        fg: its colour.
        longest: how many characters are kept; None: all.
    """
    typer.secho(visible(text, longest), err=err, fg=fg)


def target(dsn: str | None, config: Path | None) -> Target:
    """Return the database that the options and settings name."""
    chosen = settings(dsn, config)
    return Target(chosen.dsn, password=chosen.password)


def settings(dsn: str | None, config: Path | None, **given: Any) -> Settings:
    """Return the settings, with the command line before all else; another DSN has another password."""
    if dsn is not None:
        given = {"password": "", **given}
    return load_settings(config, dsn=dsn, **given)


def span(text: str) -> timedelta:
    """Read a span of time: numbers with w, d, h, m (minutes) or s, such as 90d or 1h30m.

    Raises:
        UsageError: it is none.
    """
    try:
        if not _SPAN.fullmatch(text):
            raise ValueError
        parts = [(int(number), _UNITS[unit]) for number, unit in re.findall(r"(\d+)(\D)", text)]
        return sum((timedelta(**{unit: number}) for number, unit in parts), timedelta())
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no span of time", hint="for example 90s, 15m, 2h, 7d, 12w or 1h30m") from None


def moment(text: str) -> datetime:
    """Read a moment: ISO 8601 (local time where it names no zone), or a span back from now.

    Raises:
        UsageError: it is none.
    """
    try:
        if _SPAN.fullmatch(text):
            return datetime.now().astimezone() - span(text)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, UsageError):
        raise UsageError(
            f"{text!r} is no moment", hint="for example 2026-01-31, 2026-01-31T12:00+02:00, or a span back: 2h, 7d"
        ) from None


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a command has come, on standard error; yield what is to be called with each advance.

    Where standard error is no terminal nothing is shown: what the command says at its end is enough there.
    """
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def print_json(value: Any) -> None:
    """Print a value as JSON, and nothing else."""
    typer.echo(as_json(exact.write(value, _plain, indent=2), sys.stdout.encoding))


def print_json_line(value: Any) -> None:
    """Print a value as JSON on one line, of a stream that has one a line."""
    typer.echo(as_json(exact.write(value, _plain), sys.stdout.encoding))


def print_rows(
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    empty: str,
    whole: Collection[str] = (),
) -> None:
    """Print a listing.

    Args:
        rows: what was found.
        columns: the keys that a table shows; JSON has them all.
        as_json: print JSON.
        empty: what to say where there is nothing, with the way to get something.
        whole: the columns of which more is shown than of a name.
    """
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(empty, err=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(cell(row[column], LONG if column in whole else SHORT) for column in columns))
    console.print(table)


def print_fields(row: dict[str, Any], names: Sequence[str]) -> None:
    """Print a row's fields below each other, without the empty ones."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name in names:
        if row[name] is not None and row[name] != "":
            table.add_row(name.replace("_", " "), cell(row[name], LONG))
    console.print(table)


def cell(value: Any, longest: int = SHORT) -> Text:
    """Return a value as people read it, in so many characters at the most; never read as markup."""
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
    """Return a number with the thing counted."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
