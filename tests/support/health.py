"""The health state of a leader, and what it has counted."""

from __future__ import annotations

from rowhooks.domain.backlog import Backlog
from rowhooks.observability.health import LEADING, HealthState

CENSUS = Backlog(
    backlog=1200, lag=3.25, captured=77, unfinished={"RETRY": 2, "PENDING": 5}, log_bytes=8192, partitions=3
)


def leading() -> HealthState:
    health = HealthState()
    health.become(LEADING)
    health.backlog = CENSUS
    health.in_memory = lambda: (7, 1)
    return health
