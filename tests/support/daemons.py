"""A daemon in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from rowhooks.runtime.daemon import Daemon
from rowhooks.runtime.models import load_models
from rowhooks.settings import Settings, load_settings
from tests.support.waiting import PATIENCE

DAEMON_LOGIN = "rowhooks_test_daemon"


@contextlib.asynccontextmanager
async def running_daemon(dsn: str, *receivers: type, **given: Any) -> AsyncIterator[Daemon]:
    """Run a daemon in this process, with these receivers; it is ready when the block begins."""
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
