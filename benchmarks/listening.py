"""Listening: asyncpg's listener in a process of its own, the measure for how soon a receiver starts."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import asyncpg

from benchmarks.daemon_process import PATIENCE
from rowhooks.postgres.connections.target import Target

CHANNEL = "bench"


@contextlib.contextmanager
def listener(dsn: str) -> Iterator[dict[int, int]]:
    """Listen; fill a dictionary, when it ends, with each message (a number) and CLOCK_MONOTONIC in nanoseconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, dsn), daemon=True)
    process.start()
    theirs.close()
    heard: dict[int, int] = {}
    try:
        _receive(ours)
        yield heard
        ours.send("stop")
        heard.update(_receive(ours))
    finally:
        ours.close()
        process.join(PATIENCE)


def _receive(pipe: Connection) -> Any:
    with contextlib.suppress(EOFError):
        if pipe.poll(PATIENCE):
            return pipe.recv()
    raise RuntimeError("the listener does not answer")


def _serve(pipe: Connection, dsn: str) -> None:
    asyncio.run(_listen(pipe, dsn))


async def _listen(pipe: Connection, dsn: str) -> None:
    heard: dict[int, int] = {}

    def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        now = time.monotonic_ns()
        heard[int(str(payload))] = now

    connection = await asyncpg.connect(**Target(dsn).asyncpg_attempts()[0])
    await connection.add_listener(CHANNEL, hear)
    told = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), told.set)
    pipe.send("ready")
    await told.wait()
    # A round trip: whatever was sent before has arrived.
    await connection.execute("select")
    await connection.close()
    with contextlib.suppress(BrokenPipeError):
        pipe.send(heard)
