"""Pulse: says which receiver has kept the event loop from everybody else, and for how long."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)

INTERVAL = 0.25
SILENCE = 1.0
"""Seconds without an answer of the event loop that are worth a warning."""


class LoopMonitor:
    """Feels the pulse of the running event loop from a thread of its own, for the length of a block.

    An `async def` receiver that calls what blocks (`time.sleep`, a synchronous HTTP client) holds up all others, the
    feed and the leader's sign of life; nothing on the loop itself could say so.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._feel, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def _feel(self) -> None:
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
            # The task that is being stepped now: its name says which run it is.
            task = asyncio.current_task(self._loop)
            culprit = "something" if task is None else task.get_name()
            logger.warning("%s blocks the event loop, and with it everything else", culprit)
            while not answered.wait(INTERVAL) and not self._ended.is_set():
                pass
            logger.warning("%s has blocked the event loop for %.1f s", culprit, time.monotonic() - began)
