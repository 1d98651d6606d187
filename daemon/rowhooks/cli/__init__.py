"""The command line. Exit code 0: the command succeeded; 1: it failed; 2: an option or a setting is wrong."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer

from rowhooks import __version__
from rowhooks.cli import (
    audit,
    buttons,
    changes,
    console,
    health,
    hooks,
    jobs,
    plans,
    prune,
    replay,
    results,
    run,
    schema,
    stubs,
    systemd,
    tokens,
    tracking,
)
from rowhooks.cli.common import complain
from rowhooks.domain.display import visible
from rowhooks.domain.errors import RowhooksError, UsageError

app = typer.Typer(
    name="rowhooks",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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


for command in (
    schema.init, schema.upgrade, schema.uninstall, tracking.track, tracking.untrack, tracking.tables, run.run,
    console.console, health.doctor, health.status, stubs.stubs,
):  # fmt: skip
    app.command()(command)
app.add_typer(jobs.app, name="jobs")
app.add_typer(hooks.app, name="hooks")
app.add_typer(buttons.app, name="buttons")
app.command()(buttons.press)
app.add_typer(changes.app, name="changes")
app.add_typer(results.app, name="results")
app.command()(plans.plan)
app.command()(plans.apply)
app.command()(plans.export)
app.command()(replay.replay)
app.command()(prune.prune)
app.add_typer(tokens.app, name="tokens")
app.command()(audit.audit)
app.add_typer(systemd.app, name="systemd")
app.command()(run.demo)


@cache
def _whole() -> Callable[..., object]:
    # To make the command line takes as long as a command does: once, however many are called.
    return typer.main.get_command(app)


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
        _whole()(arguments, prog_name="rowhooks")
    except RowhooksError as error:
        complain(error)
        return error.exit_code
    except UnicodeEncodeError as error:
        # PostgreSQL takes text; an argument may be any bytes.
        complain(UsageError(f"{visible(error.object)} is not text: {error.reason}"))
        return UsageError.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
