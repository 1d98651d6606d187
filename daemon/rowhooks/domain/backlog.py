"""The backlog: what the leader has counted in the database."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Backlog:
    """What the leader has counted in the database.

    Args:
        backlog: changes that have not been dealt with.
        lag: age of the oldest of them, in seconds; 0 where there is none.
        captured: the id of the newest change.
        unfinished: runs on record that have not ended, by status.
        log_bytes: size of the log with its indexes.
        partitions: of the log.
        missing: runs that are kept for each job which the leader does not have, where something waits for it.
        missed: changes that were not kept for hooks of such jobs, beyond the limit.
        notification_queue: how full the server's notification queue is, from 0 to 1.
    """

    backlog: int
    lag: float
    captured: int
    unfinished: dict[str, int]
    log_bytes: int
    partitions: int
    notification_queue: float = 0.0
    missing: dict[str, int] = field(default_factory=dict)
    missed: int = 0
