-- Who holds what an administrator's command waits for.

-- name: holder
-- What a session waits for, and the oldest transaction of those that hold it.
select
  case
    when l.locktype = 'relation' then concat_ws('.', quote_ident(n.nspname), quote_ident(c.relname))
    else 'what another transaction has changed'
  end as waited_for,
  b.pid,
  coalesce(a.usename, 'unknown') as login,
  coalesce(nullif(a.application_name, ''), 'unknown') as application,
  date_trunc('second', clock_timestamp() - a.xact_start)::text as age
from pg_locks as l
cross join lateral unnest(pg_blocking_pids(l.pid)) as b (pid)
left join pg_stat_activity as a on a.pid = b.pid
left join pg_class as c on c.oid = l.relation
left join pg_namespace as n on n.oid = c.relnamespace
where l.pid = %(pid)s and not l.granted
order by a.xact_start
limit 1;
