"""Jobs that the leader does not have: what waits for them, and which standbys have other receivers."""

from __future__ import annotations

from rowhooks.domain.run import WAITING
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, {"WAITING": WAITING})
IS_KEPT = SQL["is_kept"]
"""Whether a run, `r`, waits for a leader whose code has its class."""
MISSING_JOBS = SQL["missing_jobs"]
"""The query of the jobs that the leader does not have and for which something waits or will wait."""
ORIGINS_OF_JOB = SQL["origins_of_job"]
"""The query of the hooks, buttons and missed changes of a job, `j`."""
OTHER_RECEIVERS = SQL["other_receivers"]
"""The query of the standbys whose receivers are not the leader's."""
