-- Purpose: wake the leader up, if it sleeps. NOTIFY takes a lock that is global to the cluster and held through commit, so
--          it is executed only when somebody may be waiting for it: a leader that sleeps holds the bell lock exclusively.
--          Who gets it shared, until his transaction ends, need not ring: the leader is awake, or waits for this
--          transaction before it goes to sleep.
--          The server's queue of messages fills up where somebody LISTENs and stays in a transaction; once it is full, COMMIT
--          fails. Beyond half of it nothing more is added: the daemon polls.
-- Returns: nothing
-- Reads:   rowhooks.installation
-- Called by every change of configuration; the capture functions do the same, see rowhooks.source_of_bell. The message
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

-- Purpose: what the capture functions do after their insert. Inline, because a call would cost each row that is written.
-- Returns: statements of PL/pgSQL, as in rowhooks.ring_bell; none where the bell is silent
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

-- Purpose: let the leader go to sleep: take the bell lock for its session. It waits for every transaction that has not
--          rung, and meanwhile all others ring.
-- Parameters: patience  how long it waits
-- Returns: true when it has the lock; false when a transaction has held it for so long, which is no error in the log
create or replace function rowhooks.arm_bell(patience interval) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- A lock_timeout of 0 would wait for ever.
  perform pg_catalog.set_config(
    'lock_timeout', greatest((pg_catalog.date_part('epoch', patience) * 1000)::bigint, 1)::pg_catalog.text, true
  );
  perform pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('rowhooks.bell', 0));
  return true;
exception when lock_not_available then
  return false;
end
$$;
