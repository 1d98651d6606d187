"""Connections that are closed: never under a call that waits on them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from typing import Any, cast

import pytest
import sqlalchemy

from rowhooks.domain.errors import TimeLimitExceeded
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.surrender import SURRENDER_AFTER
from rowhooks.postgres.sessions.workspaces import Workspaces
from tests.support.make import change, run
from tests.support.waiting import eventually


async def executed(session: Any) -> None:
    """Execute what the server keeps waiting."""
    await session.execute(sqlalchemy.text("select pg_sleep(60)"))


async def flushed(session: Any) -> None:
    """Flush it, which is not one of the calls that a run counts."""
    await session.execute(sqlalchemy.text("create temp table slow (id int check (pg_sleep(id) is not null))"))
    base = sqlalchemy.orm.declarative_base()

    class Slow(base):  # type: ignore[misc, valid-type]
        __tablename__ = "slow"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)

    session.add(Slow(id=60))
    await session.flush()


WAITS = {"execute": executed, "flush": flushed}


async def end_while_it_waits(dsn: str, wait: str) -> None:
    """End a run whose receiver waits for the server, while the loop is busy; then open other connections."""
    workspaces = Workspaces(Target(dsn), lambda _: Fence(uuid.UUID(int=7)), threads=1, async_connections=5)
    workspace: Any = workspaces.open(run(cause=change()), "", asynchronous=True)
    waiting: asyncio.Task[None] = asyncio.create_task(WAITS[wait](workspace.session))
    grip = workspace._grip
    await eventually(lambda: grip._connection is not None and grip._connection.lock.locked())
    workspace.abort()
    # The loop sees the time, and only then that the connection is cut.
    deadline = time.monotonic() + SURRENDER_AFTER + 0.2
    while time.monotonic() < deadline:
        pass
    others: list[Any] = [workspaces.open(run(cause=change()), "", asynchronous=True) for _ in range(4)]
    # They get the number of a descriptor that was closed.
    await asyncio.gather(*(other.session.execute(sqlalchemy.text("select pg_sleep(0.5)")) for other in others))
    for other in others:
        await other.rollback()
    with pytest.raises(sqlalchemy.exc.DBAPIError):
        await asyncio.wait_for(waiting, 10)
    await workspaces.close()


def taken(workspaces: Workspaces) -> int:
    """Return how many connections of the pool are not in it."""
    pool: Any = workspaces._async_engine.pool
    count: int = pool.checkedout()
    return count


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_connection_is_not_closed_under_a_call_that_waits_on_it(db: Any, dsn: str, wait: str, loop: str) -> None:
    # In a process of its own, which libuv would end.
    program = (
        f"import {loop}; from tests.faults.test_closing import *; {loop}.run(end_while_it_waits({dsn!r}, {wait!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_one_that_waits_for_a_connection_when_it_is_ended_keeps_no_place_of_the_pool(dsn: str) -> None:
    workspaces = Workspaces(Target(dsn), lambda _: Fence(uuid.UUID(int=7)), threads=1, async_connections=1)
    first, second, third = (cast("Any", workspaces.open(run(cause=change()), "", asynchronous=True)) for _ in range(3))
    statement = sqlalchemy.text("select 1")
    await first.session.execute(statement)
    waiting = asyncio.create_task(second.session.execute(statement))
    await asyncio.sleep(0)
    second.abort()
    await eventually(lambda: second._surrendering is not None and second._surrendering.done())
    await first.rollback()
    with pytest.raises(TimeLimitExceeded):
        await waiting
    await eventually(lambda: taken(workspaces) == 0)
    await asyncio.wait_for(third.session.execute(statement), 10)
    await third.rollback()
    await workspaces.close()


async def test_one_that_is_ended_in_a_copy_loses_its_connection(dsn: str) -> None:
    workspaces = Workspaces(Target(dsn), lambda _: Fence(uuid.UUID(int=7)), threads=1, async_connections=1)
    workspace: Any = workspaces.open(run(cause=change()), "", asynchronous=True)
    ended = asyncio.Event()

    async def copies() -> None:
        connection = await workspace.session.connection()
        driver = (await connection.get_raw_connection()).driver_connection
        async with driver.cursor().copy("copy (select 1) to stdout"):
            await ended.wait()

    copying = asyncio.create_task(copies())
    await eventually(lambda: workspace._grip._connection is not None and workspace._grip._connection.lock.locked())
    workspace.abort()
    await eventually(lambda: taken(workspaces) == 0)
    ended.set()
    await asyncio.wait([copying])
    await workspaces.close()
