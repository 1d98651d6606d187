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
    -- The foreign key says so.
    return new;
  end if;
  if its_job.kind <> 'button' then
    raise exception 'button % cannot start job %: it is a % receiver', new.name, its_job.class_path, its_job.kind
      using errcode = 'invalid_parameter_value', hint = 'Name a job that is a JobButtonReceiver.';
  end if;
  if tg_op = 'UPDATE' and new.enabled and not old.enabled then
    if not its_job.installed then
      raise exception 'button % cannot be enabled: its job % is not installed', new.name, its_job.class_path
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = 'Add its module to rowhooks.toml and restart the daemon.';
    elsif not its_job.enabled then
      raise exception 'button % cannot be enabled: its job % is disabled', new.name, its_job.class_path
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = pg_catalog.format('Run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
    end if;
  end if;
  return new;
end
$$;
