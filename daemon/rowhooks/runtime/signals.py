"""Signals: how a daemon's process is told to stop and to reload."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from rowhooks.runtime.daemon import Daemon

logger = logging.getLogger(__name__)


def handle_signals(daemon: Daemon, check: Callable[[], object]) -> None:
    """Stop on SIGTERM and SIGINT, where a second one ends the process immediately; reload on SIGHUP.

    A terminal that is closed sends SIGHUP too, and nohup makes the process ignore it: in both cases it stays as it is.

    Args:
        daemon: what is told.
        check: raises where a successor could not begin.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s received", number.name)
        daemon.stop()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if not os.isatty(0) and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, daemon.reload, check)
    # A successor begins with SIGHUP held back, so that one that comes too early does not end the process.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
