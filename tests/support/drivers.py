"""Both drivers: let in alike, and refused alike."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.errors import ConnectionFailed
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.engines import async_engine, sync_engine
from rowhooks.postgres.connections.target import Target
from tests.support.server import PASSWORD

WHO = "select current_user::text, coalesce((select s.ssl from pg_stat_ssl as s where s.pid = pg_backend_pid()), false)"
OVER_TLS, IN_THE_CLEAR = True, False


async def let_in(target: Target) -> tuple[str, bool]:
    """Connect in each of our ways; return who one is then, and whether it is over TLS: the same for all."""
    found: set[Any] = set()
    with connection(target) as conn:
        found.add(conn.execute(WHO).fetchone())
    async with connected(target) as opened:
        found.add(tuple(await opened.fetchrow(WHO) or ()))
    engine = sync_engine(target, 1)
    with engine.connect() as one:
        found.add(tuple(one.execute(sqlalchemy.text(WHO)).one()))
    engine.dispose()
    other = async_engine(target, 1)
    async with other.connect() as two:
        found.add(tuple((await two.execute(sqlalchemy.text(WHO))).one()))
    await other.dispose()
    ((user, is_encrypted),) = found
    return user, is_encrypted


async def refused(target: Target, why: str) -> None:
    """See that neither driver is let in, and that the message does not have the password."""
    with pytest.raises(ConnectionFailed, match=why) as by_psycopg, connection(target):
        pass
    with pytest.raises(ConnectionFailed, match=why) as by_asyncpg:
        async with connected(target):
            pass
    for error in (by_psycopg, by_asyncpg):
        assert PASSWORD not in str(error.value)


class Witness(JobHookReceiver):
    """Writes each change into a table."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(sqlalchemy.text("insert into seen values (:id)"), {"id": change.id})
