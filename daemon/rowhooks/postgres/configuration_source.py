"""Jobs, hooks, buttons and tracked tables, read and synchronised by asyncpg: ConfigurationSource."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import asyncpg

from rowhooks.domain.configuration import Configuration
from rowhooks.domain.job import JobEntry
from rowhooks.postgres import configuration, synchronisation, unreadable
from rowhooks.postgres.configuration import read_configuration
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.synchronisation import DeclaredHook

SQL = Statements(__file__, configuration.SQL, unreadable.SQL)

logger = logging.getLogger(__name__)


class PostgresConfiguration:
    """Reads and synchronises the configuration over one connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def load(self) -> Configuration:
        """Return the present configuration."""
        with translated():
            async with self._connection.transaction():
                await self._connection.execute(PINNED)
                found = await self._connection.fetchval(SQL["load_as_bytes"])
        # Where the database knows no encoding, a name may not be text: only what has that name is affected.
        return read_configuration(found.decode("utf-8", "replace"))

    async def sync_jobs(self, jobs: Iterable[JobEntry]) -> list[str]:
        """Make rowhooks.job know the installed classes; see synchronisation.sync_jobs."""
        jobs = [job for job in jobs if self._can_know(job)]
        with translated():
            async with self._connection.transaction():
                return await synchronisation.sync_jobs(self._connection, jobs)

    async def tables_named(self, names: Iterable[str]) -> frozenset[tuple[str, int]]:
        """Return those of the names, `schema.table`, that tracked tables have now, with the ids of the tables."""
        with translated():
            return await synchronisation.tables_named(self._connection, names)

    def _can_know(self, job: JobEntry) -> bool:
        can = self._holds(job.class_path)
        if not can:
            logger.error(
                "job %s cannot run here: the database's encoding does not have all characters of its module and class;"
                " rename them", job.class_path,
            )  # fmt: skip
        return can

    def _holds(self, class_path: str) -> bool:
        # The class is found again by its path, so no replacement of a character will do.
        return of_connection(self._connection).fitted(class_path) == class_path

    async def sync_hooks(self, declared: Iterable[tuple[str, DeclaredHook]]) -> list[str]:
        """Make rowhooks.job_hook follow the hooks declared in code; see synchronisation.sync_hooks."""
        declared = [(path, hook) for path, hook in declared if self._holds(path)]
        with translated():
            async with self._connection.transaction():
                return await synchronisation.sync_hooks(self._connection, declared)
