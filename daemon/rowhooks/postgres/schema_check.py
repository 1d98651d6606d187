"""Whether the schema in the database fits this code, asked by the daemon and by workers before they begin."""

from __future__ import annotations

from typing import Any

import asyncpg

from rowhooks.postgres.administration.revisions import explain_mismatch
from rowhooks.postgres.connections.asyncpg_errors import translated


async def check_schema(connection: asyncpg.Connection[Any]) -> None:
    """Make sure that the schema fits this code.

    Raises:
        SchemaMismatch: it is missing, older or newer.
        PermissionDenied: the login may not read it.
    """
    with translated():
        present = await connection.fetchval("select to_regclass('rowhooks.alembic_version') is not null")
        current = await connection.fetchval("select version_num from rowhooks.alembic_version") if present else None
    mismatch = explain_mismatch(current)
    if mismatch:
        raise mismatch
