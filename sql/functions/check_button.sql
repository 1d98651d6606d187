-- Purpose: refuse a button whose job is no button receiver, and the enabling of a button that could not start its job.
-- Returns: the new row (BEFORE row-level trigger function of rowhooks.job_button)
-- Reads:   rowhooks.job
create or replace function rowhooks.check_button() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  its_job rowhooks.job;
begin
  select j.* into its_job from rowhooks.job as j where j.id = new.job_id;
  if not found then
    -- The foreign key refuses it.
    return new;
  end if;
  if its_job.kind <> 'button' then
    raise exception 'button % cannot start job %: it is a % receiver', new.name, its_job.class_path, its_job.kind
      using errcode = 'invalid_parameter_value', hint = 'Name a job that is a JobButtonReceiver.';
  end if;
  if tg_op = 'UPDATE' and new.enabled and not old.enabled then
    perform rowhooks.check_job_can_start(pg_catalog.format('button %s cannot be enabled', new.name), its_job);
  end if;
  return new;
end
$$;
