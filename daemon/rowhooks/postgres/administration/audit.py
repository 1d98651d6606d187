"""Who did what: the acts of people, as they were written down."""

from __future__ import annotations

from datetime import datetime

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


def list_acts(
    conn: Connection,
    *,
    actor: str | None = None,
    act: str | None = None,
    object_: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> list[Row]:
    """Return the newest acts first.

    Args:
        conn: a connection of an admin's role.
        actor: only what this role or login did.
        act: only this act, for example `retry`.
        object_: only what was done with this run, job, hook, button or token.
        since: only from this time on.
        before: only what is older than the act with this id.
        limit: the largest number of acts.
    """
    return fetch(conn, _SQL["list"], actor, act, object_, since, before, limit)
