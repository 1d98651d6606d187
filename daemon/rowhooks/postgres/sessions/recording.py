"""Recording, in a run's own transaction: what came of it is written beside what its receiver has written."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from rowhooks.domain.encodings import Repertoire
from rowhooks.domain.run import Outcome
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.result_rows import ENTRY, RESULT, entry_row, result_row
from rowhooks.postgres.results import ON_RECORD, statements_for
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.round_trips import execute_and_commit

_RESULT_NAMES, _ENTRY_NAMES = [name for name, _ in RESULT], [name for name, _ in ENTRY]
_DOCUMENTS = [name for name, type_ in RESULT if type_ == "jsonb"]
_RECORD_RUN = "select rowhooks.record_run({}, {})"
"""It fails where the run is on record (ON_RECORD), or its transaction has ended (ENDED)."""
_RECORD_DISPATCHED = "select rowhooks.record_run({}, {}, {}::pg_catalog.uuid)"
"""The same for a run that a worker executes. It fails with ON_RECORD also where the run was taken from the worker."""
_FOR_LIBPQ = {one: one.format("$1", "$2", "$3").encode() for one in (_RECORD_RUN, _RECORD_DISPATCHED)}
_FOR_PSYCOPG = {one: one.format("%s", "%s", "%s") for one in (_RECORD_RUN, _RECORD_DISPATCHED)}
_RECORD_ENTRIES = (
    f"insert into rowhooks.job_log_entry ({', '.join(_ENTRY_NAMES)}) select {', '.join(_ENTRY_NAMES)}"  # noqa: S608
    " from pg_catalog.json_populate_recordset(null::rowhooks.job_log_entry, %s)"
)

# Characters as they are: an escaped one is refused where the database's encoding is not UTF8.
_as_json = json.JSONEncoder(default=str, ensure_ascii=False, check_circular=False).encode


def record_batch(connection: sqlalchemy.Connection, outcome: Outcome, leader_epoch: uuid.UUID) -> set[int]:
    """Write the results of the runs of a batch and its log lines; return which runs are on record already."""
    return _record(connection, outcome.each(), [outcome], leader_epoch)


def record_group(connection: sqlalchemy.Connection, outcomes: Sequence[Outcome], leader_epoch: uuid.UUID) -> set[int]:
    """Write the results and log lines of runs that share their transaction; return which are on record already."""
    return _record(connection, outcomes, outcomes, leader_epoch)


def _record(
    connection: sqlalchemy.Connection, each: Sequence[Outcome], logged: Sequence[Outcome], leader_epoch: uuid.UUID
) -> set[int]:
    held = of_connection(connection.connection.driver_connection)
    statements = statements_for(each, leader_epoch, held)
    recorded = {id_ for one, values in statements for (id_,) in connection.exec_driver_sql(one, values)}
    lines = _entries(logged, held)
    if recorded and lines is not None:
        connection.exec_driver_sql(_RECORD_ENTRIES, (lines,))
    return {outcome.run.id for outcome in each} - recorded


def record_run(connection: sqlalchemy.Connection, outcome: Outcome, fence: Fence) -> bool:
    """Write a result and its log lines, and commit.

    Returns:
        False where the run is on record already, or this worker does not have it any more.
    """
    driver: Any = connection.connection.driver_connection
    values: Sequence[str | None] = _documents(outcome, fence.leader_epoch, of_connection(driver))
    statement = _RECORD_RUN
    if fence.dispatch is not None:
        statement, values = _RECORD_DISPATCHED, (*values, str(fence.dispatch))
    try:
        if psycopg.Pipeline.is_supported():
            execute_and_commit(driver, _FOR_LIBPQ[statement], values)
        else:
            # libpq is older than 14. The session's COMMIT follows.
            connection.exec_driver_sql(_FOR_PSYCOPG[statement], tuple(values))
    except (DBAPIError, psycopg.Error) as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, psycopg.errors.InvalidTextRepresentation) and ON_RECORD in str(cause):
            return False
        raise
    return True


def _documents(outcome: Outcome, leader_epoch: uuid.UUID, held: Repertoire) -> tuple[str, str | None]:
    """Return the arguments of rowhooks.record_run for an outcome, for a database that can hold such text."""
    values = dict(zip(_RESULT_NAMES, result_row(outcome, leader_epoch, held), strict=True))
    documents = [f', "{name}": {document}' for name in _DOCUMENTS if (document := values.pop(name)) is not None]
    values = {name: value for name, value in values.items() if value is not None}
    return f"{_as_json(values)[:-1]}{''.join(documents)}}}", _entries([outcome], held)


def _entries(outcomes: Sequence[Outcome], held: Repertoire) -> str | None:
    """Return the log lines of outcomes as a JSON array; None for none."""
    rows = [entry_row(outcome.run.id, entry, held) for outcome in outcomes for entry in outcome.entries]
    return _as_json([dict(zip(_ENTRY_NAMES, row, strict=True)) for row in rows]) if rows else None
