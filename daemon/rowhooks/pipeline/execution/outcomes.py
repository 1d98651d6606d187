"""Outcomes: what is kept of a receiver's return value and of what it raised."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rowhooks.domain.change import made
from rowhooks.domain.row_data import without_row_data
from rowhooks.domain.run import FAILURE, SUCCESS, LogEntry, Outcome, Run, now

logger = logging.getLogger(__name__)

LONGEST_RESULT = 50_000_000
"""Characters of a return value that is kept; a longer one might not be recorded in time, or at all."""
LONGEST_MESSAGE = 1_000_000
"""Characters of an exception's message, and of its traceback."""
KEPT_OUT = "(kept out: has_sensitive_variables)"


def succeeded(run: Run, started_at: datetime, value: Any, *, entries: tuple[LogEntry, ...] = ()) -> Outcome:
    """Return the outcome of a receiver that returned; its value is kept where JSON can hold it."""
    if value is None:
        return made(Outcome, run=run, status=SUCCESS, started_at=started_at, finished_at=now(), entries=entries)
    try:
        result: str | None = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except Exception:  # a value's own methods may raise anything
        logger.info("the receiver's return value is not kept: JSON cannot hold it", extra=run.log_fields())
        result = None
    if result is not None and len(result) > LONGEST_RESULT:
        logger.warning(
            "the receiver's return value is not kept: it has more than %d characters", LONGEST_RESULT,
            extra=run.log_fields(),
        )  # fmt: skip
        result = None
    return Outcome(run, SUCCESS, started_at, now(), result, entries=entries)


def failed(
    run: Run,
    started_at: datetime,
    error: BaseException,
    *,
    entries: tuple[LogEntry, ...] = (),
    clean: Callable[[str], str] = str,
    sensitive: bool = False,
) -> Outcome:
    """Return the outcome of a receiver that raised.

    Args:
        run: what failed.
        started_at: when it began.
        error: what it raised.
        entries: the lines it logged.
        clean: blanks secrets in what is kept.
        sensitive: keep neither the message nor its place in the traceback.
    """
    return Outcome(
        run,
        FAILURE,
        started_at,
        now(),
        exception_type=f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        exception_message=KEPT_OUT if sensitive else _shortened(clean(without_row_data(_message(error), error))),
        traceback=_shortened(_frames(error) if sensitive else clean(without_row_data(_traceback(error), error))),
        entries=entries,
    )


def one_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type where it has none."""
    return (_message(error).strip() or type(error).__name__).splitlines()[0]


def _shortened(text: str) -> str:
    left_out = len(text) - LONGEST_MESSAGE
    return text if left_out <= 0 else f"{text[:LONGEST_MESSAGE]}... ({left_out} more characters)"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # an exception's own __str__ may fail
        return f"(its message cannot be shown: {type(problem).__name__})"


def _frames(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as problem:  # a SyntaxError with odd arguments cannot be formatted
        return f"{_frames(error)} (it cannot be shown: {type(problem).__name__})"
