-- What waits in the database.

-- name: backlog
-- What waits, and how large the log is; see Backlog.
select
  w.backlog,
  w.lag,
  (select coalesce(max(c.id), 0) from rowhooks.object_change as c) as captured,
  (
    select coalesce(jsonb_object_agg(s.status, s.runs), '{}')::text
    from (
      select
r.status,
count(*) as runs
from rowhooks.job_result as r
      where r.status in ('PENDING', 'STARTED', 'RETRY')
      group by r.status
    ) as s
  ) as unfinished,
  p.partitions,
  p.log_bytes,
  pg_notification_queue_usage() as notification_queue,
  (select coalesce(jsonb_object_agg(m.class_path, m.waiting), '{}')::text from ({missing_jobs}) as m) as missing,
  (select coalesce(sum(m.changes), 0)::bigint from rowhooks.job_hook_missed as m) as missed,
  (select coalesce(jsonb_object_agg(n.queue, n.workers), '{}')::text from ({live_by_queue}) as n) as workers,
  (
    select coalesce(jsonb_object_agg(g.queue, g.groups), '{}')::text
    from (
      select d.queue, count(*) as groups
      from rowhooks.dispatch as d
      where d.done_at is null
      group by d.queue
    ) as g
  ) as groups
from (
  select
count(*) as backlog,
extract(epoch from clock_timestamp() - min(c.time))::float8 as lag
  from (select w.time from ({waiting}) as w limit {MOST_COUNTED}) as c
) as w
cross join (
  select
count(*) as partitions,
coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint as log_bytes
  from pg_inherits as i
  where i.inhparent = 'rowhooks.object_change'::regclass
) as p;

-- name: waiting
-- The changes that have not been dealt with, by the index on transaction_id: the log may be long, and almost all of it
-- has been dealt with.
select
c.time,
c.id
from rowhooks.feed as f
join rowhooks.object_change as c on c.transaction_id >= pg_snapshot_xmax(f.snapshot)
where f.target is null or c.id > f.after_id or not pg_visible_in_snapshot(c.transaction_id, f.target)
union all
select
c.time,
c.id
from rowhooks.feed as f
cross join lateral pg_snapshot_xip(f.snapshot) as x (xid)
join rowhooks.object_change as c on c.transaction_id = x.xid
where f.target is null or c.id > f.after_id or not pg_visible_in_snapshot(c.transaction_id, f.target);
