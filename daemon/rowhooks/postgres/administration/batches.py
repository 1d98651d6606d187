"""Presses of several rows, and what has become of their runs."""

from __future__ import annotations

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import Connection, Row, fetch


def find_batch(conn: Connection, batch_id: int) -> Row | None:
    """Return a press of several rows, with the states of its runs; None where there is none with this id."""
    found = fetch(conn, "select b.* from rowhooks.batches as b where b.id = $1", batch_id)
    return found[0] if found else None


def batch_state(conn: Connection, batch_id: int) -> Row:
    """Return the same.

    Raises:
        NotFound: there is no such press, or its runs were pruned.
    """
    batch = find_batch(conn, batch_id)
    if batch is None:
        raise NotFound(f"there is no batch {batch_id}", hint="see: rowhooks results list")
    return batch
