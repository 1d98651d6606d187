"""What has become of the presses of the asking role: every role may know that of its own."""

from __future__ import annotations

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


def show_press(conn: Connection, press_id: int) -> Row:
    """Return a press of the asking role.

    Raises:
        NotFound: it has made no press with this id, or its run was pruned.
    """
    return only(fetch(conn, _SQL["one"], press_id), "press", press_id, "you see your own presses alone")


def show_batch(conn: Connection, batch_id: int) -> Row:
    """Return a press of several rows by the asking role: `rows`, `finished`, and `states`: status to number of runs.

    Raises:
        NotFound: it has made no such press, or its runs were pruned.
    """
    [found] = fetch(conn, _SQL["batch"], batch_id)
    if not found["rows"]:
        raise NotFound(f"there is no batch {batch_id}", hint="you see your own presses alone")
    return found


def show_visible_batch(conn: Connection, batch_id: int) -> Row:
    """Return a press of several rows by anybody, for a role that may see runs: as `show_batch`.

    Raises:
        NotFound: there is none, or the role may see none of its rows.
    """
    found = fetch(conn, _SQL["visible_batch"], batch_id)
    return found[0] if found and found[0]["rows"] else show_batch(conn, batch_id)
