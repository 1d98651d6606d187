-- Purpose: refuse what needs a job that cannot be started: its class is not installed, or it is disabled.
-- Parameters: deed     what is refused, as the first part of the message: hook Serials cannot be enabled
--             its_job  the job
-- Returns: nothing
create or replace function rowhooks.check_job_can_start(deed text, its_job rowhooks.job) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not its_job.installed then
    raise exception '%: its job % is not installed', deed, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Add its module to rowhooks.toml and restart the daemon.';
  elsif not its_job.enabled then
    raise exception '%: its job % is disabled', deed, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
  end if;
end
$$;
