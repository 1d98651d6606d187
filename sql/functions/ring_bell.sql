-- Purpose: wake the leader up, if it sleeps. NOTIFY takes a lock that is global to the cluster and held through commit, so
--          it is executed only while the leader may be asleep: a sleeping leader holds the bell lock exclusively. A
--          transaction that gets a share of the lock, until it ends, need not ring: the leader is awake, or waits for this
--          transaction before it goes to sleep.
--          The server's notification queue fills up where a session LISTENs and stays in a transaction. Once it is full,
--          COMMIT fails. Beyond half of it nothing more is added: the daemon polls.
-- Returns: nothing
-- Reads:   rowhooks.installation
-- Every change of the configuration calls it. The capture functions do the same, see rowhooks.source_of_bell. The message
-- carries no data: the daemon reads the log.
create or replace function rowhooks.ring_bell() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if
    (select i.notify from rowhooks.installation as i)
    and not pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended('rowhooks.bell', 0))
    and pg_catalog.pg_notification_queue_usage() < 0.5
  then
    perform pg_catalog.pg_notify('rowhooks', '');
  end if;
end
$$;

-- Purpose: write what the capture functions do after their insert. It is inline, because a call would cost each written row.
-- Returns: statements of PL/pgSQL, as in rowhooks.ring_bell; none where the bell is no NOTIFY
-- Reads:   rowhooks.installation
create or replace function rowhooks.source_of_bell() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when i.notify then
      'if not pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended(''rowhooks.bell'', 0)) then '
      'if pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5 then '
      'perform pg_catalog.pg_notify(''rowhooks'', ''''); '
      'end if; '
      'end if;'
    else ''
  end
  from rowhooks.installation as i
$$;

-- Purpose: take the bell lock for the leader's session before it sleeps. This waits for every transaction that has not rung;
--          meanwhile all others ring.
-- Parameters: patience  how long it waits
-- Returns: true when it has the lock; false when a transaction has held it for that long, which is no error in the server's log
create or replace function rowhooks.arm_bell(patience interval) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- A lock_timeout of 0 would wait without end.
  perform pg_catalog.set_config(
    'lock_timeout', greatest((pg_catalog.date_part('epoch', patience) * 1000)::bigint, 1)::pg_catalog.text, true
  );
  perform pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('rowhooks.bell', 0));
  return true;
exception when lock_not_available then
  return false;
end
$$;
