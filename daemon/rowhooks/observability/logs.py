"""Logs: the daemon's own log as text, as JSON or with journald's fields. The lines of a run have its fields."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from rowhooks.domain.display import LONG, as_json, lines, visible
from rowhooks.domain.row_data import without_row_data

TRACEBACK = "rowhooks_traceback"
"""The key in `extra` of a traceback that is text already; it is printed below its line."""
INDENT = "  "
"""The text before each line of a traceback."""
FIELDS = ("run", "hook", "button", "table", "object")

PRIORITIES = {
    logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7,
}  # fmt: skip
"""Python's levels, and the priorities of syslog and journald."""
IDENTIFIER = "rowhooks"

Clean = Callable[[str], str]
"""Blanks secrets in a text, as Redactor.clean does."""


_formatted = logging.Formatter()


def as_it_is(text: str) -> str:
    """Return the text as it is, where nothing in it is secret."""
    return text


class MessageFormatter(logging.Formatter):
    """Prints the message on one line, and below it a traceback, indented: nothing in them looks like another line.

    Args:
        clean: blanks secrets in the whole of what is printed, tracebacks included.
        layout: of a line, before its fields.
        fields: append them to it: `[field=value ...]`.
    """

    def __init__(self, clean: Clean = as_it_is, layout: str = "%(message)s", *, fields: bool = False) -> None:
        super().__init__(layout)
        self._clean = clean
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """Format one line, or several."""
        # Secrets are blanked before the text is shortened: half a secret is still one.
        record.message = visible(self._clean(record.getMessage()), LONG)
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        line = self.formatMessage(record)
        named = self._named(record) if self._fields else ""
        below = "".join(f"\n{lines(self._clean(text), INDENT)}" for text in _below(record))
        return self._clean(f"{line} [{named}]{below}" if named else f"{line}{below}")

    def _named(self, record: logging.LogRecord) -> str:
        return " ".join(
            f"{name}={visible(self._clean(str(getattr(record, name))))}" for name in FIELDS if hasattr(record, name)
        )


def _below(record: logging.LogRecord) -> Iterator[str]:
    """Yield what is printed below a line: tracebacks, as text."""
    if record.exc_info:
        yield without_row_data(_formatted.formatException(record.exc_info), record.exc_info[1])
    if record.stack_info:
        yield record.stack_info
    if (text := getattr(record, TRACEBACK, None)) is not None:
        yield text.rstrip("\n")


class TextFormatter(MessageFormatter):
    """`time level message [field=value ...]`.

    Args:
        clean: blanks secrets in the whole of what is printed, tracebacks included.
        layout: of a line, before its fields.
    """

    def __init__(self, clean: Clean = as_it_is, layout: str = "%(asctime)s %(levelname)-7s %(message)s") -> None:
        super().__init__(clean, layout, fields=True)


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Args:
        clean: blanks secrets in the values before they become JSON, so that the line stays JSON.
    """

    def __init__(self, clean: Clean = as_it_is) -> None:
        super().__init__()
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        """Format one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)},
        }
        if tracebacks := list(_below(record)):
            line["traceback"] = "\n".join(tracebacks)
        text = json.dumps({name: self._cleaned(value) for name, value in line.items()}, ensure_ascii=False)
        return as_json(text, getattr(sys.stderr, "encoding", None))

    def _cleaned(self, value: Any) -> Any:
        return value if value is None or isinstance(value, bool | int | float) else self._clean(str(value))


class _Reporting(logging.Handler):
    """Reports where a line that cannot be formatted was logged, and why; logging itself would print its values."""

    _clean: Clean

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        """Report a line that could not be written."""
        problem = traceback.format_exc()
        with contextlib.suppress(OSError, ValueError):
            line = f"a log line ({record.pathname}, line {record.lineno}) is lost: {problem.rstrip()}"
            sys.stderr.write(f"{lines(self._clean(line))}\n")


class JournalHandler(_Reporting):
    """Sends each line to journald with its fields: ROWHOOKS_RUN, ROWHOOKS_HOOK, ROWHOOKS_TABLE, ROWHOOKS_OBJECT ...

    Args:
        send: takes one entry's fields; `cysystemd.journal.send`.
        clean: blanks secrets in the values.
    """

    def __init__(self, send: Callable[..., object], clean: Clean = as_it_is) -> None:
        super().__init__()
        self._send = send
        self._clean = clean
        self.setFormatter(MessageFormatter(clean))

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry."""
        try:
            fields = {f"rowhooks_{name}": getattr(record, name) for name in FIELDS if hasattr(record, name)}
            texts = {name: self._clean(str(value)) for name, value in fields.items() if value is not None}
            self._send(
                message=self.format(record),
                priority=priority(record.levelno),
                syslog_identifier=IDENTIFIER,
                code_file=record.pathname,
                code_line=record.lineno,
                code_func=record.funcName or "",
                logger=record.name,
                **texts,
            )
        except Exception:
            self.handleError(record)


class PriorityFormatter(logging.Formatter):
    """Prints text with syslog's priority before each line, as journald reads it from standard error (sd-daemon(3))."""

    def __init__(self, clean: Clean = as_it_is) -> None:
        super().__init__()
        self._text = TextFormatter(clean, "%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Format one line, or several."""
        prefix = f"<{priority(record.levelno)}>"
        return "\n".join(f"{prefix}{line}" for line in self._text.format(record).splitlines())


def priority(level: int) -> int:
    """Return syslog's priority for one of Python's levels, or for one between them."""
    return next((number for limit, number in PRIORITIES.items() if level >= limit), 7)


class _Handler(_Reporting, logging.StreamHandler[TextIO]):
    def __init__(self, clean: Clean) -> None:
        super().__init__(sys.stderr)
        self._clean = clean


def configure_logging(level: str, log_format: str, clean: Clean = as_it_is) -> None:
    """Log to standard error, or to journald.

    Args:
        level: debug, info, warning or error.
        log_format: text, json, journal, or auto: journal in a service of systemd's, text on a terminal, else json.
        clean: blanks secrets in everything that is printed.
    """
    if log_format == "auto":
        log_format = _fitting(os.environ)
    handler = _journal(clean) if log_format == "journal" else _Handler(clean)
    if log_format in ("text", "json"):
        handler.setFormatter(JsonFormatter(clean) if log_format == "json" else TextFormatter(clean))
    # The handler has the level, not the loggers: the log of a run keeps lines that this handler leaves out.
    handler.setLevel(level.upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("rowhooks").setLevel(level.upper())
    # Warnings of libraries (SQLAlchemy's, about a type that a receiver reflects) are lines like others.
    logging.captureWarnings(capture=True)


def _fitting(environment: Mapping[str, str]) -> str:
    """Return the format that suits where standard error goes."""
    try:
        status = os.fstat(2)
    except OSError:
        return "json"
    if environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
        return "journal"
    return "text" if os.isatty(2) else "json"


def _journal(clean: Clean) -> logging.Handler:
    try:
        from cysystemd.journal import send
    except ImportError:
        # Without cysystemd, journald gets the priority and no fields.
        handler = _Handler(clean)
        handler.setFormatter(PriorityFormatter(clean))
        return handler
    return JournalHandler(send, clean)
