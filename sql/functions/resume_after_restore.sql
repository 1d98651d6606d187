-- Purpose: find the feed's place again in a log that was restored into another cluster, where its transaction ids
--          mean nothing. The ids and the stored snapshots come from the same cluster, so they still tell what had not
--          been dealt with; those changes are stamped with a transaction of this cluster, and are read next, in order.
-- Returns: how many changes wait to be dealt with
-- Writes:  rowhooks.object_change, rowhooks.feed, rowhooks.job, rowhooks.job_hook
create or replace function rowhooks.resume_after_restore() returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
  stored rowhooks.feed;
  before_us constant pg_catalog.pg_snapshot := pg_catalog.pg_current_snapshot();
  waiting bigint;
begin
  select f.* into strict stored from rowhooks.feed as f for update;
  if stored.system_identifier = (select c.system_identifier from pg_catalog.pg_control_system() as c) then
    return 0;
  end if;
  update rowhooks.object_change as c
  set transaction_id = pg_catalog.pg_current_xact_id()
  where not pg_catalog.pg_visible_in_snapshot(c.transaction_id, stored.snapshot)
    and (
      stored.target is null
      or c.id > stored.after_id
      or not pg_catalog.pg_visible_in_snapshot(c.transaction_id, stored.target)
    );
  get diagnostics waiting = row_count;
  -- What had been dealt with must not be taken for a transaction that this cluster has yet to run.
  update rowhooks.object_change as c
  set transaction_id = '3'
  where c.transaction_id > pg_catalog.pg_current_xact_id();
  -- Nothing of this cluster had begun when these were enabled.
  update rowhooks.job set enabled_since = null where enabled_since is not null;
  update rowhooks.job_hook set enabled_since = null where enabled_since is not null;
  update rowhooks.feed
  set
    snapshot = before_us, target = null, after_id = 0, highest_id = 0,
    system_identifier = (select c.system_identifier from pg_catalog.pg_control_system() as c);
  return waiting;
end
$$;
