-- Purpose: find the origin of a run that is to be run again, as it is today, and its job.
-- Parameters: original  the run
-- Returns: hook or button  the origin
--          its_job         the job that it starts today, which need not be the one of then
-- Raises:  the origin or the change is gone, or the job cannot be started
-- Reads:   rowhooks.object_change, rowhooks.job_hook, rowhooks.job_button, rowhooks.job
create or replace function rowhooks.origin_to_retry(
  original rowhooks.job_result, out hook rowhooks.job_hook, out button rowhooks.job_button, out its_job rowhooks.job
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if original.trigger = 'press' then
    select b.* into button from rowhooks.job_button as b where b.id = original.job_button_id;
    if not found then
      raise exception 'run % cannot be run again: its button % is gone', original.id, original.button_name
        using errcode = 'object_not_in_prerequisite_state', hint = 'Press another: rowhooks buttons list';
    end if;
  else
    select h.* into hook from rowhooks.job_hook as h where h.id = original.job_hook_id;
    if not found then
      raise exception 'run % cannot be run again: its hook % is gone', original.id, original.hook_name
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = 'Give its changes to another hook: rowhooks replay --hook HOOK --since TIME';
    elsif not exists (select from rowhooks.object_change as c where c.id = original.object_change_id) then
      raise exception 'run % cannot be run again: its change % is no longer in the log', original.id, original.object_change_id
        using errcode = 'object_not_in_prerequisite_state', hint = 'Change the row anew: that starts its hooks.';
    end if;
  end if;
  select j.* into strict its_job from rowhooks.job as j where j.id = coalesce(hook.job_id, button.job_id);
  perform rowhooks.check_job_can_start(pg_catalog.format('run %s cannot be run again', original.id), its_job);
end
$$;

-- Purpose: run a finished run again, see rowhooks.retry.
-- Parameters: result_id  rowhooks.job_result.id
-- Returns: rowhooks.job_result.id of the new run
-- Reads:   rowhooks.job_result
-- Writes:  rowhooks.job_result
create or replace function rowhooks.run_again(result_id bigint) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  original rowhooks.job_result;
  origin record;
  first_id bigint;
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
  if original.inputs = 'null' then
    raise exception 'run % cannot be run again: its inputs were not kept, because its job has sensitive variables', result_id
      using errcode = 'object_not_in_prerequisite_state', hint = 'Press the button anew.';
  end if;
  select o.* into origin from rowhooks.origin_to_retry(original) as o;
  first_id := coalesce(original.original_id, original.id);
  loop
    -- The insert waits for another transaction that retries the same run.
    insert into rowhooks.job_result (
      trigger, original_id, object_change_id, job_hook_id, hook_name, job_button_id, button_name, job_id, class_path,
      tracked_table, object_id, object_repr, action, user_name, db_user, login, status, inputs,
      batch_id, key
    )
    values (
      original.trigger, first_id, original.object_change_id, (origin.hook).id, (origin.hook).name,
      (origin.button).id, (origin.button).name, (origin.its_job).id, (origin.its_job).class_path, original.tracked_table, original.object_id, original.object_repr, original.action,
      original.user_name, original.db_user, original.login, 'PENDING', original.inputs, original.batch_id, original.key
    )
    on conflict (original_id) where original_id is not null and status in ('PENDING', 'STARTED', 'RETRY') do nothing
    returning id into new_id;
    exit when new_id is not null;
    select r.id
    into other_id
    from rowhooks.job_result as r
    where r.original_id = first_id and r.status in ('PENDING', 'STARTED', 'RETRY');
    -- It may have finished since. Then it is no obstacle.
    continue when not found;
    raise exception 'run % is being run again already, as run %', result_id, other_id
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('See: rowhooks results show %s', other_id);
  end loop;
  return new_id;
end
$$;
