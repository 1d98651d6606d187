"""The statements of the backlog: what waits in the database, and how large the log is."""

from __future__ import annotations

from rowhooks.postgres import live_workers, missing_jobs
from rowhooks.postgres.statements import Statements

MOST_COUNTED = 1_000_000
"""Changes that are counted at most: beyond that, the exact number does not matter."""

SQL = Statements(__file__, missing_jobs.SQL, live_workers.SQL, {"MOST_COUNTED": MOST_COUNTED})
WAITING = SQL["waiting"]
"""The query of the changes that have not been dealt with."""
