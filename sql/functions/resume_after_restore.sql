-- Purpose: find the feed's place again in a log that was restored into another cluster, where its transaction ids
--          mean nothing. The ids and the stored snapshots come from the same cluster, so they still tell what had not
--          been dealt with; those changes are stamped with a transaction of this cluster, and are read next, in order.
--          What was written here since the restore has ids above every change the feed had seen.
-- Parameters: visible_id  the highest id that was visible before a transaction id was drawn that has ended by now: a
--                         transaction with a later id draws higher ids
-- Returns: how many changes wait to be dealt with
-- Writes:  rowhooks.object_change, rowhooks.feed, rowhooks.job, rowhooks.job_hook, rowhooks.job_result (key)
create or replace function rowhooks.resume_after_restore(visible_id bigint) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  stored rowhooks.feed;
  before_us pg_catalog.pg_snapshot;
  below_id bigint;
  waiting bigint;
begin
  if pg_catalog.pg_current_xact_id_if_assigned() is not null then
    raise exception 'rowhooks.resume_after_restore must be called in a transaction that has written nothing'
      using errcode = 'active_sql_transaction', hint = 'Commit or roll back, and call it again.';
  end if;
  -- Before the first write, so that this snapshot does not see our own transaction.
  before_us := pg_catalog.pg_current_snapshot();
  select f.* into strict stored from rowhooks.feed as f for update;
  if stored.system_identifier = (select c.system_identifier from pg_catalog.pg_control_system() as c) then
    return 0;
  end if;
  -- One statement again, so that what commits meanwhile is either judged here or left alone. What had been dealt with
  -- must not be taken for a transaction that this cluster has yet to run.
  update rowhooks.object_change as c
  set transaction_id = case when p.waits then pg_catalog.pg_current_xact_id() else '3' end
  from (
    select
      o.id,
      o.id > stored.newest_id
      or (
        not pg_catalog.pg_visible_in_snapshot(o.transaction_id, stored.snapshot)
        and (
          stored.target is null
          or o.id > stored.after_id
          or not pg_catalog.pg_visible_in_snapshot(o.transaction_id, stored.target)
        )
      ) as waits
    from rowhooks.object_change as o
    where o.transaction_id <> '3'
  ) as p
  where c.id = p.id and (p.waits or not pg_catalog.pg_visible_in_snapshot(c.transaction_id, before_us));
  select pg_catalog.count(*), least(pg_catalog.min(c.id) - 1, visible_id)
  into waiting, below_id
  from rowhooks.object_change as c
  where c.transaction_id = pg_catalog.pg_current_xact_id();
  -- Nor must it wait again after another restore, which goes by the ids above newest_id.
  update rowhooks.object_change as c
  set transaction_id = '3'
  where c.id > below_id and c.transaction_id <> '3' and pg_catalog.pg_visible_in_snapshot(c.transaction_id, before_us);
  -- They were enabled before all transactions of this cluster.
  update rowhooks.job set enabled_since = null where enabled_since is not null;
  update rowhooks.job_hook set enabled_since = null where enabled_since is not null;
  perform rowhooks.begin_history();
  update rowhooks.feed
  set
    snapshot = before_us, target = null, after_id = 0, floor_id = below_id, newest_id = below_id,
    system_identifier = (select c.system_identifier from pg_catalog.pg_control_system() as c);
  return waiting;
end
$$;
