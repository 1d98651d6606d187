"""The daemon's own log: text for people, JSON for machines; a run's lines carry its fields."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

FIELDS = ("run", "hook", "button", "table", "object")

Clean = Callable[[str], str]
"""Blanks what must not be read, as Redactor.clean does."""


def as_it_is(text: str) -> str:
    """Return the text: nothing in it is secret."""
    return text


class TextFormatter(logging.Formatter):
    """`time level message [field=value ...]`.

    Args:
        clean: blanks secrets in the whole of what is printed, tracebacks included.
    """

    def __init__(self, clean: Clean = as_it_is) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        """Format one line."""
        line = super().format(record)
        fields = " ".join(f"{name}={getattr(record, name)!s}" for name in FIELDS if hasattr(record, name))
        if fields:
            first, newline, rest = line.partition("\n")
            line = f"{first} [{fields}]{newline}{rest}"
        return self._clean(line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Args:
        clean: blanks secrets in the values, before they become JSON, so that JSON it stays.
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
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: self._cleaned(value) for name, value in line.items()}, ensure_ascii=False)

    def _cleaned(self, value: Any) -> Any:
        return value if value is None or isinstance(value, bool | int | float) else self._clean(str(value))


class _Handler(logging.StreamHandler[TextIO]):
    """Says where a line that cannot be formatted was logged, and why; logging's own report prints its values."""

    def __init__(self, clean: Clean) -> None:
        super().__init__(sys.stderr)
        self._clean = clean

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        """Report a line that could not be written."""
        problem = traceback.format_exc()
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(self._clean(f"a log line ({record.pathname}, line {record.lineno}) is lost: {problem}"))


def configure_logging(level: str, log_format: str, clean: Clean = as_it_is) -> None:
    """Log to standard error.

    Args:
        level: debug, info, warning or error.
        log_format: text or json.
        clean: blanks secrets in everything that is printed.
    """
    handler = _Handler(clean)
    handler.setFormatter(JsonFormatter(clean) if log_format == "json" else TextFormatter(clean))
    # A level of the handler, not of the loggers: a run's log keeps lines that this one leaves out.
    handler.setLevel(level.upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("rowhooks").setLevel(level.upper())
