"""Rows of results and log lines: what of an outcome stands in which column, as the database can hold it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.encodings import Repertoire
from rowhooks.domain.run import WAITING, LogEntry, Outcome

RESULT: Sequence[tuple[str, str]] = (
    ("id", "bigint"),
    ("trigger", "text"),
    ("original_id", "bigint"),
    ("object_change_id", "bigint"),
    ("job_hook_id", "integer"),
    ("job_button_id", "integer"),
    ("job_id", "integer"),
    ("class_path", "text"),
    ("hook_name", "text"),
    ("button_name", "text"),
    ("tracked_table", "integer"),
    ("object_id", "jsonb"),
    ("former_object_id", "jsonb"),
    ("object_repr", "text"),
    ("action", "text"),
    ("user_name", "text"),
    ("db_user", "name"),
    ("status", "text"),
    ("attempt", "integer"),
    ("retries", "integer"),
    ("retry_at", "timestamptz"),
    ("leader_epoch", "uuid"),
    ("started_at", "timestamptz"),
    ("finished_at", "timestamptz"),
    ("result", "jsonb"),
    ("exception_type", "text"),
    ("exception_message", "text"),
    ("traceback", "text"),
    ("key", "text"),
)
ENTRY: Sequence[tuple[str, str]] = (
    ("job_result_id", "bigint"),
    ("time", "timestamptz"),
    ("level", "text"),
    ("grouping", "text"),
    ("message", "text"),
    ("object_type", "text"),
    ("object_repr", "text"),
)
# The columns of runs that a change starts and that are not on record yet, for COPY; the others have their defaults.
FRESH = (
    "id", "object_change_id", "job_hook_id", "job_id", "class_path", "hook_name", "tracked_table", "object_id",
    "former_object_id", "object_repr", "action", "user_name", "db_user", "status", "retry_at", "leader_epoch",
    "started_at", "finished_at", "key", "result", "exception_type", "exception_message", "traceback",
)  # fmt: skip


def fresh_row(outcome: Outcome, leader_epoch: uuid.UUID, held: Repertoire) -> tuple[Any, ...]:
    """Return the values of `FRESH` for an outcome, for a database that can hold such text."""
    run, started_at = outcome.run, outcome.started_at
    cause, hook = run.cause, run.origin
    job = hook.job
    assert isinstance(cause, ObjectChange), "only a change starts a run that is not on record"
    row = (
        run.id, cause.id, hook.id, job.id, job.class_path, hook.name, cause.table_id, cause.object_id_json,
        run.former_key, held.text(run.object_repr), cause.action, cause.user_name, cause.db_user, outcome.status,
        outcome.retry_at, WAITING if outcome.waits else leader_epoch, started_at, outcome.finished_at, run.key,
    )  # fmt: skip
    if outcome.result_json is None and outcome.exception_type is None:
        return (*row, None, None, None, None)
    return (*row, *_what_came_of_it(outcome, held))


def _what_came_of_it(outcome: Outcome, held: Repertoire) -> tuple[str | None, ...]:
    return (
        held.json(outcome.result_json),
        held.text(outcome.exception_type),
        held.text(outcome.exception_message),
        held.text(outcome.traceback),
    )


def result_row(outcome: Outcome, leader_epoch: uuid.UUID, held: Repertoire) -> tuple[Any, ...]:
    """Return the values of `RESULT` for an outcome, for a database that can hold such text."""
    run = outcome.run
    change_id = run.cause.id if isinstance(run.cause, ObjectChange) else None
    by_hook = isinstance(run.origin, JobHook)
    return (
        run.id,
        run.trigger,
        run.original_id,
        change_id,
        run.origin.id if by_hook else None,
        None if by_hook else run.origin.id,
        run.job.id,
        run.job.class_path,
        run.origin.name if by_hook else None,
        None if by_hook else run.origin.name,
        run.cause.table_id,
        run.cause.object_id_json,
        run.former_key,
        held.text(run.object_repr),
        run.cause.action,
        run.cause.user_name,
        run.cause.db_user,
        outcome.status,
        run.attempt,
        run.retries,
        outcome.retry_at,
        WAITING if outcome.waits else leader_epoch,
        outcome.started_at,
        outcome.finished_at,
        *_what_came_of_it(outcome, held),
        run.key,
    )


def entry_row(result_id: int, entry: LogEntry, held: Repertoire) -> tuple[Any, ...]:
    """Return the values of `ENTRY` for a log line, for a database that can hold such text."""
    return (
        result_id,
        entry.time,
        entry.level,
        held.text(entry.grouping),
        held.text(entry.message),
        held.text(entry.object_type),
        held.text(entry.object_repr),
    )
