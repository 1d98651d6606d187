"""The state of rowhooks in a database: leader, backlog, runs."""

from __future__ import annotations

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.common import LOGS, Connection, Row, fetch, log_of
from rowhooks.postgres.backlog import WAITING
from rowhooks.postgres.leadership.lock_holders import HOLDERS_OF_THE_LEADER_LOCK, LEADER_LOCK
from rowhooks.postgres.missing_jobs import MISSING_JOBS, ORIGINS_OF_JOB, OTHER_RECEIVERS
from rowhooks.postgres.statements import Statements

LEADS = f"exists (select from pg_locks as l where {LEADER_LOCK})"
"""Whether a daemon leads."""
MOST_COUNTED = 1_000_000
"""How many waiting changes, and waiting runs, are counted for a role that may not read them."""

_FRAGMENTS = {
    "waiting": WAITING,
    "leads": LEADS,
    "missing_jobs": MISSING_JOBS,
    "origins_of_job": ORIGINS_OF_JOB,
    "other_receivers": OTHER_RECEIVERS,
    "holders": HOLDERS_OF_THE_LEADER_LOCK,
}
_STATUS = Statements(__file__, _FRAGMENTS, {"results": "rowhooks.job_result"})["status"]
_STATUS_FOR_VIEWERS = Statements(__file__, _FRAGMENTS, {"results": "rowhooks.visible_results"})["status_for_viewers"]


def status(conn: Connection) -> Row:
    """Return the state of rowhooks in this database.

    A role that may not read the log is told numbers of up to MOST_COUNTED, and nothing (None) of `lock_held_by` and
    `unreadable_changes`; `last_1000_runs` are those that it may see.

    Raises:
        RowhooksError: rowhooks.feed is empty, which no command of rowhooks causes.
    """
    reads_all = log_of(conn) == LOGS[0]
    rows = fetch(conn, _STATUS) if reads_all else fetch(conn, _STATUS_FOR_VIEWERS, MOST_COUNTED)
    if not rows:
        raise RowhooksError("rowhooks.feed is empty", hint="insert into rowhooks.feed default values")
    return rows[0]
