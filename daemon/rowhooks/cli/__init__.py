"""The command line. Exit code 0: the command succeeded; 1: it failed; 2: an option or a setting is wrong."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import typer

from rowhooks import __version__
from rowhooks.cli.commands import COMMANDS, Commands, stand_in
from rowhooks.domain.display import visible
from rowhooks.domain.errors import RowhooksError, UsageError

WIDEST = 120
"""The widest lines of the help, where the terminal has them."""

app = typer.Typer(
    name="rowhooks",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's pages would take longer to import than a command takes
    context_settings={"max_content_width": WIDEST},
    help="Run small Python classes when rows of a PostgreSQL database change.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rowhooks {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _name, (_, _summary) in COMMANDS.items():
    app.command(_name, help=_summary, short_help=_summary)(stand_in)


@cache
def _commands() -> Callable[..., object]:
    # To make the command line takes as long as a command does: once, however many are called.
    return typer.main.get_command(app)


def whole() -> Any:
    """Return the command line with all its commands imported, for what describes it."""
    group: Any = typer.main.get_command(app)
    for name in COMMANDS:
        group.get_command(None, name)
    return group


def main() -> None:
    """Run the command line and exit."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the encoding lacks is written as an escape; it does not raise.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        # Typer reports usage errors itself, with exit code 2, and ends by SystemExit.
        _commands()(arguments, prog_name="rowhooks")
    except RowhooksError as error:
        return _failed(error)
    except UnicodeEncodeError as error:
        # PostgreSQL takes text; an argument may be any bytes.
        return _failed(UsageError(f"{visible(error.object)} is not text: {error.reason}"))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _failed(error: RowhooksError) -> int:
    from rowhooks.cli.common import complain  # what fails pays for these imports

    complain(error)
    return error.exit_code
