"""What doctor says of workers: queues that nothing serves, and workers that are not as they should be."""

from __future__ import annotations

from rowhooks.postgres import live_workers
from rowhooks.postgres.administration.status import LEADS
from rowhooks.postgres.missing_jobs import IS_KEPT
from rowhooks.postgres.statements import Statements

LARGEST_SKEW = 5
"""Seconds by which the clocks of a worker and of the server may differ."""

SQL = Statements(__file__, live_workers.SQL, {"leads": LEADS, "is_kept": IS_KEPT, "LARGEST_SKEW": LARGEST_SKEW})
