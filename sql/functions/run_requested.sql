-- Purpose: wake the leader up for a run that is requested by hand: a press, a retry, a replay.
-- Returns: null (AFTER INSERT row-level trigger function of rowhooks.job_result, where leader_epoch is null: the leader's own
--          inserts, which carry its leader_epoch, are passed over by the trigger's WHEN and call nothing)
-- It is SECURITY DEFINER, so that a role that may ask for a run needs no right on the bell. PostgreSQL sends one message,
-- however many rows a transaction inserts.
create or replace function rowhooks.run_requested() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhooks.ring_bell();
  return null;
end
$$;

-- Purpose: let a login of the receivers' own record the outcome of a run of the present leadership, and nothing else. It may
--          not ask for a run, leave one to later leaders, or change a run that has ended or is another leadership's.
-- Returns: null (AFTER row-level trigger function of rowhooks.job_result, for roles that have rights on its columns and not on
--          the table: the trigger's WHEN passes over the daemon's role and the owner)
-- Reads:   rowhooks.feed (leader_epoch)
-- It runs with the rights of the writing role.
create or replace function rowhooks.check_recorder() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  is_allowed boolean :=
    new.status in ('STARTED', 'RETRY', 'SUCCESS', 'FAILURE')
    and exists (select from rowhooks.feed as f where f.leader_epoch = new.leader_epoch);
begin
  if tg_op = 'INSERT' then
    -- A run that is requested by hand has its row already.
    is_allowed := is_allowed and new.trigger = 'change' and new.original_id is null;
  else
    is_allowed := is_allowed and new.leader_epoch = old.leader_epoch and old.finished_at is null;
  end if;
  if is_allowed is not true then
    raise exception 'role % may put on record what came of a run of the present leader, and nothing else', current_user
      using
        errcode = 'insufficient_privilege',
        hint = 'Press a button by rowhooks.press; run one again as a member of the daemon''s role.';
  end if;
  return null;
end
$$;
