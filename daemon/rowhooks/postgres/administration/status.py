"""The state of rowhooks in a database: leader, backlog, runs."""

from __future__ import annotations

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.backlog import WAITING
from rowhooks.postgres.leadership.lock import HOLDERS_OF_THE_LEADER_LOCK, LEADER_LOCK
from rowhooks.postgres.missing_jobs import MISSING_JOBS, OTHER_RECEIVERS
from rowhooks.postgres.statements import Statements

LEADS = f"exists (select from pg_locks as l where {LEADER_LOCK})"
"""Whether a daemon leads."""

_SQL = Statements(
    __file__,
    {
        "waiting": WAITING,
        "leads": LEADS,
        "missing_jobs": MISSING_JOBS,
        "other_receivers": OTHER_RECEIVERS,
        "holders": HOLDERS_OF_THE_LEADER_LOCK,
    },
)


def status(conn: Connection) -> Row:
    """Return the state of rowhooks in this database.

    Raises:
        RowhooksError: rowhooks.feed is empty, which no command of rowhooks causes.
    """
    rows = fetch(conn, _SQL["status"])
    if not rows:
        raise RowhooksError("rowhooks.feed is empty", hint="insert into rowhooks.feed default values")
    return rows[0]
