"""Which errors mean a lost connection: also those that psycopg raises where it has got too many answers, or none."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from rowhooks.domain.errors import ConnectionFailed, DatabaseError
from rowhooks.postgres.connections.errors import is_lost_connection
from rowhooks.postgres.rows.loading_errors import translated
from rowhooks.postgres.sessions.terms import is_transient


class Answered(psycopg.InternalError):
    """An internal error that comes from the server."""

    sqlstate = "XX000"


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (psycopg.OperationalError("the connection is closed"), True),
        (psycopg.errors.AdminShutdown("terminating connection"), True),
        (psycopg.InternalError("received 2 results from command 'ROLLBACK'"), True),
        (Answered("could not open file"), False),
        (psycopg.errors.QueryCanceled("canceling statement"), False),
    ],
)
def test_an_error_that_no_server_has_sent_is_a_lost_connection(error: psycopg.Error, is_lost: bool) -> None:
    assert is_lost_connection(error) is is_lost
    assert is_transient(error) is is_lost


@pytest.mark.parametrize(("invalidated", "kind"), [(True, ConnectionFailed), (False, DatabaseError)])
def test_rows_are_loaded_again_after_any_error_that_has_ended_the_connection(
    invalidated: bool, kind: type[Exception]
) -> None:
    error = DBAPIError("select", {}, psycopg.ProgrammingError("odd"), connection_invalidated=invalidated)
    assert type(translated("rows of dcim.device", error)) is kind
