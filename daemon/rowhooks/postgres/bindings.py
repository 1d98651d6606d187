"""What hooks and buttons are bound to, and where that is broken: for doctor and for the leader's log."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import asyncpg

from rowhooks.postgres.binding_faults import Fault, of_owners, of_partitions
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.track_options import OPTIONS, columns_left_out, named


def _statements(kind: str) -> Statements:
    constants = {
        "kind": kind,
        "options": OPTIONS,
        "left_out": columns_left_out("c.oid"),
        "left_out_of_namesake": columns_left_out("coalesce(s.oid, c.oid)"),
        "namesake": named("x.schema_name", "x.table_name"),
        "last_namesake": named("t.schema_name", "t.table_name"),
    }
    return Statements(__file__, constants)


SQL = _statements("hook")
_RELINK = {kind: _statements(kind)["relink"] for kind in ("hook", "button")}


def faults(owners: str, detached: list[tuple[Any, ...]]) -> list[Fault]:
    """Return what is broken, from what the statements `owners` and `detached` find with PINNED's search_path."""
    return [*of_owners(json.loads(owners)), *of_partitions(detached)]


class PostgresBindings:
    """The same for the leader, over one connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def find_faults(self) -> list[Fault]:
        """Return what is broken, except what synchronising declared hooks reports itself."""
        with translated():
            async with self._connection.transaction():
                await self._connection.execute(PINNED)
                found = json.loads(await self._connection.fetchval(SQL["owners"]))
                detached = await self._connection.fetch(SQL["detached"])
        for owner in found:
            owner["waits_for"] = []
        return [*of_owners(found), *of_partitions([tuple(row) for row in detached])]

    async def note_partitions(self) -> None:
        """Record the partitions of tracked tables, so that a detached one is noticed."""
        with translated():
            await self._connection.execute("select rowhooks.note_partitions()")

    async def relink(self) -> list[str]:
        """Put hooks and buttons on the tables that they name and that are tracked again; return what was done."""
        with translated():
            if not await self._connection.fetchval(SQL["is_any_to_relink"]):
                return []
            done = []
            for kind, statement in _RELINK.items():
                # Where another link of it has got that table meanwhile, this one stays on record as it was.
                with contextlib.suppress(asyncpg.UniqueViolationError):
                    done += [(kind, *row) for row in await self._connection.fetch(statement)]
        return [f"{kind} {name} is on {table} again, which was tracked anew" for kind, name, table in done]
