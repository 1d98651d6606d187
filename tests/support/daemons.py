"""A daemon in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

from rowhooks.runtime.daemon import Daemon
from rowhooks.runtime.models import load_models
from rowhooks.runtime.worker import Worker
from rowhooks.settings import Settings, load_settings
from tests.support.waiting import PATIENCE

DAEMON_LOGIN = "rowhooks_test_daemon"
ELSEWHERE = "elsewhere"
"""The queue of what a worker executes."""
WITH_WORKER = bool(os.environ.get("ROWHOOKS_TEST_WITH_WORKER"))
"""Whether each daemon has a worker that executes all its runs: a test of receivers is one of workers then."""


@contextlib.asynccontextmanager
async def running_daemon(dsn: str, *receivers: type, **given: Any) -> AsyncIterator[Daemon]:
    """Run a daemon in this process, with these receivers; it is ready when the block begins."""
    if WITH_WORKER and "default_queue" not in given:
        async with worked_daemon(dsn, *receivers, **given) as daemon:
            yield daemon
        return
    settings: Settings = load_settings(dsn=dsn, **{"poll_interval": 60.0, "grace_period": 5.0, **given})
    daemon = Daemon(settings, list(receivers), load_models(settings.models, settings.directory))
    task = asyncio.create_task(daemon.run())
    ready = asyncio.create_task(daemon.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task.done():
        task.result()
    try:
        yield daemon
    finally:
        daemon.stop()
        await asyncio.wait_for(task, PATIENCE)


@contextlib.asynccontextmanager
async def running_worker(
    dsn: str, *receivers: type, queues: Sequence[str] = (ELSEWHERE,), respite: float = 0.0, **given: Any
) -> AsyncIterator[Worker]:
    """Run a worker in this process, with these receivers."""
    settings = load_settings(dsn=dsn, **{"grace_period": 5.0, **given})
    models = load_models(settings.models, settings.directory)
    worker = Worker(settings, list(receivers), queues, models, respite=respite)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(task, PATIENCE)


@contextlib.asynccontextmanager
async def worked_daemon(dsn: str, *receivers: type, **given: Any) -> AsyncIterator[Daemon]:
    """Run a daemon in this process, and a worker that executes all its runs."""
    place = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}
    async with running_daemon(dsn, *receivers, **place, **given) as daemon, running_worker(dsn, *receivers, **given):
        yield daemon
