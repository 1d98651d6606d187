-- Purpose: run a finished run again, whatever became of it. The earlier one stays as it is; the new one points at the
--          first of them all, and its idempotency key is the same.
-- Parameters: result_id  rowhooks.job_result.id
-- Returns: rowhooks.job_result.id of the new run
-- Reads:   rowhooks.job_result, rowhooks.results, rowhooks.object_change, rowhooks.job_hook, rowhooks.job_button, rowhooks.job
-- Writes:  rowhooks.job_result
-- The daemon's role may call it, and who administrates rowhooks. It runs with the caller's rights, and they suffice:
-- the daemon's role may put results on record. The run is for the author of the change, or for who pressed; not for the
-- caller.
create or replace function rowhooks.retry(result_id bigint) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  original rowhooks.job_result;
  first_id bigint;
  hook rowhooks.job_hook;
  button rowhooks.job_button;
  its_job rowhooks.job;
  other_id bigint;
  new_id bigint;
begin
  select r.* into original from rowhooks.job_result as r where r.id = result_id;
  if not found then
    raise exception 'there is no result %', result_id
      using errcode = 'no_data_found', hint = 'See: rowhooks results list';
  elsif original.finished_at is null then
    raise exception 'run % has not finished yet: it is %', result_id, original.status
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('To give it up: rowhooks results revoke %s', result_id);
  end if;
  if original.trigger = 'press' then
    select b.* into button from rowhooks.job_button as b where b.id = original.job_button_id;
    if not found then
      raise exception 'run % cannot be run again: its button % is gone', result_id, original.button_name
        using errcode = 'object_not_in_prerequisite_state', hint = 'Press another: rowhooks buttons list';
    end if;
  else
    select h.* into hook from rowhooks.job_hook as h where h.id = original.job_hook_id;
    if not found then
      raise exception 'run % cannot be run again: its hook % is gone', result_id, original.hook_name
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = 'Give its changes to another hook: rowhooks replay --hook HOOK --since TIME';
    elsif not exists (select from rowhooks.object_change as c where c.id = original.object_change_id) then
      raise exception 'run % cannot be run again: its change % is no longer in the log', result_id, original.object_change_id
        using errcode = 'object_not_in_prerequisite_state', hint = 'Change the row anew: that starts its hooks.';
    end if;
  end if;
  -- What will run is the hook's or button's job of today, which need not be the one of then.
  select j.* into strict its_job from rowhooks.job as j where j.id = coalesce(hook.job_id, button.job_id);
  if not its_job.installed then
    raise exception 'run % cannot be run again: its job % is not installed', result_id, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Add its module to rowhooks.toml and restart the daemon.';
  elsif not its_job.enabled then
    raise exception 'run % cannot be run again: its job % is disabled', result_id, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
  end if;

  first_id := coalesce(original.original_id, original.id);
  loop
    -- Waits for another transaction that retries the same run.
    insert into rowhooks.job_result (
      trigger, original_id, object_change_id, job_hook_id, hook_name, job_button_id, button_name, job_id, class_path,
      tracked_table, object_id, object_repr, action, user_name, db_user, login, status, key
    )
    values (
      original.trigger, first_id, original.object_change_id, hook.id, hook.name, button.id, button.name, its_job.id,
      its_job.class_path, original.tracked_table, original.object_id, original.object_repr, original.action,
      original.user_name, original.db_user, original.login, 'PENDING', (select v.key from rowhooks.results as v where v.id = original.id)
    )
    on conflict (original_id) where original_id is not null and status in ('PENDING', 'STARTED', 'RETRY') do nothing
    returning id into new_id;
    exit when new_id is not null;
    select r.id
    into other_id
    from rowhooks.job_result as r
    where r.original_id = first_id and r.status in ('PENDING', 'STARTED', 'RETRY');
    -- It may have finished since: then it is in nobody's way.
    continue when not found;
    raise exception 'run % is being run again already, as run %', result_id, other_id
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('See: rowhooks results show %s', other_id);
  end loop;
  return new_id;
end
$$;
