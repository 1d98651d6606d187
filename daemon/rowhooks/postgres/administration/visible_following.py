"""The log as a role may see it, followed: each change that it may see once, when it is committed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from time import sleep

from rowhooks.domain.change import ObjectChange
from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.administration.reading import read_changes
from rowhooks.postgres.statements import Statements

POLL_INTERVAL = 0.25
"""Seconds between two reads. The bell does not help here: it rings only while the leader sleeps."""
LONGEST_OPEN = timedelta(hours=1)
"""A transaction that was open for longer when the following began may have changes that are not seen."""
BATCH = 100
"""The number of changes that are read together."""
_SQL = Statements(__file__)


def follow_visible(conn: Connection) -> Iterator[ObjectChange]:
    """Yield what the connected role may see of the changes from now on, without an end.

    Between two looks there is no transaction. Each look takes what is visible to its snapshot and was not to the one
    before, as the feed does.
    """
    [row] = fetch(conn, _SQL["begin"], LONGEST_OPEN)
    conn.commit()
    seen, floor = row["seen"], row["floor"]
    # The newest id of a look, and the transaction that was the next one then: when all before it have ended, no change
    # with a lower id comes any more.
    bound: tuple[int, int] | None = None
    while True:
        [look] = fetch(conn, _SQL["look"], floor, seen)
        conn.commit()
        for first in range(0, len(look["ids"]), BATCH):
            yield from read_changes(conn, look["ids"][first : first + BATCH])
            conn.commit()
        if bound is None and look["newest_id"] is not None:
            bound = look["newest_id"], look["next"]
        elif bound is not None and look["oldest"] > bound[1]:
            floor, bound = max(floor, bound[0]), None
        seen = look["seen"]
        sleep(POLL_INTERVAL)
