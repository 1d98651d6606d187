"""The commands by name. The module of a command, with the libraries that it needs, is imported when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from rowhooks.cli.once import refuse_repeated
from rowhooks.domain.extras import library_missing

COMMANDS = {
    "quickstart": (
        "quickstart.quickstart",
        "Attach rowhooks to your database: install it, track a table, and write a first receiver with its test.",
    ),
    "new": ("new.app", "New files to begin with: a receiver and its test."),
    "init": ("schema.init", "Install schema rowhooks in the database, or upgrade it; your tables are not changed."),
    "upgrade": ("schema.upgrade", "Upgrade schema rowhooks to this release."),
    "uninstall": (
        "schema.uninstall",
        "Remove every trigger, function, table and role of rowhooks; your rows are not changed.",
    ),
    "track": ("tracking.track", "Attach rowhooks' triggers to tables. The command can be repeated."),
    "untrack": ("tracking.untrack", "Detach rowhooks' triggers from tables; their history stays."),
    "tables": ("tracking.tables", "List the tracked tables."),
    "run": ("run.run", "Run the daemon: wait for changes and run the matching receivers."),
    "worker": ("worker.worker", "Execute runs that the daemon hands out, beside it or on another machine."),
    "console": (
        "console.console",
        "Run the console: pages on which people look at rows, press buttons and watch runs.",
    ),
    "doctor": (
        "doctor.doctor",
        "Say what is wrong and which command repairs it; change nothing. Exit code 1 if something is wrong, else 0.",
    ),
    "status": (
        "status.status",
        "Show the state of rowhooks: the leader, the workers, the backlog, the unfinished runs.",
    ),
    "stubs": (
        "stubs.stubs",
        "Print a Python module with a typed class for each table, to be kept beside your receivers.",
    ),
    "press": (
        "buttons.press",
        "Press a button on a row, as the connected role, and print the id of the run; on several rows, of the batch.",
    ),
    "plan": (
        "plans.plan",
        "Show how the database differs from a file of tables, jobs, hooks and buttons. Nothing is changed.",
    ),
    "apply": (
        "plans.apply",
        "Make the database agree with a file of tables, jobs, hooks and buttons, in one transaction.",
    ),
    "export": (
        "plans.export",
        "Print what is tracked, and the jobs, hooks and buttons, as a file for `rowhooks apply`.",
    ),
    "replay": (
        "replay.replay",
        "Run a hook for past changes that match it, even if it was disabled then or has run for them before.",
    ),
    "prune": (
        "prune.prune",
        "Delete old changes: whole partitions that hold only old changes are dropped; others are pruned row by row.",
    ),
    "audit": (
        "audit.audit",
        "List who did what, the newest first: runs retried and revoked, hooks and buttons changed, tokens created.",
    ),
    "demo": ("run.demo", "Show the main features on an embedded PostgreSQL."),
    "jobs": ("jobs.app", "Jobs: the receiver classes that the daemon has found."),
    "hooks": ("hooks.app", "Job hooks: which tables and actions start which job."),
    "buttons": ("buttons.app", "Job buttons: buttons on the rows of tables that start jobs."),
    "changes": ("changes.app", "The log of changed rows."),
    "results": ("results.app", "Results: the status, log and outcome of each run."),
    "tokens": ("tokens.app", "Tokens of the API: each lets its bearer act as a role."),
    "systemd": ("systemd.app", "Run the daemon, the console or a worker as a service of systemd."),
}
"""The place of each command in this package, and what the list of commands says of it."""


class Commands(TyperGroup):
    """A group whose commands are stand-ins, of which a list can be made, until they are called."""

    _is_listing = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._imported: set[str] = set()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; it is imported unless the commands are only listed."""
        if cmd_name in COMMANDS and cmd_name not in self._imported and not self._is_listing:
            self.commands[cmd_name] = load(cmd_name)
            self._imported.add(cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        with self._listing():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the commands that begin so."""
        with self._listing():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _listing(self) -> Iterator[None]:
        self._is_listing = True
        try:
            yield
        finally:
            self._is_listing = False


def load(name: str) -> Any:
    """Import a command, or a group of commands, and return it as typer builds it.

    Raises:
        UsageError: a library that it needs is not installed.
    """
    place, _, attribute = COMMANDS[name][0].partition(".")
    try:
        module = importlib.import_module(f"rowhooks.cli.{place}")
    except ModuleNotFoundError as error:
        raise library_missing(error, [name]) from error
    found: typer.Typer | Callable[..., Any] = getattr(module, attribute)
    holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    # With a callback it is a group, also of one command.
    holder.callback()(stand_in)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    group: Any = typer.main.get_command(holder)
    command = group.commands[name]
    refuse_repeated(command)
    for one in (command, *getattr(command, "commands", {}).values()):
        # A list of commands has the whole of it; left out, its beginning.
        one.short_help = one.help.partition("\n\n")[0]
    return command


def stand_in() -> None:
    """Stand for a command that has not been imported."""
    raise AssertionError("a stand-in was called in place of the command")
