"""Loop monitor: says which receiver has blocked the event loop, and for how long."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Self

logger = logging.getLogger(__name__)

INTERVAL = 0.25
"""Seconds between questions to the event loop."""
SILENCE = 1.0
"""Seconds without an answer of the event loop after which there is a warning."""

_MEND = ": in its async def receiver, write await asyncio.to_thread(blocking_function, ...), or make it a plain def"


class LoopMonitor:
    """Asks the running event loop for an answer again and again, from its own thread, for the length of a block.

    An `async def` receiver may call something that blocks (`time.sleep`, a synchronous HTTP client). It then holds up
    all other receivers, the feed and the leader's round trips; nothing on the loop itself could say so.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-monitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL):
            answered = threading.Event()
            began = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(answered.set)
            except RuntimeError:
                # The loop was closed.
                return
            if answered.wait(SILENCE):
                continue
            # This task is being executed now; its name says which run it is.
            task = asyncio.current_task(self._loop)
            culprit = "something" if task is None else task.get_name()
            logger.warning(
                "%s blocks the event loop, and with it everything else%s", culprit, "" if task is None else _MEND
            )
            while not answered.wait(INTERVAL) and not self._ended.is_set():
                pass
            logger.warning("%s has blocked the event loop for %.1f s", culprit, time.monotonic() - began)
