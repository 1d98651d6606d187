"""The daemon's process: its event loop, its garbage collector and the signals that it obeys."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rowhooks.runtime.daemon import Daemon

logger = logging.getLogger(__name__)
T = TypeVar("T")

COLLECT_AFTER = 50_000
"""After so many new objects that are still there, Python looks for cycles among them (its default is 700).

A run makes some dozens of objects, and their reference counts free them all. To look through them each 700 took a fifth
of the daemon's time.
"""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a daemon's process to its end, on uvloop's event loop where that is installed (extra `uvloop`)."""
    # The objects that are there before the first run stay for good, and need not be looked through again.
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's event loop, where that is installed; else None, for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make


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
