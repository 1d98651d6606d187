"""Registers what the code has of jobs and hooks while no daemon leads, as the next leader would."""

from __future__ import annotations

from rowhooks.domain.errors import Conflict
from rowhooks.postgres.configuration_source import PostgresConfiguration
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.leadership.lock import RESERVE_LEADERSHIP
from rowhooks.receivers.registry import Catalog


async def register(target: Target, catalog: Catalog) -> list[str]:
    """Make the database know the jobs of a catalogue, and the hooks that they declare; all of it, or nothing.

    Returns:
        A sentence for each class or hook that could not be registered.

    Raises:
        Conflict: a daemon leads. It registers what it has, and what it does not have could not run.
        PermissionDenied: the login is no member of the daemon's role.
        DatabaseError: the database refuses it.
    """
    async with connected(target) as connection:
        with translated():
            async with connection.transaction():
                # No daemon begins to lead before this transaction ends.
                if not await connection.fetchval(RESERVE_LEADERSHIP):
                    raise Conflict(
                        "a daemon leads: it has registered its own receivers",
                        hint="to load new ones, reload it: systemctl reload rowhooks (or send it SIGHUP)",
                    )
                source = PostgresConfiguration(connection)
                problems = await source.sync_jobs([job.entry for job in catalog])
                declared = [(job.class_path, hook) for job in catalog for hook in job.meta.hooks]
                return problems + await source.sync_hooks(declared)
