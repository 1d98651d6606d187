"""rowhooks systemd."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import say
from rowhooks.domain.errors import UsageError
from rowhooks.service.units import CONSOLE, DAEMON, WORKER, Units

app = typer.Typer(no_args_is_help=True, help="Run the daemon, the console or a worker as a service of systemd.")

Instance = Annotated[
    str | None,
    typer.Option(
        "--instance", help="One of several services, each with its own database and NAME.toml.", metavar="NAME"
    ),
]
User = Annotated[bool, typer.Option("--user", help="Use your own service manager, without root.")]


Console = Annotated[bool, typer.Option("--console", help="The console instead of the daemon.")]
Worker = Annotated[bool, typer.Option("--worker", help="A worker instead of the daemon.")]


@app.command()
def install(
    instance: Instance = None,
    user: User = False,
    console: Console = False,
    worker: Worker = False,
    now: Annotated[bool, typer.Option("--now", help="Also start the service, and wait until it is ready.")] = False,
) -> None:
    """Write the unit and enable the service."""
    units = Units(instance=instance, user=user, service=_service(console=console, worker=worker))
    for path in units.install():
        say(f"{path} written")
    say(f"{units.unit} enabled")
    if not units.settings_file.exists():
        say(f"write its settings into {units.settings_file}", err=True)
    if now:
        units.start()
        say(f"{units.unit} started")


@app.command()
def uninstall(instance: Instance = None, user: User = False, console: Console = False, worker: Worker = False) -> None:
    """Stop and disable the service, and remove its unit; the settings and the user rowhooks stay."""
    units = Units(instance=instance, user=user, service=_service(console=console, worker=worker))
    for path in units.uninstall():
        say(f"{path} removed")
    say(f"{units.unit} disabled")


def _service(*, console: bool, worker: bool) -> str:
    if console and worker:
        raise UsageError("--console and --worker are two services", hint="call the command for each of them")
    return CONSOLE if console else WORKER if worker else DAEMON
