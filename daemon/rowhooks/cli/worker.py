"""rowhooks worker."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, LogFormat, LogLevel, ModelModules, ReceiverModules, settings
from rowhooks.cli.run import has_receivers, loaded_classes, loaded_models
from rowhooks.domain.display import visible
from rowhooks.domain.errors import SettingsError, UsageError
from rowhooks.domain.queues import is_allowed
from rowhooks.domain.setting_values import is_address
from rowhooks.observability.logs import configure_logging
from rowhooks.runtime.process import handle_signals, succeed
from rowhooks.runtime.process import run as run_loop
from rowhooks.runtime.worker import Worker
from rowhooks.service.notifications import Notifier
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)


def worker(
    dsn: Dsn = None,
    config: Config = None,
    queues: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            help="A queue whose runs it executes; may be given several times. By default the setting default_queue.",
        ),
    ] = None,
    receivers: ReceiverModules = None,
    models: ModelModules = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    http_listen: Annotated[
        str, typer.Option(metavar="[HOST:]PORT", help="The address of /livez and /readyz, for example 127.0.0.1:9188.")
    ] = "",
    until_eof: Annotated[
        bool, typer.Option("--until-eof", hidden=True, help="Stop when standard input ends, for a daemon's processes.")
    ] = False,
) -> None:
    """Execute runs that the daemon hands out, beside it or on another machine.

    SIGTERM and Ctrl-C stop it in good order: what it has not begun goes to other workers. SIGHUP makes it load new code
    and settings in the same way.
    """

    def choose() -> Settings:
        return settings(
            dsn, config, receivers=tuple(receivers) if receivers else None, models=tuple(models) if models else None,
            log_level=log_level, log_format=log_format,
        )  # fmt: skip

    if http_listen and not is_address(http_listen):
        raise UsageError(f"--http-listen {visible(http_listen)} is no address", hint="for example 127.0.0.1:9188")
    chosen = choose()
    configure_logging(chosen.log_level, chosen.log_format, chosen.redactor().clean)
    served = _served(chosen, queues)

    def check() -> None:
        if until_eof:
            raise SettingsError("this is a process of a daemon, which loads new code for all of them on SIGHUP")
        _check(choose(), queues)

    def make() -> Worker:
        classes = loaded_classes(chosen)
        if not classes:
            raise _no_receiver()
        # The process of a daemon is no service of its own.
        notifier = None if until_eof else Notifier(os.environ)
        return Worker(chosen, classes, served, loaded_models(chosen), http_listen=http_listen, notifier=notifier)

    run_loop(_serve(make, check, until_eof=until_eof))


def _served(chosen: Settings, queues: Sequence[str] | None) -> list[str]:
    """Return the queues that a worker serves."""
    served = list(dict.fromkeys(queues or [chosen.default_queue]))
    if unknown := [queue for queue in served if not is_allowed(queue, chosen.queues)]:
        raise SettingsError(
            f"queue {visible(unknown[0])} is not one of the setting queues: {', '.join(chosen.queues)}",
            hint="add it there, for the daemon too, or leave --queue out",
        )
    return served


def _check(chosen: Settings, queues: Sequence[str] | None) -> None:
    """Make sure that a worker with these settings can start, see `rowhooks.cli.run.check`."""
    chosen.redactor()
    Worker(chosen, (), _served(chosen, queues))
    if not has_receivers(chosen):
        raise _no_receiver()


def _no_receiver() -> SettingsError:
    return SettingsError(
        "this worker has no receiver: it could execute nothing",
        hint="name modules that can be imported (receivers = [...] in rowhooks.toml, or --receivers)",
    )


async def _serve(make: Callable[[], Worker], check: Callable[[], object], *, until_eof: bool) -> None:
    one = make()
    handle_signals(one, check)
    if until_eof:
        await _stop_at_eof(one)
    late = await one.run()
    if one.reloads:
        succeed()
    if late or any(thread.name.startswith("asyncio_") for thread in threading.enumerate()):
        # As for the daemon: Python would wait for a receiver that never returns.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def _stop_at_eof(one: Worker) -> None:
    """Stop a worker when standard input ends."""

    class Watch(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            one.stop()

    await asyncio.get_running_loop().connect_read_pipe(Watch, sys.stdin)
