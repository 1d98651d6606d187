"""The backlog: what the leader has counted in the database."""

from __future__ import annotations

from dataclasses import dataclass, field

QUEUE_IS_FILLING = 0.4
"""Of the server's notification queue; the triggers stop ringing when half of it is full."""


@dataclass(frozen=True)
class Backlog:
    """What the leader has counted in the database.

    Args:
        changes: how many changes have not been dealt with.
        lag: the age of the oldest of them, in seconds; 0 where there is none.
        newest_id: the id of the newest change.
        unfinished: how many runs on record have not ended, by status.
        log_bytes: the size of the log with its indexes.
        partitions: how many partitions the log has.
        missing: how many runs are kept for each job that the leader does not have, where something waits for it.
        not_kept: how many changes beyond the limit were not kept for hooks of such jobs.
        workers: how many workers take runs of each queue, where there are any.
        groups: how many groups of runs are in the hands of workers, or on their way to them, by queue.
        notification_queue: how full the server's notification queue is, from 0 to 1.
    """

    changes: int
    lag: float
    newest_id: int
    unfinished: dict[str, int]
    log_bytes: int
    partitions: int
    notification_queue: float = 0.0
    missing: dict[str, int] = field(default_factory=dict)
    not_kept: int = 0
    workers: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
