"""What is not known of a run's writes, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowhooks.domain.display import visible
from rowhooks.domain.errors import JobFailed
from rowhooks.domain.run import FAILURE

FAILED_BY_ITSELF = f"{JobFailed.__module__}.{JobFailed.__qualname__}"
"""The type that a run has on record whose receiver called fail()."""
MOST_TABLES = 20
"""How many tables are named."""


def notes_on_writes(run: dict[str, Any], written: Sequence[dict[str, Any]]) -> list[str]:
    """Return what a reader of a run's changes must know: which of its writes are not among them.

    Args:
        run: the run, with `audited_tables`: where a hook receiver's writes are recorded; None for a press.
        written: the changes that were found.
    """
    notes = []
    if run["finished_at"] is None:
        notes.append("What it writes can be seen when its transaction has committed.")
    elif run["status"] == FAILURE:
        notes.append(
            "It called fail() and raised nothing, so what it wrote was committed."
            if run["exception_type"] == FAILED_BY_ITSELF
            else "What it wrote before it failed was rolled back. on_failure and after_return may have written."
        )
    if run["attempt"] > 1:
        notes.append("What on_retry or on_failure wrote after an earlier attempt is not shown here.")
    if any(not change["is_own"] for change in written):
        notes.append("It was called together with other runs of its hook. This is what the whole batch has written.")
    tables = run["audited_tables"]
    if tables is None:
        notes.append("Only what is written to tracked tables is recorded.")
    elif not tables:
        notes.append("What hook receivers write is not recorded, because no table is tracked with --audit-receivers.")
    else:
        named = ", ".join(visible(table, 80) for table in tables[:MOST_TABLES])
        more = " and others" if len(tables) > MOST_TABLES else ""
        notes.append(f"What hook receivers write is recorded in these tables alone: {named}{more}.")
    return notes
