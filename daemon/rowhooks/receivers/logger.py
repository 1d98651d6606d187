"""`self.logger`: the standard logging API. Each line goes into the run's log and into the daemon's log."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

from rowhooks.domain.run import LogEntry
from rowhooks.pipeline.execution.run_log import RunLog

SUCCESS = 25
FAILURE = 35
"""Between WARNING and ERROR: something went wrong that the receiver expected."""

LEVELS = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    SUCCESS: "success",
    logging.WARNING: "warning",
    FAILURE: "failure",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
JOBS_LOGGER = "rowhooks.jobs"

logging.addLevelName(SUCCESS, "SUCCESS")
logging.addLevelName(FAILURE, "FAILURE")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of one run.

    As in Nautobot, `extra` may hold `object` (the row that a line is about), `grouping` (a heading) and
    `skip_db_logging` (True keeps the line out of the run's log).

    Args:
        class_path: the receiver's `module.Class`.
        fields: the fields that every line has in the daemon's log.
        log: where the run's lines are collected.
    """

    def __init__(self, class_path: str, fields: Mapping[str, Any], log: RunLog) -> None:
        super().__init__(logging.getLogger(f"{JOBS_LOGGER}.{class_path}"), fields)
        self._run_log = log
        self._level = logging.DEBUG

    def setLevel(self, level: int | str) -> None:  # noqa: N802  (the name is logging's)
        """Leave out this run's lines below a level.

        Args:
            level: a number, or a name such as "WARNING" or "FAILURE".

        Raises:
            ValueError: there is no level of that name.
        """
        found = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
        if found is None:
            raise ValueError(f"Unknown level: {level!r}")
        self._level = found

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        """Return whether lines of a level are kept for this run."""
        return level >= self._level

    def getEffectiveLevel(self) -> int:  # noqa: N802
        """Return the level set by setLevel()."""
        return self._level

    def success(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line with level `success`."""
        self.log(SUCCESS, msg, *args, **kwargs)

    def failure(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line with level `failure`."""
        self.log(FAILURE, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run's fields to a line."""
        given = dict(kwargs.get("extra") or {})
        subject = given.pop("object", None)
        own = {"rowhooks_log": self._run_log, "rowhooks_object": subject}
        kwargs["extra"] = {**given, **(self.extra or {}), **own}
        return msg, kwargs


class EntryHandler(logging.Handler):
    """Adds the lines of receivers to the logs of their runs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line to the log of its run."""
        log = getattr(record, "rowhooks_log", None)
        if log is None or getattr(record, "skip_db_logging", False):
            return
        try:
            log.add(_entry(record))
        except Exception as error:  # formatting the arguments of a line must not fail the run
            log.note("warning", f"a line of {record.pathname}:{record.lineno} cannot be shown: {type(error).__name__}")


def _entry(record: logging.LogRecord) -> LogEntry:
    message = record.getMessage()
    if record.exc_info:
        message += "\n" + logging.Formatter().formatException(record.exc_info)
    subject = getattr(record, "rowhooks_object", None)
    return LogEntry(
        time=datetime.fromtimestamp(record.created, UTC),
        level=LEVELS.get(record.levelno)
        or LEVELS[max((n for n in LEVELS if n <= record.levelno), default=logging.DEBUG)],
        message=message,
        grouping=str(getattr(record, "grouping", "")),
        object_type=getattr(type(subject), "__rowhooks_table__", None),
        object_repr=None if subject is None else str(subject),
    )


def collect_entries() -> None:
    """Begin to collect what receivers log in the logs of their runs; called once, when the daemon starts."""
    jobs = logging.getLogger(JOBS_LOGGER)
    # The run's log keeps every level. The daemon's own log filters at its handlers.
    jobs.setLevel(logging.DEBUG)
    if not any(isinstance(handler, EntryHandler) for handler in jobs.handlers):
        jobs.addHandler(EntryHandler())
