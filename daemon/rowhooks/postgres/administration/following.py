"""The log, followed by a program other than the daemon: each committed change once, in commit-safe order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.feed import Position
from rowhooks.pipeline.reader import Reader
from rowhooks.postgres.administration.visible_following import POLL_INTERVAL
from rowhooks.postgres.configuration_source import PostgresConfiguration
from rowhooks.postgres.connections.connect import connect
from rowhooks.postgres.connections.poolers import recognised
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.values import RowDecoder


async def follow(target: Target) -> AsyncIterator[ObjectChange]:
    """Yield changes from now on, without an end."""
    connection = await connect(await recognised(target))
    try:
        decoder = RowDecoder()
        configuration = PostgresConfiguration(connection)
        known = 0

        async def load() -> None:
            nonlocal known
            loaded = await configuration.load()
            known, feed.tables = loaded.version, loaded.tables
            decoder.learn(loaded.tables)

        async def configure(version: int) -> None:
            if version != known:
                await load()

        feed = PostgresFeed(connection, decoder, load)

        newest_id = await feed.newest_id()
        await feed.anchor()
        snapshot, _ = await feed.look()
        reader = Reader(feed, Position(snapshot, floor_id=newest_id, newest_id=newest_id), 500, configure)
        while True:
            part = await reader.next_part()
            if part is None:
                await asyncio.sleep(POLL_INTERVAL)
                continue
            for change, _ in part.changes:
                yield change
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            connection.terminate()
