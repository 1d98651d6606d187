-- The leader's lock, and those who hold it or another lock that rowhooks shares with every login.

-- name: holders_of_the_leader_lock
-- Those who hold the leader's lock; see `holder`.
select
  {holder},
  coalesce({is_daemon}, false) as is_ours
from {locks}
where {is_advisory_lock} = (select f.leader_key from rowhooks.feed as f)
order by l.pid;

-- name: look
-- The key of the lock that is in force.
select f.leader_key from rowhooks.feed as f;

-- name: look_again
-- Whether a key is still in force. Not while a daemon is writing down another key, which it cannot do either as long as
-- this transaction lasts.
select f.leader_key = $1 from rowhooks.feed as f for share nowait;

-- name: reserve
-- The same, to write down another key.
select f.leader_key = $1 from rowhooks.feed as f for update;

-- noqa: disable=PRS

-- name: is_daemon
-- Whether the session `a` of pg_stat_activity belongs to a login that a daemon may have; superusers do.
pg_has_role(a.usesysid, (select i.daemon_role from rowhooks.installation as i), 'member');

-- name: is_leader_lock
-- Whether a row `l` of pg_locks is the leader's lock in the hands of a daemon.
{is_advisory_lock} = (select f.leader_key from rowhooks.feed as f)
  and exists (select from pg_stat_activity as a where a.pid = l.pid and {is_daemon});

-- name: is_advisory_lock
-- Whether a row `l` of pg_locks is an advisory lock of this database with the key that follows.
l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select d.oid from pg_database as d where d.datname = current_database())
  and (l.classid::bigint << 32) | l.objid::bigint;

-- name: locks
-- Locks `l` with the session `a`, or the prepared transaction `p`, that holds each. A prepared transaction holds its locks
-- without a session, also through a restart.
pg_locks as l
left join pg_stat_activity as a on a.pid = l.pid
left join pg_locks as x
  on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction
left join pg_prepared_xacts as p on p.transaction = x.transactionid;

-- name: holder
-- What is said of one that holds a lock: is_gone where it has ended between the two views, its name, and the statement that
-- takes the lock from it.
a.pid is null and l.pid is not null as is_gone,
case
  when l.pid is null then format('the prepared transaction %L of login %s', p.gid, p.owner)
  else format('login %s (pid %s, application %s)', coalesce(a.usename, 'of an unknown name'), l.pid, coalesce(
    quote_nullable(nullif(left(a.application_name, 64), '')), 'without a name'
  ))
end as holder,
case
  when l.pid is null then format('rollback prepared %L', p.gid)
  else format('select pg_terminate_backend(%s)', l.pid)
end as ending,
coalesce(a.usename, p.owner) as login,
l.pid, l.mode, l.relation, l.virtualtransaction, a.xact_start, p.prepared;
