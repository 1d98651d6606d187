"""The process of a daemon or a worker: its event loop, its garbage collector and the signals that it obeys."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, Protocol, TypeVar

from rowhooks.service.first_process import let_end

logger = logging.getLogger(__name__)
T = TypeVar("T")

COLLECT_AFTER = 50_000
"""After so many new objects that are still there, Python looks for cycles among them (its default is 700).

A run makes some dozens of objects, and their reference counts free them all. To look through them each 700 took a fifth
of the daemon's time.
"""


class Served(Protocol):
    """A daemon or a worker, as far as signals go."""

    def stop(self) -> None:
        """End in good order."""
        ...

    def reload(self, check: Callable[[], object]) -> None:
        """End in good order for a successor in the same process, unless `check` raises."""
        ...


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


def handle_signals(served: Served, check: Callable[[], object]) -> None:
    """Stop on SIGTERM and SIGINT, where a second one ends the process immediately; reload on SIGHUP.

    A terminal that is closed sends SIGHUP too: there it stops. nohup makes the process ignore it, and so it stays.

    Args:
        served: what is told.
        check: raises where a successor could not begin.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s received", number.name)
        served.stop()
        loop.remove_signal_handler(number)
        if number == signal.SIGTERM:
            let_end(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        if os.isatty(0):
            loop.add_signal_handler(signal.SIGHUP, on_signal, signal.SIGHUP)
        else:
            loop.add_signal_handler(signal.SIGHUP, served.reload, check)
    # A successor begins with SIGHUP held back, so that one that comes too early does not end the process.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])


def succeed() -> NoReturn:
    """Replace this process by one with the same command, and with the present code and settings."""
    logger.info("reloading")
    sys.stdout.flush()
    sys.stderr.flush()
    # A SIGHUP that comes before the successor handles it is kept; by default it would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
