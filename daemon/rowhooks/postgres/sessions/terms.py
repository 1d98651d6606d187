"""On which terms runs have their transactions: their session variables, which errors pass by themselves, refusals."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rowhooks.domain.configuration import JobHook
from rowhooks.domain.run import Run
from rowhooks.postgres.connections.errors import is_lost_connection, verdict_of
from rowhooks.postgres.results import RUN
from rowhooks.postgres.rows.privileges import is_refused
from rowhooks.postgres.sessions.receiver_session import GRIP

logger = logging.getLogger(__name__)

_RECEIVER, _USER, _REQUEST, _CONTEXT = "rowhooks.receiver", "rowhooks.user", "rowhooks.request_id", "rowhooks.context"
VARIABLES = (RUN, _USER, _REQUEST, _RECEIVER, _CONTEXT)
"""The session variables of runs; no run has all of them."""


def is_transient(error: BaseException) -> bool:
    """Say whether an error may pass by itself (see rowhooks.domain.sqlstates), or the connection was lost."""
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if _met_the_recorder(cause):
        return True
    found = None if cause is None else verdict_of(cause)
    if found is not None:
        return found.run
    return (isinstance(error, DBAPIError) and error.connection_invalidated) or is_lost_connection(cause)


def _met_the_recorder(error: BaseException | None) -> bool:
    """Say whether a run's result met its STARTED or PENDING, which the recorder was writing at the same moment.

    ON CONFLICT waits for what is in the index that it names. Where the other row comes into the table after it has
    looked there, the primary key, which has the same id, refuses the result.
    """
    return isinstance(error, psycopg.errors.UniqueViolation) and (
        error.diag.schema_name,
        error.diag.constraint_name,
    ) == ("rowhooks", "job_result_pkey")


def session_variables(run: Run, user: str) -> dict[str, str]:
    """Return the session variables of a run's transactions.

    What a hook receiver writes starts no hook, because its transactions carry `rowhooks.receiver`. The changes of a
    button receiver are ordinary changes; their author is the user who pressed.

    Args:
        run: the run.
        user: for whom it is.
    """
    variables = {RUN: run.key, _USER: user or "", _REQUEST: run.key}
    if isinstance(run.origin, JobHook):
        return {_RECEIVER: run.key, **variables}
    return {**variables, _CONTEXT: "job-button"}


@contextlib.contextmanager
def explaining(refused: DBAPIError) -> Iterator[None]:
    """Leave a refused statement's message as it is where the server cannot be asked what was missing."""
    try:
        yield
    except SQLAlchemyError as error:
        logger.warning("what a refused statement lacks cannot be found out (%s): %s", error, refused.orig)


def watch_runs(engine: sqlalchemy.Engine) -> None:
    """Watch the transactions of the runs that have their connections from an engine."""
    sqlalchemy.event.listen(engine, "before_cursor_execute", _check_transaction)
    sqlalchemy.event.listen(engine, "rollback", _note_rollback)
    sqlalchemy.event.listen(engine, "handle_error", _note_refusal)


def _check_transaction(connection: sqlalchemy.Connection, *_: Any) -> None:
    """Check, before a statement of a run, that the receiver has not ended the run's transaction.

    Raises:
        TransactionEnded: it has.
    """
    grip = connection.info.get(GRIP)
    if grip is not None:
        grip.check_transaction()


def _note_rollback(connection: sqlalchemy.Connection) -> None:
    """Note, before a run's transaction is rolled back, whether the receiver has ended it."""
    # A connection that was taken away has no record any more.
    grip = None if connection.invalidated or connection.closed else connection.info.get(GRIP)
    if grip is not None:
        grip.let_go()


def _note_refusal(context: sqlalchemy.ExceptionContext) -> None:
    """Keep a statement that was refused because of a missing privilege until its run is rolled back."""
    error, connection = context.sqlalchemy_exception, context.connection
    if isinstance(error, DBAPIError) and is_refused(error) and connection is not None:
        grip = connection.info.get(GRIP)
        if grip is not None:
            grip.refused = error
