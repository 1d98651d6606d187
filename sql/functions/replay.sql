-- Purpose: request runs of a hook for past changes, in the order in which the leader takes them up: that of their ids.
-- Parameters: hook        its name
--             change_ids  an array of rowhooks.object_change.id; null: none
-- Returns: how many runs were requested
-- Reads:   rowhooks.object_change
-- Writes:  rowhooks.job_result
create or replace function rowhooks.replay_changes(hook text, change_ids jsonb) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  wanted rowhooks.job_hook;
  its_job rowhooks.job;
  asked pg_catalog.int8;
begin
  select h.* into wanted from rowhooks.job_hook as h where h.name = hook;
  if not found then
    raise exception 'there is no hook %', hook using errcode = 'undefined_object', hint = 'see: rowhooks hooks list';
  end if;
  select j.* into strict its_job from rowhooks.job as j where j.id = wanted.job_id;
  perform rowhooks.check_job_can_start(pg_catalog.format('hook %s cannot be replayed', hook), its_job);
  insert into rowhooks.job_result (
    trigger, status, object_change_id, job_hook_id, hook_name, job_id, class_path, tracked_table, object_id, object_repr,
    action, user_name, db_user
  )
  select
    'replay', 'PENDING', c.id, wanted.id, wanted.name, its_job.id, its_job.class_path, c.tracked_table, c.object_id,
    case when its_job.meta -> 'has_sensitive_variables' is distinct from 'true' then c.object_repr end,
    c.action, c.user_name, c.db_user
  from rowhooks.object_change as c
  where c.id = any (
    array(select x.id::pg_catalog.int8 from pg_catalog.jsonb_array_elements_text(change_ids) as x (id))
  )
  order by c.id;
  get diagnostics asked = row_count;
  return asked;
end
$$;

-- Purpose: forget the note of changes that were not kept for a hook, see rowhooks.forget_missed.
-- Parameters: hook          its name
--             since, until  the time span that was replayed; until null: until now
-- Returns: whether there was such a note
-- Writes:  rowhooks.job_hook_missed
create or replace function rowhooks.forget_missed_changes(hook text, since timestamptz, until timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from rowhooks.job_hook_missed as m
  using rowhooks.job_hook as h
  where h.name = hook and m.job_hook_id = h.id
    and m.first_at >= since and m.last_at < coalesce(until, 'infinity'::timestamptz);
  return found;
end
$$;
