"""Census: what waits in the database, and how large the log is."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from rowhooks.domain.backlog import Backlog
from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.missing_jobs import MISSING_JOBS

MOST_COUNTED = 1_000_000
"""Changes that are counted; those who have fallen so far behind need not be told by how much further."""

# By the index on transaction_id: the log may be long, and almost all of it has been dealt with.
WAITING = """
  select c.time, c.id
  from rowhooks.feed as f
  join rowhooks.object_change as c on c.transaction_id >= pg_snapshot_xmax(f.snapshot)
  where f.target is null or c.id > f.after_id or not pg_visible_in_snapshot(c.transaction_id, f.target)
  union all
  select c.time, c.id
  from rowhooks.feed as f
  cross join lateral pg_snapshot_xip(f.snapshot) as x (xid)
  join rowhooks.object_change as c on c.transaction_id = x.xid
  where f.target is null or c.id > f.after_id or not pg_visible_in_snapshot(c.transaction_id, f.target)
"""
"""A query of the changes that have not been dealt with."""

_CENSUS = f"""
select
  w.backlog,
  w.lag,
  (select coalesce(max(c.id), 0) from rowhooks.object_change as c) as captured,
  (
    select coalesce(jsonb_object_agg(s.status, s.runs), '{{}}')::text
    from (
      select r.status, count(*) as runs from rowhooks.job_result as r
      where r.status in ('PENDING', 'STARTED', 'RETRY')
      group by r.status
    ) as s
  ) as unfinished,
  p.partitions,
  p.log_bytes,
  pg_notification_queue_usage() as notification_queue,
  (select coalesce(jsonb_object_agg(m.class_path, m.waiting), '{{}}')::text from ({MISSING_JOBS}) as m) as missing,
  (select coalesce(sum(m.changes), 0)::bigint from rowhooks.job_hook_missed as m) as missed
from (
  select count(*) as backlog, extract(epoch from clock_timestamp() - min(c.time))::float8 as lag
  from (select w.time from ({WAITING}) as w limit {MOST_COUNTED}) as c
) as w
cross join (
  select count(*) as partitions, coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint as log_bytes
  from pg_inherits as i
  where i.inhparent = 'rowhooks.object_change'::regclass
) as p
"""  # noqa: S608  (a constant)


async def count_backlog(connection: asyncpg.Connection[Any]) -> Backlog:
    """Count what waits, up to `MOST_COUNTED`; the time it takes grows with what waits, not with the history."""
    with translated():
        row = await connection.fetchrow(_CENSUS)
    return Backlog(
        backlog=row["backlog"],
        lag=max(0.0, row["lag"] or 0.0),
        captured=row["captured"],
        unfinished=json.loads(row["unfinished"]),
        log_bytes=row["log_bytes"],
        partitions=row["partitions"],
        notification_queue=row["notification_queue"],
        missing=json.loads(row["missing"]),
        missed=row["missed"],
    )
