"""Leadership: what the daemon that holds the leader's lock finds, writes down and looks after."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.run_keys import Keys
from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.leadership.lock import LEADER_LOCK

LONG_STATEMENT = 24 * 3600.0
"""Seconds that a statement which goes through the whole log may take."""
# The leader makes a round trip now and then; one that has stopped, or sits on a host that has, does not. Its other
# connections are found by their name: they may hold locks, also on users' rows.
_SILENT = f"""
with leader as (
  select a.pid, a.usesysid
  from pg_locks as l
  join pg_stat_activity as a on a.pid = l.pid
  where {LEADER_LOCK}
    and a.state like 'idle%' and a.state_change < clock_timestamp() - $1::interval
)
select f.leader, array(
  select a.pid from leader as l
  join pg_stat_activity as a on a.usesysid = l.usesysid and a.pid <> pg_backend_pid()
  where a.pid = l.pid or (a.datname = current_database() and a.application_name = 'rowhooks ' || f.leader)
)
from rowhooks.feed as f
where exists (select from leader)
"""  # noqa: S608  (a constant)
_END = "select pg_terminate_backend(p.pid) from unnest($1::integer[]) as p (pid)"

_TAKE_OVER = """
update rowhooks.feed as f
set
  leader_epoch = $1, leader = $2, leader_since = now(), waiting_limit = $3,
  old_keys_until = coalesce(f.old_keys_until, (select s.last_value from rowhooks.object_change_id_seq as s))
returning
  f.snapshot::text, f.target::text, f.after_id, f.floor_id, f.newest_id,
  f.system_identifier = (pg_control_system()).system_identifier,
  f.database_oid = (select d.oid from pg_database as d where d.datname = current_database()),
  f.history, f.old_keys_until, (select i.id from rowhooks.installation as i)
"""

_WRITE_DOWN_LOGIN = "update rowhooks.feed set rows_login = $1, rows_by_policy = $2"

# A statement of its own: taking over waits for what the former leader is recording, and would not see it.
_LAST_RECORDED = """
select max(r.object_change_id) from rowhooks.job_result as r where r.trigger = 'change' and r.original_id is null
"""

_ON_RECORD = """
select r.object_change_id, r.job_hook_id from rowhooks.job_result as r
where r.object_change_id = any ($1::bigint[]) and r.trigger = 'change' and r.original_id is null
"""


@dataclass(frozen=True)
class Leadership:
    """What a new leader finds.

    Args:
        keys: derives the keys of runs.
        position: where the feed stands.
        same_cluster: False after a restore into another cluster, where the position means nothing.
        same_database: False also in a copy of the database, whose runs need keys of their own.
        last_recorded: changes up to this id may have runs on record already; 0 for none.
    """

    keys: Keys
    position: Position
    same_cluster: bool
    same_database: bool
    last_recorded: int


async def depose(connection: asyncpg.Connection[Any], silence: float) -> str | None:
    """End the connections of a leader that has not been heard of for so long (seconds).

    It must use the same role as this connection, otherwise PostgreSQL does not show when it was last heard of.

    Returns:
        Its name; None where there is nothing to do.
    """
    with translated():
        row = await connection.fetchrow(_SILENT, timedelta(seconds=silence))
        if row is None:
            return None
        await connection.fetch(_END, row[1])
        return str(row[0])


async def take_over(
    connection: asyncpg.Connection[Any], leader_epoch: uuid.UUID, name: str, waiting_limit: int
) -> Leadership:
    """Write oneself down as the leader and read the position; to be called with the lock held.

    Args:
        connection: the feed's.
        leader_epoch: the new leadership.
        name: of the daemon.
        waiting_limit: how many runs may wait for a job that this leader does not have; presses go by it too.
    """
    with translated():
        row = await connection.fetchrow(_TAKE_OVER, leader_epoch, name, waiting_limit)
        last_recorded = await connection.fetchval(_LAST_RECORDED)
    assert row is not None, "rowhooks.feed is empty"
    snapshot, target, after_id, floor_id, newest_id, same_cluster, same_oid, history, old_until, installation = row
    position = Position(
        Snapshot.parse(snapshot), None if target is None else Snapshot.parse(target), after_id, floor_id, newest_id
    )
    keys = Keys(history, installation, old_until)
    return Leadership(keys, position, same_cluster, same_cluster and same_oid, last_recorded or 0)


async def write_down_login(connection: asyncpg.Connection[Any], login: str, *, by_policy: bool) -> None:
    """Write down whose privileges count: doctor names what that login lacks.

    Args:
        connection: the leader's.
        login: it loads rows and calls receivers.
        by_policy: it lets policies of row security decide which rows there are.
    """
    with translated():
        await connection.execute(_WRITE_DOWN_LOGIN, login, by_policy)


async def runs_on_record(connection: asyncpg.Connection[Any], change_ids: list[int]) -> set[tuple[int, int]]:
    """Return change id and hook id of the runs of these changes that are on record, in any status."""
    with translated():
        return {(row[0], row[1]) for row in await connection.fetch(_ON_RECORD, change_ids)}


async def call_oneself(connection: asyncpg.Connection[Any], name: str) -> None:
    """Show in pg_stat_activity what this connection is for, to everybody."""
    with translated():
        await connection.execute("select set_config('application_name', $1, false)", name)
    # Where the connection sits in a transaction, the last statement with parameters keeps its snapshot until the next.
    await probe(connection, None)


# What the daemons that have ended have left is taken away meanwhile.
_ANNOUNCE = """
with ended as (
  delete from rowhooks.daemon as d
  where d.backend_pid <> $1 and not exists (select from pg_stat_activity as a where a.pid = d.backend_pid)
)
insert into rowhooks.daemon (backend_pid, name, receivers) values ($1, $2, $3::text[])
on conflict (backend_pid) do update set
  name = excluded.name, receivers = excluded.receivers, announced_at = excluded.announced_at
"""


async def backend_of(connection: asyncpg.Connection[Any]) -> int:
    """Return the id of the server process that a connection has."""
    with translated():
        return int(await connection.fetchval("select pg_backend_pid()"))


async def announce(connection: asyncpg.Connection[Any], backend: int, name: str, receivers: Sequence[str]) -> None:
    """Write down which receivers a daemon has that stands by.

    Args:
        connection: in no transaction.
        backend: the server process of the connection on which it waits for the lead.
        name: of the daemon.
        receivers: class paths.
    """
    with translated():
        await connection.execute(_ANNOUNCE, backend, name, list(receivers))


async def end_when_idle(connection: asyncpg.Connection[Any], patience: float) -> None:
    """Let the server end this session when its transaction has nothing to do for so long (seconds).

    The position's row is locked while results are recorded; a process that has been stopped must not keep it.
    """
    with translated():
        await connection.execute(
            "select set_config('idle_in_transaction_session_timeout', $1, false)", f"{patience * 1000:.0f}"
        )


async def probe(connection: asyncpg.Connection[Any], patience: float | None) -> None:
    """Make a round trip on a connection: a peer that died silently is noticed.

    Raises:
        ConnectionFailed: no answer within `patience` seconds.
    """
    with translated():
        # Not fetchval(), whose portal would keep a snapshot where the connection sits in a transaction.
        await connection.execute("select 1", timeout=patience)


async def extend_log(connection: asyncpg.Connection[Any]) -> None:
    """Make the log's partitions ahead."""
    with translated():
        await connection.execute("select rowhooks.extend_object_change()")


LENT_TO_ANOTHER = """\
array(select distinct a.grantee from pg_catalog.aclexplode(p.proacl) as a where a.grantee <> p.proowner)
  <> pg_catalog.array_remove(array[c.relowner], p.proowner)"""
"""Whether a capture function, `p`, is lent to others than the owner of its table, `c`; see rowhooks.build_capture."""

# A capture function knows its table by its oid, which is another one after a restore; and it is lent to the table's
# owner, who may be another one where no event trigger has seen it.
_REFRESH_MOVED = f"""
select rowhooks.refresh_tables() where exists (
  select from rowhooks.tracked_table as t
  join pg_catalog.pg_proc as p
    on p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname = pg_catalog.concat('capture_', t.id)
  where t.untracked_at is null
    and (
      pg_catalog.strpos(p.prosrc, pg_catalog.concat(' ', t.relation::pg_catalog.oid, '::pg_catalog.oid')) = 0
      or exists (select from pg_catalog.pg_class as c where c.oid = t.relation and {LENT_TO_ANOTHER})
    )
)
"""  # noqa: S608  (a constant)


async def refresh_moved_tables(connection: asyncpg.Connection[Any]) -> None:
    """Make the capture functions anew that have a former oid, after a restore, or are lent to a former owner."""
    with translated():
        await connection.execute(_REFRESH_MOVED)


async def refresh_tables(connection: asyncpg.Connection[Any]) -> None:
    """Bring the tracked tables' names and keys, and the functions made from them, up to date after DDL."""
    with translated():
        await connection.execute("select rowhooks.refresh_tables()")


async def prune_results(connection: asyncpg.Connection[Any], older_than: timedelta, batch: int) -> int:
    """Delete successful and revoked results of that age, `batch` in one transaction; return how many."""
    count, after_id = 0, 0
    with translated():
        while after_id is not None:
            deleted, after_id = await connection.fetchrow(
                "select p.deleted, p.last_id from rowhooks.prune_results($1, $2, $3) as p", older_than, batch, after_id
            )
            count += deleted
    return count


async def prune_log(connection: asyncpg.Connection[Any], older_than: timedelta, batch: int) -> tuple[int, int]:
    """Drop what is history and older, by whole partitions where that can be, else row by row.

    Returns:
        How many partitions were dropped, and how many changes were deleted singly.
    """
    dropped = deleted = 0
    with translated():
        before = await connection.fetchval("select now() - $1::interval", older_than)
        for (name,) in await connection.fetch("select p.partition from rowhooks.prunable_partitions($1) as p", before):
            # One whose lock is not to be had at once is for the next time.
            dropped += await connection.fetchval("select rowhooks.drop_partition($1, $2)", name, before)
        after_id: int | None = 0
        while after_id is not None:
            count, after_id = await connection.fetchrow(
                "select p.deleted, p.last_id from rowhooks.prune_changes($1, $2, $3) as p", before, batch, after_id
            )
            deleted += count
    return dropped, deleted


async def empty_default_partition(connection: asyncpg.Connection[Any]) -> int:
    """Move what fell into the log's default partition to where it belongs; return how many changes that were."""
    with translated():
        return int(await connection.fetchval("select rowhooks.empty_default_partition()"))


# A run that a change of key follows may be in memory alone when that is noted, for some moments.
_FORGET_NEW_KEYS = """
delete from rowhooks.key_change as k
where k.created_at < clock_timestamp() - interval '10 minutes' and not exists (
  select from rowhooks.job_result as r where r.status in ('PENDING', 'STARTED', 'RETRY') and r.id < k.id
)
"""


async def forget_new_keys(connection: asyncpg.Connection[Any]) -> None:
    """Delete what was noted of rows with another key once all runs from before it have ended."""
    with translated():
        await connection.execute(_FORGET_NEW_KEYS)


async def resume_after_restore(connection: asyncpg.Connection[Any]) -> int:
    """Find the feed's place in a log restored from another cluster; return how many changes wait."""
    with translated():
        # Three transactions: what is written after the anchor has ids above the newest seen before it.
        newest_id = await connection.fetchval("select coalesce(max(c.id), 0) from rowhooks.object_change as c")
        await connection.execute("select pg_current_xact_id()")
        return int(
            await connection.fetchval("select rowhooks.resume_after_restore($1)", newest_id, timeout=LONG_STATEMENT)
        )


async def begin_history(connection: asyncpg.Connection[Any]) -> None:
    """Let runs have keys of their own from now on, where the log is a copy of another database's."""
    with translated():
        await connection.execute("select rowhooks.begin_history()")


async def reserve_result_ids(connection: asyncpg.Connection[Any], count: int) -> list[int]:
    """Return ids for that many results: a run knows its id before it is on record."""
    with translated():
        rows = await connection.fetch("select nextval('rowhooks.job_result_id_seq') from generate_series(1, $1)", count)
    return [row[0] for row in rows]
