"""What the commands share: options, output, errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from rowhooks.domain import exact
from rowhooks.domain.display import LONG, as_json, visible
from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.connections.target import Target
from rowhooks.settings import Settings, load_settings

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


def print_json(value: Any) -> None:
    """Print a value as JSON, and nothing else."""
    typer.echo(as_json(exact.write(value, _plain, indent=2), sys.stdout.encoding))


def print_json_line(value: Any) -> None:
    """Print a value as JSON on one line."""
    typer.echo(as_json(exact.write(value, _plain), sys.stdout.encoding))


def more_before(rows: Sequence[dict[str, Any]], limit: int, *, as_json: bool) -> None:
    """Say how the page after a full one is asked for."""
    if len(rows) == limit and not as_json:
        say(f"There may be more: --before {rows[-1]['id']}, or a larger --limit", err=True)


def counted(number: int, what: str) -> str:
    """Return a number and a noun, in the plural if necessary."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
