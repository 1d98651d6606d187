"""One worker of rowhooks' in a thread of a process of Celery's, with an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.rows.models import Models
from rowhooks.receivers.classes import ReceiverClass
from rowhooks.runtime.process import loop_factory
from rowhooks.runtime.worker import Worker
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

RESPITE = 1.0
"""Seconds in which a group is left to Celery's message. After that each worker that has room takes it."""
RETRY_PAUSE = 30.0
"""Seconds before a worker that could not work is tried again."""
LAST_MOMENTS = 10.0
"""Seconds that a stop may take beside the grace period."""


class WorkerThread:
    """A worker that finds groups by itself, and is called for those that messages name.

    Args:
        settings: the configuration.
        classes: the receivers that were found.
        queues: those that it serves.
        models: users' own classes for rows.
    """

    def __init__(
        self, settings: Settings, classes: Sequence[ReceiverClass], queues: Sequence[str], models: Models
    ) -> None:
        self._settings = settings
        self._make = partial(Worker, settings, classes, queues, models, respite=RESPITE)
        self._thread = threading.Thread(target=self._run, name="rowhooks worker", daemon=True)
        # Held while the loop or the worker changes hands.
        self._present = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Begin to work; it returns at once."""
        self._thread.start()

    def execute(self, group: UUID) -> int:
        """Take a group, and wait until it is executed.

        Returns:
            How many runs it has had here; 0: it is gone, done or another worker's, or this worker does not work.
        """
        with self._present:
            self._present.wait_for(lambda: self._worker is not None or self._is_stopping, timeout=1.0)
            if self._worker is None or self._loop is None or self._is_stopping:
                return 0
            waiting = asyncio.run_coroutine_threadsafe(self._worker.execute(group), self._loop)
        try:
            return waiting.result()
        except concurrent.futures.CancelledError:
            # The worker has ended.
            return 0

    def stop(self) -> None:
        """Let what runs end within the grace period, and wait for it."""
        with self._present:
            self._is_stopping = True
            self._present.notify_all()
            if self._worker is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self._worker.stop)
        self._thread.join(self._settings.grace_period + LAST_MOMENTS)
        if self._thread.is_alive():
            logger.warning("receivers did not end within the grace period")

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                with asyncio.Runner(loop_factory=loop_factory()) as runner:
                    runner.run(self._work())
            except RowhooksError as error:
                logger.error("rowhooks: %s; this process executes no runs; next attempt in %d s", error, RETRY_PAUSE)
            except Exception:
                # An error of rowhooks' own. The process has other tasks, and is not ended for it.
                logger.exception("rowhooks: this process executes no runs; next attempt in %d s", RETRY_PAUSE)
            else:
                return
            with self._present:
                self._present.wait_for(lambda: self._is_stopping, RETRY_PAUSE)

    async def _work(self) -> None:
        worker = self._make()
        with self._present:
            self._worker, self._loop = worker, asyncio.get_running_loop()
            if self._is_stopping:
                worker.stop()
            self._present.notify_all()
        try:
            late = await worker.run()
        finally:
            with self._present:
                self._worker = self._loop = None
        if late:
            logger.warning("%d receivers did not end within the grace period", late)
