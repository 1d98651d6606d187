"""What `rowhooks hooks` and `rowhooks buttons` have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Protocol

import typer

from rowhooks.cli.common import Config, Dsn, say, settings, target
from rowhooks.domain import shell
from rowhooks.domain.display import visible
from rowhooks.domain.errors import UsageError
from rowhooks.domain.queues import is_allowed
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.administration.schema import installed_connection

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name.")]
OfJob = Annotated[
    str | None,
    typer.Option("--job", help="Only those of this job: its class path, the name of its class, or its name."),
]
OfTable = Annotated[str | None, typer.Option("--table", help="Only those on this table (schema.table).")]
Tables = Annotated[list[str], typer.Option("--table", help="A tracked table; may be given several times.")]
NewTables = Annotated[
    list[str] | None, typer.Option("--table", help="A table of its new list of tables; may be given several times.")
]
AddTable = Annotated[
    list[str] | None, typer.Option("--add-table", help="A tracked table to add; may be given several times.")
]
RemoveTable = Annotated[
    list[str] | None,
    typer.Option("--remove-table", help="A table to remove, even if it was dropped; may be given several times."),
]
Queue = Annotated[
    str | None,
    typer.Option("--queue", help="The queue of its runs, in place of that of its job; see queues in the settings."),
]
NoQueue = Annotated[bool, typer.Option("--no-queue", help="From now on its runs are in the queue of its job.")]
Disabled = Annotated[bool, typer.Option("--disabled", help="Add it disabled.")]


def check_queues(queue: str | None, no_queue: bool) -> None:
    """Make sure that a queue is not both given and removed."""
    if queue is not None and no_queue:
        raise UsageError("--queue and --no-queue exclude each other")


class SetEnabled(Protocol):
    """Enables or disables a hook or button."""

    def __call__(self, conn: Connection, name: str, *, enabled: bool) -> Row:
        """Return it as it is now."""
        ...


def add_commands(
    app: typer.Typer, kind: str, set_enabled: SetEnabled, remove: Callable[[Connection, str], None]
) -> None:
    """Add the commands `enable`, `disable` and `remove`.

    Args:
        app: where to.
        kind: `hook` or `button`.
        set_enabled: of its administration.
        remove: likewise.
    """

    def switch(name: str, dsn: Dsn, config: Config, *, enabled: bool) -> None:
        with installed_connection(target(dsn, config)) as conn:
            set_enabled(conn, name, enabled=enabled)
        say(f"{kind.capitalize()} {visible(name)} is {'enabled' if enabled else 'disabled'}.")

    @app.command("enable", help=f"Enable a {kind}.")
    def enable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
        switch(name, dsn, config, enabled=True)

    @app.command("disable", help=f"Disable a {kind}: it starts no runs until it is enabled again.")
    def disable(name: Name, dsn: Dsn = None, config: Config = None) -> None:
        switch(name, dsn, config, enabled=False)

    @app.command("remove", help=f"Remove a {kind}; its results stay.")
    def remove_(name: Name, dsn: Dsn = None, config: Config = None) -> None:
        with installed_connection(target(dsn, config)) as conn:
            remove(conn, name)
        say(f"{kind.capitalize()} {visible(name)} removed.")


def check_tables(table: Sequence[str] | None, add_table: Sequence[str] | None, no_table: Sequence[str] | None) -> None:
    """Make sure that a command does not both replace the list of tables and change it.

    Raises:
        UsageError: it does.
    """
    if table and (add_table or no_table):
        raise UsageError("--table replaces all tables: it excludes --add-table and --remove-table")


def warn_of_disabled_job(origin: Row) -> None:
    """Say that a hook or button starts nothing, where its job is disabled."""
    if not origin["job_enabled"]:
        warn(
            "It starts nothing until its job is enabled: " + shell.command("rowhooks", "jobs", "enable", origin["job"])
        )


def warn_of_stray_queue(queue: str | None, dsn: str | None, config: Path | None) -> None:
    """Say that runs wait in a queue that is not among those of the settings."""
    allowed = settings(dsn, config).queues
    if queue is not None and not is_allowed(queue, allowed):
        warn(f"Its runs wait while the daemon's setting queues does not name {queue}; here it is: {', '.join(allowed)}")


def warn(text: str) -> None:
    """Print a warning with a command in it, whole."""
    say(text, err=True, fg="yellow", longest=None)
