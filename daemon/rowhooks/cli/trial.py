"""Tries the test of a new receiver before it is written; everything is rolled back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rowhooks.cli.scaffold import NewReceiver, TestRow
from rowhooks.domain.display import visible
from rowhooks.domain.errors import PermissionDenied, RowhooksError
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.outline import first_key, sample_rows, was_tried
from rowhooks.testing import Rehearsal

_COMPLETE = "Complete ROW so that PostgreSQL takes it."


def find_row(conn: Connection, new: NewReceiver, dsn: str) -> TestRow:
    """Return the row of a new receiver's test: one made of nothing, or, where PostgreSQL does not take it, one there.

    Args:
        conn: an open connection with our search_path.
        new: the receiver.
        dsn: the same database.
    """
    assert new.outline is not None, "the table was looked up"
    samples = sample_rows(conn, new.outline)
    conn.commit()
    notes = [f"No value is known for {', '.join(samples.unknown)}."] if samples.unknown else []
    reason = None if samples.unknown else _why_refused(new, dsn, samples.others, samples.row)
    if reason is None and not notes:
        return TestRow(samples)
    if reason is not None and not was_tried(reason):
        how = ["Run it as the owner of the table."] if isinstance(reason, PermissionDenied) else []
        return TestRow(samples, [f"This was not tried: {_in_comment(reason)}.", *how])
    if reason is not None:
        notes = [f"PostgreSQL did not take ROW: {_in_comment(reason)}."]
    try:
        key = first_key(conn, new.outline)
    except RowhooksError:
        # The note says what the matter is with the row; that this login cannot read others is not about the test.
        return TestRow(samples, [*notes, _COMPLETE])
    if key is None or (new.change() is None and not new.is_button) or _why_refused(new, dsn, (), key):
        return TestRow(samples, [*notes, _COMPLETE])
    return TestRow(None)


def _why_refused(
    new: NewReceiver, dsn: str, others: Sequence[tuple[str, dict[str, Any]]], row: Mapping[str, Any]
) -> RowhooksError | None:
    """Return the error that the test ends with, None if it succeeds."""
    namespace: dict[str, Any] = {"__name__": new.module}
    exec(compile(new.source(), str(new.file), "exec"), namespace)  # noqa: S102  (our own template)
    receiver, change = namespace[new.name], new.change()
    outline = new.outline
    assert outline is not None, "the table was looked up"
    identity: Any = {"key": None, "full": "full"}.get(outline.identity, list(outline.key))
    try:
        with Rehearsal(dsn) as rehearsal:
            for table, other in others:
                rehearsal.put(table, other)
            if new.is_button:
                run = rehearsal.press_button(receiver, table=new.table, row=row, watch=[])
            else:
                before, after = (row, change) if change is not None else (None, row)
                run = rehearsal.run_hook(
                    receiver, table=new.table, before=before, after=after, identity=identity, watch=[]
                )
    except RowhooksError as error:
        return error
    return None if run.exception is None else RowhooksError(run.exception.message)


def _in_comment(error: RowhooksError) -> str:
    return visible(" ".join(error.message.split()))
