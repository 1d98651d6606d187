"""`self.logger`: the standard logging API. Each line goes into the run's log and into the daemon's log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

from rowhooks.domain.row_data import without_row_data
from rowhooks.domain.row_types import row_type_of
from rowhooks.domain.run import LogEntry
from rowhooks.pipeline.execution.run_log import RunLog, current_log

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

_OF_SHARED = frozenset(
    (
        "addHandler", "removeHandler", "addFilter", "removeFilter", "filter", "callHandlers", "makeRecord",
        "findCaller", "getChildren",
    )
)  # fmt: skip
_WHY_SHARED = (
    "all runs of the receiver share it, and what one run adds would stay; set up logging.getLogger('rowhooks.jobs')"
    " once, where the module is imported"
)

logging.addLevelName(SUCCESS, "SUCCESS")
logging.addLevelName(FAILURE, "FAILURE")


def _shared(name: str, look: Callable[[Any], Any]) -> property:
    """Return an attribute that all runs of a receiver share, so that no single run may set it.

    Args:
        name: the attribute's name.
        look: returns it as a run may see it.
    """

    def get(self: RunLogger) -> Any:
        return look(getattr(self.logger, name))

    def refuse(self: RunLogger, _: object) -> None:
        raise AttributeError(f"self.logger.{name} cannot be set: {_WHY_SHARED}")

    return property(get, refuse, doc=f"The {name} of the logger that all runs of the receiver share.")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of one run.

    As in Nautobot, `extra` may hold `object` (the row that a line is about), `grouping` (a heading) and
    `skip_db_logging` (True keeps the line out of the run's log). What the attribute `extra` holds counts for all lines
    that follow. The level and `disabled` are the run's own.

    Args:
        class_path: the receiver's `module.Class`.
        fields: the fields that every line has in the daemon's log.
        log: where the run's lines are collected.
    """

    handlers = _shared("handlers", tuple)
    filters = _shared("filters", tuple)
    parent = _shared("parent", lambda parent: parent)
    propagate = _shared("propagate", bool)
    root = logging.root

    def __init__(self, class_path: str, fields: Mapping[str, Any], log: RunLog) -> None:
        super().__init__(logging.getLogger(f"{JOBS_LOGGER}.{class_path}"), {})
        self._class_path = class_path
        self._fields = fields
        self._run_log = log
        self._level = logging.DEBUG
        self.disabled = False

    @property
    def level(self) -> int:
        """The level set by setLevel()."""
        return self._level

    @level.setter
    def level(self, level: int | str) -> None:
        self.setLevel(level)

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
        return level >= self._level and not self.disabled

    def getEffectiveLevel(self) -> int:  # noqa: N802
        """Return the level set by setLevel()."""
        return self._level

    def success(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line with level `success`."""
        self._log_for_caller(SUCCESS, msg, args, kwargs)

    def failure(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line with level `failure`."""
        self._log_for_caller(FAILURE, msg, args, kwargs)

    def fatal(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line with level `critical`."""
        self._log_for_caller(logging.CRITICAL, msg, args, kwargs)

    def warn(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line with level `warning`."""
        self._log_for_caller(logging.WARNING, msg, args, kwargs)

    def _log_for_caller(self, level: int, msg: object, args: tuple[object, ...], kwargs: dict[str, Any]) -> None:
        # The line is the receiver's, not one of this file.
        self.log(level, msg, *args, **{**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 2})

    def getChild(self, suffix: str) -> RunLogger:  # noqa: N802
        """Return a logger of the same run with a longer name; its level and `extra` begin as those of this one."""
        child = RunLogger(f"{self._class_path}.{suffix}", self._fields, self._run_log)
        child.extra, child.level, child.disabled = dict(self.extra or {}), self._level, self.disabled
        return child

    def handle(self, record: logging.LogRecord) -> None:
        """Take a record that was made elsewhere, for example in another process, as a line of this run."""
        if self.isEnabledFor(record.levelno):
            vars(record).update(self._described(vars(record)))
            self.logger.handle(record)

    def __getattr__(self, name: str) -> Any:
        if name in _OF_SHARED:
            raise AttributeError(f"self.logger has no {name}: {_WHY_SHARED}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run's fields to a line."""
        given = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        subject = given.pop("object", None)
        kwargs["extra"] = {**given, **self._described({"object": subject})}
        return msg, kwargs

    def _described(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._fields, "rowhooks_log": self._run_log, "rowhooks_object": given.get("object")}


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


class ModuleHandler(EntryHandler):
    """Adds the lines of receivers' modules to the log of the run in whose context they are logged."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line to the log of its run, and the run's fields to the line."""
        log = current_log.get()
        # A handler of the same module's package may have had it.
        if log is None or hasattr(record, "rowhooks_log"):
            return
        known = vars(record)
        own = {"rowhooks_log": log, "rowhooks_object": known.get("object")}
        # The handlers of the daemon's log, which come later, show these fields.
        known.update({**log.fields(), **known, **own})
        super().emit(record)


def _entry(record: logging.LogRecord) -> LogEntry:
    message = record.getMessage()
    if record.exc_info:
        text = logging.Formatter().formatException(record.exc_info)
        message += "\n" + without_row_data(text, record.exc_info[1])
    subject = getattr(record, "rowhooks_object", None)
    rows = row_type_of(type(subject))
    return LogEntry(
        time=datetime.fromtimestamp(record.created, UTC),
        level=LEVELS.get(record.levelno)
        or LEVELS[max((n for n in LEVELS if n <= record.levelno), default=logging.DEBUG)],
        message=message,
        grouping=str(getattr(record, "grouping", "")),
        object_type=None if rows is None else rows.table_name,
        object_repr=None if subject is None else str(subject) if rows is None else rows.name_of(subject),
    )


@contextlib.contextmanager
def modules_heard(modules: Iterable[str]) -> Iterator[None]:
    """Collect what is logged in a run by the loggers of some modules, and of the packages that they are in.

    A logger without a level of its own has at least INFO meanwhile, as in the daemon.

    Args:
        modules: the modules of receivers.
    """
    handler = ModuleHandler()
    loggers = [logging.getLogger(name) for name in sorted({name for module in modules for name in _around(module)})]
    raised = []
    for logger in loggers:
        logger.addHandler(handler)
        # Sorted, a package comes before its modules, which have its level.
        if logger.level == logging.NOTSET and logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)
            raised.append(logger)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        for logger in raised:
            logger.setLevel(logging.NOTSET)


def _around(module: str) -> Iterator[str]:
    """Yield the names of the loggers of a module and of the packages that it is in."""
    parts = module.split(".")
    # The loggers of rowhooks itself are no receiver's.
    if parts[0] in ("rowhooks", "__main__"):
        yield module
        return
    for number in range(1, len(parts) + 1):
        yield ".".join(parts[:number])


def collect_entries() -> None:
    """Begin to collect what receivers log in the logs of their runs; called once, when the daemon starts."""
    jobs = logging.getLogger(JOBS_LOGGER)
    # The run's log keeps every level. The daemon's own log filters at its handlers.
    jobs.setLevel(logging.DEBUG)
    if not any(isinstance(handler, EntryHandler) for handler in jobs.handlers):
        jobs.addHandler(EntryHandler())
