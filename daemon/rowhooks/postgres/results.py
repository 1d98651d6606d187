"""Results and the position, written: ResultSink, and the statement that a run's own transaction uses too."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg

from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.feed import Position
from rowhooks.domain.run import LogEntry, Outcome
from rowhooks.postgres.errors import translated

_RESULT = (
    ("id", "bigint"),
    ("object_change_id", "bigint"),
    ("job_hook_id", "integer"),
    ("job_id", "integer"),
    ("class_path", "text"),
    ("hook_name", "text"),
    ("tracked_table", "integer"),
    ("object_id", "jsonb"),
    ("object_repr", "text"),
    ("action", "text"),
    ("user_name", "text"),
    ("status", "text"),
    ("attempt", "integer"),
    ("lease", "uuid"),
    ("started_at", "timestamptz"),
    ("finished_at", "timestamptz"),
    ("result", "jsonb"),
    ("exception_type", "text"),
    ("exception_message", "text"),
    ("traceback", "text"),
)
_ENTRY = (
    ("job_result_id", "bigint"),
    ("time", "timestamptz"),
    ("level", "text"),
    ("grouping", "text"),
    ("message", "text"),
    ("object_type", "text"),
    ("object_repr", "text"),
)

# A finished status is never overwritten, and a run of an earlier leader does not end in place of a later one.
_UPSERT = """
on conflict (object_change_id, job_hook_id) do update set
  status = excluded.status, attempt = excluded.attempt, started_at = excluded.started_at,
  finished_at = excluded.finished_at, result = excluded.result, exception_type = excluded.exception_type,
  exception_message = excluded.exception_message, traceback = excluded.traceback
where job_result.lease = excluded.lease and job_result.finished_at is null
returning id
"""


def _names(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(name for name, _ in columns)


def _insert_many(table: str, columns: Sequence[tuple[str, str]]) -> str:
    # jsonb travels as text: asyncpg then needs no codec for it.
    arrays = ", ".join(
        f"${n}::{'text' if type_ == 'jsonb' else type_}[]" for n, (_, type_) in enumerate(columns, start=1)
    )
    values = ", ".join(f"v.{name}::{type_}" for name, type_ in columns)
    return (
        f"insert into rowhooks.{table} ({_names(columns)}) "  # noqa: S608  (constants of this module)
        f"select {values} from unnest({arrays}) as v ({_names(columns)})"
    )


def _insert_one(table: str, columns: Sequence[tuple[str, str]]) -> str:
    values = ", ".join(f"%s::{type_}" for _, type_ in columns)
    return f"insert into rowhooks.{table} ({_names(columns)}) values ({values})"  # noqa: S608


_RECORD_MANY = _insert_many("job_result", _RESULT) + _UPSERT
RECORD_ONE = _insert_one("job_result", _RESULT) + _UPSERT
"""For psycopg, in a run's own transaction; returns no row where the run stands on record already."""
_ENTRIES = _insert_many("job_log_entry", _ENTRY)
RECORD_ENTRY = _insert_one("job_log_entry", _ENTRY)

_FENCE = "select true from rowhooks.feed where lease = $1 for share"

_MOVE = """
update rowhooks.feed
set
  snapshot = $2::text::pg_snapshot, target = $3::text::pg_snapshot,
  after_id = $4, floor_id = $5, newest_id = $6, moved_at = now()
where lease = $1
"""


def result_row(outcome: Outcome, lease: uuid.UUID) -> tuple[Any, ...]:
    """Return the values of `_RESULT` for an outcome."""
    run = outcome.run
    return (
        run.id,
        run.change.id,
        run.hook.id,
        run.hook.job.id,
        run.hook.job.class_path,
        run.hook.name,
        run.change.table_id,
        run.change.object_id_json,
        run.change.object_repr,
        run.change.action,
        run.change.user_name or run.change.db_user,
        outcome.status,
        run.attempt,
        lease,
        outcome.started_at,
        outcome.finished_at,
        storable(outcome.result_json and outcome.result_json.replace("\\u0000", "\\ufffd")),
        storable(outcome.exception_type),
        storable(outcome.exception_message),
        storable(outcome.traceback),
    )


def entry_row(result_id: int, entry: LogEntry) -> tuple[Any, ...]:
    """Return the values of `_ENTRY` for a log line."""
    return (
        result_id,
        entry.time,
        entry.level,
        storable(entry.grouping),
        storable(entry.message),
        storable(entry.object_type),
        storable(entry.object_repr),
    )


def storable(text: str | None) -> str | None:
    """Return text that PostgreSQL can hold: without NUL and lone surrogates."""
    if text is None:
        return None
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


class PostgresResults:
    """Writes results over one connection, under one leadership."""

    def __init__(self, connection: asyncpg.Connection[Any], lease: uuid.UUID) -> None:
        self._connection = connection
        self._lease = lease

    async def record(self, outcomes: Sequence[Outcome], position: Position | None) -> None:
        """Write results, their log entries and the position in one transaction.

        Raises:
            LeadershipLost: another daemon leads; nothing was written.
        """
        with translated():
            async with self._connection.transaction():
                # Fenced: a new leader's take-over waits for us, and after it this finds nothing. Otherwise a STARTED of
                # ours, written after it looked for unfinished runs, would stand in its way for ever.
                if not await self._connection.fetchval(_FENCE, self._lease):
                    raise LeadershipLost("another daemon has taken the lead")
                if outcomes:
                    await self._write(outcomes)
                if position is not None:
                    await self._move(position)

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        rows = [result_row(outcome, self._lease) for outcome in outcomes]
        written = {row[0] for row in await self._connection.fetch(_RECORD_MANY, *map(list, zip(*rows, strict=True)))}
        entries = [
            entry_row(outcome.run.id, entry)
            for outcome in outcomes
            if outcome.run.id in written
            for entry in outcome.entries
        ]
        if entries:
            await self._connection.execute(_ENTRIES, *map(list, zip(*entries, strict=True)))

    async def _move(self, position: Position) -> None:
        await self._connection.execute(
            _MOVE,
            self._lease,
            str(position.snapshot),
            None if position.target is None else str(position.target),
            position.after_id,
            position.floor_id,
            position.newest_id,
        )
