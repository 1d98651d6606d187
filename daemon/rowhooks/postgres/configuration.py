"""Jobs, hooks, buttons and tracked tables, read by asyncpg: ConfigurationSource."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

import asyncpg

from rowhooks.domain.configuration import Configuration, JobButton, JobHook, TrackedTable
from rowhooks.domain.feed import Snapshot
from rowhooks.domain.job import Job, JobEntry
from rowhooks.domain.names import join_name
from rowhooks.postgres import synchronisation, unreadable
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.synchronisation import DeclaredHook

logger = logging.getLogger(__name__)

SQL = Statements(__file__, unreadable.SQL)
LOAD = SQL["load"]
"""The statement that reads the configuration, for any driver; see read_configuration."""
DESCRIPTION = SQL["description"]
"""What describes a table, as arguments of json_build_object; see read_table."""


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


def read_configuration(document: str | dict[str, Any]) -> Configuration:
    """Return the configuration that LOAD has found, executed with PINNED: its JSON, or the decoded JSON."""
    loaded = json.loads(document) if isinstance(document, str) else document
    tables = {t["id"]: read_table(t) for t in loaded["tables"]}
    jobs = {
        j["id"]: Job(
            j["id"],
            j["class_path"],
            j["name"],
            j["enabled"],
            j["installed"],
            _snapshot(j["enabled_since"]),
            j["sensitive"],
        )
        for j in loaded["jobs"]
    }
    hooks = tuple(
        JobHook(
            id=h["id"],
            name=h["name"],
            job=jobs[h["job"]],
            enabled=h["enabled"],
            tables=frozenset(h["tables"]),
            actions=frozenset(action for action in ("create", "update", "delete") if h[action]),
            enabled_since=_snapshot(h["enabled_since"]),
            columns=frozenset(h["columns"]),
            ignored_columns=frozenset(h["ignored_columns"]),
            conditions_json=h["conditions"],
            on_undecided=h["on_undecided"],
            names={int(table): names for table, names in h["names"].items()},
            queue=h["queue"],
        )
        for h in loaded["hooks"]
    )
    buttons = tuple(JobButton(b["id"], b["name"], jobs[b["job"]], b["queue"]) for b in loaded["buttons"])
    return Configuration(loaded["version"], tables, tuple(jobs.values()), hooks, buttons, loaded["notify"])


def read_table(t: dict[str, Any]) -> TrackedTable:
    """Return a table from the server's id, repr_column, key and DESCRIPTION, decoded."""
    return TrackedTable(
        id=t["id"],
        name=join_name(t["schema"], t["table"]),
        quoted_name=t["quoted_name"],
        relation=t["relation"],
        columns=tuple((name, oid) for name, oid in t["columns"]),
        key=tuple((quoted, name, type_) for quoted, name, type_ in t["key"]),
        repr_column=t["repr_column"],
        identity=t.get("identity", "key"),
        former_key=tuple(sorted((former, present) for former, present in t.get("former_key", ()))),
        loose_key=t.get("loose_key", {}),
    )


def _snapshot(text: str | None) -> Snapshot | None:
    return None if text is None else Snapshot.parse(text)
