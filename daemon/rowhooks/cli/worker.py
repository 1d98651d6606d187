"""rowhooks worker."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, LogFormat, LogLevel, ModelModules, ReceiverModules, settings
from rowhooks.cli.run import loaded_classes, loaded_models
from rowhooks.domain.errors import SettingsError
from rowhooks.domain.queues import is_allowed
from rowhooks.observability.logs import configure_logging
from rowhooks.runtime.process import run as run_loop
from rowhooks.runtime.worker import Worker
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)


def worker(
    dsn: Dsn = None,
    config: Config = None,
    queues: Annotated[
        list[str] | None,
        typer.Option("--queue", help="A queue whose runs it executes; may be given several times. [default: default]"),
    ] = None,
    receivers: ReceiverModules = None,
    models: ModelModules = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", hidden=True, help="Stop when standard input ends, for a daemon's processes.")
    ] = False,
) -> None:
    """Execute runs that the daemon hands out, beside it or on another machine.

    SIGTERM, SIGHUP and Ctrl-C stop it in good order: what it has not begun goes to other workers.
    """
    chosen = settings(
        dsn, config, receivers=tuple(receivers) if receivers else None, models=tuple(models) if models else None,
        log_level=log_level, log_format=log_format,
    )  # fmt: skip
    configure_logging(chosen.log_level, chosen.log_format, chosen.redactor().clean)
    served = list(dict.fromkeys(queues or [chosen.default_queue]))
    if unknown := [queue for queue in served if not is_allowed(queue, chosen.queues)]:
        raise SettingsError(
            f"queue {unknown[0]} is not one of the setting queues: {', '.join(chosen.queues)}",
            hint="add it there, for the daemon too, or leave --queue out",
        )
    run_loop(_serve(chosen, served, until_eof=until_eof))


async def _serve(chosen: Settings, queues: list[str], *, until_eof: bool) -> None:
    classes = loaded_classes(chosen)
    if not classes:
        raise SettingsError(
            "this worker has no receiver: it could execute nothing",
            hint="name modules that can be imported (receivers = [...] in rowhooks.toml, or --receivers)",
        )
    one = Worker(chosen, classes, queues, loaded_models(chosen))
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s received", number.name)
        one.stop()
        loop.remove_signal_handler(number)

    # A terminal that is closed sends SIGHUP, which nohup has the process ignore.
    ending = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    for number in (signal.SIGTERM, signal.SIGINT, *ending):
        loop.add_signal_handler(number, on_signal, number)
    if until_eof:
        await _stop_at_eof(one)
    late = await one.run()
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
