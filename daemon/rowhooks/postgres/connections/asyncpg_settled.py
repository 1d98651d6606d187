"""Connections of asyncpg's whose transactions each begin with our settings; those of psycopg: see settled."""

from __future__ import annotations

from typing import Any

import asyncpg

from rowhooks.postgres.connections import session_settings
from rowhooks.postgres.connections.search_path import PINNED


class TransactionSettled(asyncpg.Connection):  # type: ignore[misc]
    """A connection of asyncpg's; a statement outside a transaction gets its own transaction."""

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """Execute a statement; a transaction that begins has our settings."""
        if query.startswith("BEGIN"):
            return await super().execute(f"{query} {'; '.join(self._settling())}", **options)
        if args or self.is_in_transaction():
            return await super().execute(query, *args, **options)
        async with self.transaction():
            return await super().execute(query, **options)

    def _settling(self) -> list[str]:
        return [
            *session_settings.modes(in_recovery=getattr(self.get_settings(), "in_hot_standby", "off") == "on"),
            *session_settings.of_transaction(server_version(self), for_receivers=False),
            PINNED,
        ]

    async def _execute(self, query: str, *args: Any, **options: Any) -> Any:
        # What fetch(), fetchrow(), fetchval() and execute() with arguments have in common.
        if self.is_in_transaction():
            return await super()._execute(query, *args, **options)
        async with self.transaction():
            return await super()._execute(query, *args, **options)

    async def _executemany(self, query: str, *args: Any, **options: Any) -> Any:
        if self.is_in_transaction():
            return await super()._executemany(query, *args, **options)
        async with self.transaction():
            return await super()._executemany(query, *args, **options)


def server_version(connection: asyncpg.Connection[Any]) -> int:
    """Return the server's version as libpq has it, without its minor part."""
    return int(connection.get_server_version().major) * 10000
