"""The daemon's own lines about runs: a subscriber of their events."""

from __future__ import annotations

import logging

from rowhooks.domain.events import Events, RunEnded, RunFailed
from rowhooks.domain.run import RETRY

logger = logging.getLogger(__name__)


def log_runs(events: Events) -> None:
    """Log each run that fails; at level DEBUG, if that is on by now, also each run that does not."""
    events.subscribe(RunFailed, _log_failure)
    if logger.isEnabledFor(logging.DEBUG):
        events.subscribe(RunEnded, _log_end)


def _log_failure(event: RunFailed) -> None:
    outcome, run = event.outcome, event.outcome.run
    logger.log(
        logging.WARNING if outcome.status == RETRY else logging.ERROR,
        "run %d of %s: %s: %s: %s", run.id, run.job.class_path, outcome.status, outcome.exception_type,
        outcome.exception_message, extra=run.log_fields(),
    )  # fmt: skip


def _log_end(event: RunEnded) -> None:
    outcome, run = event.outcome, event.outcome.run
    if outcome.exception_type is None:
        logger.debug("run %d of %s: %s", run.id, run.job.class_path, outcome.status, extra=run.log_fields())
