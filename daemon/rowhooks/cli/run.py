"""rowhooks run and rowhooks demo."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, LogFormat, LogLevel, ModelModules, ReceiverModules, settings
from rowhooks.domain.errors import SettingsError
from rowhooks.domain.redaction import SHORTEST
from rowhooks.observability.logs import TRACEBACK, configure_logging
from rowhooks.postgres.rows.models import Models
from rowhooks.receivers.classes import ReceiverClass, class_path
from rowhooks.receivers.loading import load_receivers, unregistered
from rowhooks.runtime.daemon import Daemon
from rowhooks.runtime.models import load_models
from rowhooks.runtime.process import handle_signals, succeed
from rowhooks.runtime.process import run as run_loop
from rowhooks.runtime.processes import Processes, as_environment, worker_command
from rowhooks.runtime.reloading import check_reloading, watch, watched_directories
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

_NONE, _UNUSABLE = 3, 4
_LOAD = f"""
import json, logging, sys
from pathlib import Path
from rowhooks.domain.errors import SettingsError
from rowhooks.receivers.loading import load_receivers
from rowhooks.runtime.models import load_models
directory, receivers, models, every, one = json.loads(sys.argv[1])
# The daemon that will load them again warns.
logging.disable()
def refuse(message):
    print("\\n" + json.dumps(message))
    sys.exit({_UNUSABLE})
found, problems = load_receivers(receivers, Path(directory))
# Receivers import models: that these are wrong is said first.
try:
    load_models(models, Path(directory))
except SettingsError as error:
    refuse(str(error))
if problems and (every or (one and not found)):
    said = [f"receivers' module {{problem.module}} cannot be imported: {{problem.message}}" for problem in problems]
    refuse("; ".join(said))
sys.exit(0 if found else {_NONE})
"""


def run(
    dsn: Dsn = None,
    config: Config = None,
    receivers: ReceiverModules = None,
    models: ModelModules = None,
    allow_none: Annotated[bool | None, typer.Option("--allow-none", help="Run even if there is no receiver.")] = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    http_listen: Annotated[
        str | None, typer.Option(help="The address of /livez, /readyz and /metrics, for example 127.0.0.1:9187.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="For development: load the code again when a file of it is saved.")
    ] = False,
) -> None:
    """Run the daemon: wait for changes and run the matching receivers.

    SIGTERM and Ctrl-C stop it in good order. SIGHUP makes it load new code and settings; nothing is lost. So does
    --reload by itself, when a file is saved; code that cannot be loaded is reported, and the daemon goes on as it was.
    """
    # What worker processes are to be given too.
    given = {
        "receivers": tuple(receivers) if receivers else None, "models": tuple(models) if models else None,
        "log_level": log_level, "log_format": log_format,
    }  # fmt: skip

    def choose() -> Settings:
        return settings(dsn, config, allow_none=allow_none, http_listen=http_listen, **given)

    started = time.time_ns()
    chosen = choose()
    configure_logging(chosen.log_level, chosen.log_format, chosen.redactor().clean)
    for name in chosen.short_secrets():
        logger.warning("the value of %s is not blanked: it has fewer than %d characters", name, SHORTEST)
    if reload:
        check_reloading(os.environ)
    processes = None
    if chosen.processes:
        environment = {
            **os.environ,
            **as_environment({**given, **({} if dsn is None else {"dsn": dsn, "password": ""})}),
        }
        command = worker_command(None if config is None else str(config), chosen.process_queues)
        processes = Processes(chosen.processes, command, environment, chosen.grace_period)
    run_loop(_serve(chosen, lambda: check(choose(), every=reload), started if reload else None, processes))


def check(chosen: Settings, *, every: bool = False) -> None:
    """Make sure that a daemon with these settings can start.

    Args:
        chosen: the settings.
        every: whether each module of receivers must be importable, not only one.

    Raises:
        SettingsError: a setting is wrong; a secret, a certificate or the permission backend is not there; a module of
            models cannot be used; or the daemon would have no receiver.
    """
    chosen.redactor()
    Daemon(chosen, ())
    if chosen.allow_none and not chosen.models and not every:
        return
    if not has_receivers(chosen, every=every, one=not chosen.allow_none) and not chosen.allow_none:
        raise _no_receiver()


def has_receivers(chosen: Settings, *, every: bool = False, one: bool = True) -> bool:
    """Import what settings name, in another process: modules that are imported here would not be read again.

    Args:
        chosen: the settings.
        every: whether each module of receivers must be importable.
        one: whether one of them must be, if there are any.

    Returns:
        Whether there is a receiver.

    Raises:
        SettingsError: a module cannot be used.
    """
    given = json.dumps([str(chosen.directory), chosen.receivers, chosen.models, every, one])
    patience = chosen.leader_timeout / 3
    try:
        command = [sys.executable, "-c", _LOAD, given]
        loaded = subprocess.run(command, check=False, timeout=patience, stdout=subprocess.PIPE, text=True)
    except subprocess.TimeoutExpired as error:
        raise SettingsError(
            f"the modules of receivers and models could not be imported within {patience:.0f} s"
        ) from error
    if loaded.returncode == _UNUSABLE:
        raise SettingsError(json.loads(loaded.stdout.rstrip("\n").rpartition("\n")[2]))
    return loaded.returncode != _NONE


def _no_receiver() -> SettingsError:
    return SettingsError(
        "this daemon has no receiver: the runs of all hooks and buttons would wait",
        hint="name modules that can be imported (receivers = [...] in rowhooks.toml, or --receivers), or allow this"
        " with --allow-none",
    )


def loaded_classes(chosen: Settings) -> Sequence[ReceiverClass]:
    """Import the receivers that settings name; log what cannot be imported, or is not registered."""
    classes, problems = load_receivers(chosen.receivers, chosen.directory)
    for problem in problems:
        logger.error(
            "receivers' module %s cannot be imported: %s",
            problem.module,
            problem.message,
            extra={TRACEBACK: problem.traceback},
        )
    for cls in unregistered(chosen.receivers, classes):
        logger.warning(
            "%s is a receiver class that is not registered, so no hook or button can start it; write"
            " register_jobs(%s) at the end of its module", class_path(cls), cls.__name__,
        )  # fmt: skip
    return classes


async def _serve(
    chosen: Settings, check: Callable[[], object], watched_since: int | None, processes: Processes | None
) -> None:
    classes = loaded_classes(chosen)
    if not classes and not chosen.allow_none:
        if watched_since is None:
            raise _no_receiver()
        logger.error("there is no receiver; the daemon waits until a file of its code is saved")
    daemon = Daemon(chosen, classes, loaded_models(chosen), processes)
    handle_signals(daemon, check)
    late = await _run(daemon, check, watched_directories(chosen), watched_since)
    if daemon.reloads:
        succeed()
    if late or any(thread.name.startswith("asyncio_") for thread in threading.enumerate()):
        # A receiver that never returns keeps its thread (perhaps one of to_thread()) or the event loop, and Python
        # would wait for it for ever.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def _run(
    daemon: Daemon, check: Callable[[], object], directories: Sequence[Path], watched_since: int | None
) -> int:
    """Run the daemon; where files are watched since a time, it reloads when one is saved."""
    if watched_since is None:
        return await daemon.run()

    async def reload() -> None:
        # Not on the event loop, so that runs go on meanwhile.
        checked = asyncio.get_running_loop().run_in_executor(checks, check)
        await asyncio.wait([checked])
        daemon.reload(checked.result)

    with ThreadPoolExecutor(1, thread_name_prefix="check of new code") as checks:
        watching = asyncio.create_task(watch(directories, watched_since, reload))
        try:
            return await daemon.run()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


def loaded_models(chosen: Settings) -> Models:
    """Import the models that settings name.

    Raises:
        SettingsError: they cannot be used.
    """
    try:
        return load_models(chosen.models, chosen.directory)
    except SettingsError as error:
        # It has the message of whatever the module raised.
        clean = chosen.redactor().clean
        raise SettingsError(clean(error.message), hint=error.hint and clean(error.hint)) from error


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the server and the daemon running for psql; Ctrl-C ends it.")
    ] = False,
    with_console: Annotated[
        bool, typer.Option("--console", help="Also run the console, and say how to log in; Ctrl-C ends it.")
    ] = False,
) -> None:
    """Show the main features on an embedded PostgreSQL."""
    from rowhooks.cli.printing import console  # only this command pays for these imports
    from rowhooks.demo.story import run_demo

    raise typer.Exit(run_demo(keep=keep, console=console, with_console=with_console))
