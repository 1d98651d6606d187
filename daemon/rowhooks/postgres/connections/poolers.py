"""Poolers: whether one between us and the server changes server connections between transactions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg

from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import DIRECT, SESSION_POOLER, TRANSACTION_POOLER, Target

ROUNDS = 5
PATIENCE = 2.0
"""Seconds after which a statement that waits for a server connection says as much as one that was answered."""


async def recognised(target: Target) -> Target:
    """Return the target with its route: direct, or through a pooler of sessions or of transactions (PgBouncer's modes).

    A pooler hands out cancel keys of its own, so the process id that came with the connection is not the server's.

    Raises:
        ConnectionFailed: the server cannot be reached.
    """
    pooled = replace(target, route=TRANSACTION_POOLER)
    async with connected(pooled) as first:
        if await _server_process(first) == first.get_server_pid():
            return replace(target, route=DIRECT)
        async with connected(pooled) as second:
            for _ in range(ROUNDS):
                try:
                    async with asyncio.timeout(PATIENCE):
                        if await _is_given_another_server(first, second):
                            return pooled
                except TimeoutError:
                    return pooled
    return replace(target, route=SESSION_POOLER)


async def _is_given_another_server(first: asyncpg.Connection[Any], second: asyncpg.Connection[Any]) -> bool:
    """Say whether a pooler of transactions has shown itself: the first connection gets another server process.

    A pooler of sessions never gives it another. A pooler of transactions gives out the server connection that was
    released last (here the second's), or the one that was released first. Other clients may take that one in the same
    moment, but not in every round. What they release is another server connection too.
    """
    before = await _server_process(first)
    if await _server_process(first) != before:
        return True
    # The second connection's transaction ends after the first one's.
    async with second.transaction(), first.transaction():
        held = await _server_process(first)
        other = await _server_process(second)
    return held != before or other == before or await _server_process(first) != before


async def _server_process(connection: asyncpg.Connection[Any]) -> int:
    with translated():
        return int(await connection.fetchval("select pg_backend_pid()"))
