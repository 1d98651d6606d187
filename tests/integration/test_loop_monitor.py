"""An `async def` receiver that blocks the event loop is named."""

from __future__ import annotations

import re
import time
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.runtime import loop_monitor as module
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Blocking(JobHookReceiver):
    """Calls what blocks."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        time.sleep(0.5)  # noqa: ASYNC251  (it is the point)


class Patient(JobHookReceiver):
    """Does not."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        pass


async def test_an_async_receiver_that_blocks_the_event_loop_is_named_with_how_long(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.1)
    monkeypatch.setattr(module, "INTERVAL", 0.02)
    add_hook(db, Blocking, device)
    add_hook(db, Patient, device)
    async with running_daemon(daemon_dsn, Blocking, Patient):
        db.execute("insert into dcim.device values (1, 'sw', null)")
        await settled(db)
        await eventually(lambda: "has blocked" in caplog.text)
    said = [record.getMessage() for record in caplog.records if record.name == "rowhooks.runtime.loop_monitor"]
    name = "run [0-9]+ of tests.integration.test_loop_monitor.Blocking"
    mend = r"in its async def receiver, write await asyncio.to_thread\(.*\), or make it a plain def"
    assert re.fullmatch(f"{name} blocks the event loop, and with it everything else: {mend}", said[0])
    found = re.fullmatch(f"{name} has blocked the event loop for ([0-9.]+) s", said[1])
    assert found
    assert float(found[1]) >= 0.4
    assert not any("Patient" in line for line in said)
