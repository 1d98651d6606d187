"""Changes that cannot be read as others are: what is read of them in place of that, for any driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowhooks.domain import exact
from rowhooks.postgres.log_rows import LARGE, PART_SIZE
from rowhooks.postgres.statements import Statements

MOST_NOTED = 20
"""Unreadable changes that rowhooks.feed names at most, the newest first."""
LONGEST_REASON = 300

ROWS = ("prechange", "postchange")
TEXTS = ("object_id", "object_repr", "user_name", "request_id", "change_context", "capture_error", *ROWS)
_EXACT = ("object_id", "user_name")
"""The texts that mean something else when they are not exactly what they were."""


def _statements(column: str) -> Statements:
    constants = {"column": column, "LARGE": LARGE, "PART_SIZE": PART_SIZE, "LAST_NOTED": MOST_NOTED - 1}
    return Statements(__file__, constants)


SQL = _statements(TEXTS[0])
FIXED = SQL["fixed"]
"""The statement that reads what every change has, by its id."""
TEXT_OF = {column: _statements(column)["text_of_column"] for column in TEXTS}
"""The statements that read one of TEXTS as bytes, and whether it has a value, by the change's id."""


def reason_of(error: BaseException) -> str:
    """Return an error as one short line."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return said if len(said) <= LONGEST_REASON else f"{said[:LONGEST_REASON]}..."


Text = tuple[bytes | None, bool]
"""A text as bytes, None where it cannot be read or is too large; and whether there is one."""
REPLACED = "bytes that are no text are replaced"


def row_of_texts(fixed: Sequence[Any], texts: dict[str, Text], reason: str) -> list[Any]:
    """Return what begins like COLUMNS, of what could be read by FIXED and `text_of`.

    The rows are there where all that is wrong with them is that they hold bytes that are no text.
    """
    known = {name: _decoded(text, exactly=name in _EXACT) for name, (text, _) in texts.items()}
    is_whole = any(text is not None and _decoded(text, exactly=True) is None for text, _ in texts.values()) and all(
        not there_is or _is_json(known[name]) for name, (_, there_is) in texts.items() if name in ROWS
    )
    rows = [known[name] if is_whole else None for name in ROWS]
    error = f"{REPLACED}: {reason}" if is_whole else f"the change cannot be read: {reason}"
    if known["object_id"] is None:
        error += "; nor can its key"
    if known["capture_error"]:
        error += f"; {known['capture_error']}"
    return [
        *fixed[:5], known["object_id"], known["object_repr"], *rows, _decoded(fixed[5], exactly=False),
        known["user_name"], known["request_id"], known["change_context"], error,
    ]  # fmt: skip


def _is_json(text: str | None) -> bool:
    if text is None:
        return False
    try:
        exact.read_exactly(text)
    except ValueError:
        return False
    return True


def _decoded(text: bytes | None, *, exactly: bool) -> str | None:
    if text is None:
        return None
    try:
        return text.decode("utf-8", "strict" if exactly else "replace")
    except UnicodeDecodeError:
        return None
