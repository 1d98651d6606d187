-- Sessions that are not rowhooks' own and hold up what rowhooks shares with every login. Each is a sentence, and a way out.

-- name: holders_of_the_bell
-- Those who hold the bell's lock; the leader is ours.
select
  {holder},
  coalesce({is_daemon} and l.mode = 'ExclusiveLock', false) as is_ours
from {locks}
where {is_advisory_lock} = hashtextextended('rowhooks.bell', 0)
order by l.pid;

-- name: leader_lock
-- A stranger holds the leader's lock.
select
  format(
    '%s holds the leader''s lock, and is no member of role %s: no daemon leads before one has gone round it',
    h.holder, (select i.daemon_role from rowhooks.installation as i)
  ) as problem,
  {way_out}
from ({holders_of_the_leader_lock}) as h
where not h.is_ours and not h.is_gone;

-- name: bell
-- A stranger holds the bell's lock. A transaction releases it at its end, and holds it shared; a session that holds it
-- without a transaction is a stranger.
select
  format(
    '%s holds the bell''s lock: the leader cannot sleep, and everybody who writes may have to ring', h.holder
  ) as problem,
  {way_out}
from ({holders_of_the_bell}) as h
where not h.is_ours and not h.is_gone and (h.mode = 'ExclusiveLock' or h.virtualtransaction like '%/0');

-- name: long_transactions
-- Transactions that keep the leader awake.
select
  format(
    '%s has written to tracked tables and not ended since %s: the leader cannot sleep',
    h.holder, date_trunc('second', coalesce(h.xact_start, h.prepared))
  ) as problem,
  array['psql', '-c', h.ending]
from ({holders_of_the_bell}) as h
where not h.is_ours and h.mode = 'ShareLock' and h.virtualtransaction not like '%/0'
  and coalesce(h.xact_start, h.prepared) < clock_timestamp() - make_interval(secs => {LONG});

-- name: locked_tables
-- Those who keep a tracked table from being read. When one took the lock is not known: its transaction counts, if this
-- login may know when that began.
select
  format(
    '%s keeps %s locked%s: runs that need a row of it wait', h.holder, h.relation::regclass,
    ', in a transaction that has been open since ' || date_trunc('second', coalesce(h.xact_start, h.prepared))
  ) as problem,
  array['psql', '-c', h.ending]
from (
  select {holder} from {locks}
  where l.locktype = 'relation' and l.granted and l.mode = 'AccessExclusiveLock'
    and l.pid is distinct from pg_backend_pid()
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and l.relation in (select t.relation from rowhooks.tracked_table as t where t.untracked_at is null)
  order by l.pid
) as h
where not h.is_gone
  and coalesce(coalesce(h.xact_start, h.prepared) < clock_timestamp() - make_interval(secs => {LONG_LOCK}), true);

-- name: queue
-- The server's notification queue fills up. Nobody but a session itself is told on which channels it listens.
select
  format(
    'the server''s notification queue is %s %% full (when it is full, every COMMIT with a NOTIFY fails)%s',
    round(100 * u.usage::numeric), case
      when a.pid is not null then format(
        '; the oldest open transaction is that of %s (pid %s, since %s)',
        a.usename, a.pid, date_trunc('second', a.xact_start)
      )
    end
  ) as problem,
  'end the session that listens and sits in a transaction (the server''s log names it)'
    || case when a.pid is not null then ': ' else '' end as way_out,
  case when a.pid is not null then array['psql', '-c', format('select pg_terminate_backend(%s)', a.pid)] end as command
from pg_notification_queue_usage() as u (usage)
left join lateral (
  select
    o.pid,
    o.usename,
    o.xact_start
  from pg_stat_activity as o
  where o.backend_type = 'client backend' and o.pid <> pg_backend_pid() and o.xact_start is not null
  order by o.xact_start
  limit 1
) as a on true
where u.usage >= {QUEUE_IS_FILLING};

-- noqa: disable=PRS

-- name: way_out
-- How a lock is taken from a holder, and the holder is kept out.
array['psql', '-c', h.ending] as command,
'; and to keep it out: ' as text,
array['psql', '-c', format('alter role %I nologin', h.login)] as keeping_out;
