"""Poolers: whether one stands between us and the server that changes server connections between transactions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg

from rowhooks.postgres.connections.connect import DIRECT, SESSION_POOLER, TRANSACTION_POOLER, Target, connected
from rowhooks.postgres.connections.errors import translated

ROUNDS = 5
PATIENCE = 2.0
"""Seconds after which a statement that waits for a server connection tells as much as one that was answered."""


async def recognised(target: Target) -> Target:
    """Return the target with its route: direct, or through a pooler of sessions or of transactions (PgBouncer's modes).

    A pooler hands out cancel keys of its own, so the process id that came with the connection is not the server's. One
    that pools sessions keeps server connections apart; one that pools transactions gives the same one to two clients,
    or two to the same client.

    Raises:
        ConnectionFailed: the server cannot be reached.
    """
    pooled = replace(target, route=TRANSACTION_POOLER)
    async with connected(pooled) as first:
        if await _server_process(first) == first.get_server_pid():
            return replace(target, route=DIRECT)
        for _ in range(ROUNDS):
            before = await _server_process(first)
            async with connected(pooled) as second:
                try:
                    async with asyncio.timeout(PATIENCE), second.transaction():
                        held = await _server_process(second)
                        after = await _server_process(first)
                except TimeoutError:
                    return pooled
            if held == before or after != before:
                return pooled
    return replace(target, route=SESSION_POOLER)


async def _server_process(connection: asyncpg.Connection[Any]) -> int:
    with translated():
        return int(await connection.fetchval("select pg_backend_pid()"))
