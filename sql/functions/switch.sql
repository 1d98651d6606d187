-- Purpose: enable or disable a job.
-- Parameters: job         its class path
--             is_enabled  which of both
-- Returns: nothing
-- Writes:  rowhooks.job
create or replace function rowhooks.switch_job(job text, is_enabled boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  present rowhooks.job;
begin
  select j.* into present from rowhooks.job as j where j.class_path = job;
  if not found then
    raise exception 'there is no job %', job
      using
        errcode = 'undefined_object',
        hint = 'see: rowhooks jobs list; a job is known after `rowhooks run` has started with its module';
  elsif is_enabled and not present.installed then
    raise exception 'job % is not installed', job
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'add its module to rowhooks.toml and restart the daemon';
  end if;
  update rowhooks.job as j set enabled = is_enabled where j.id = present.id;
end
$$;

-- Purpose: enable or disable a hook.
-- Parameters: hook        its name
--             is_enabled  which of both
-- Returns: nothing
-- Writes:  rowhooks.job_hook
create or replace function rowhooks.switch_hook(hook text, is_enabled boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update rowhooks.job_hook as h set enabled = is_enabled where h.name = hook;
  if not found then
    raise exception 'there is no hook %', hook using errcode = 'undefined_object', hint = 'see: rowhooks hooks list';
  end if;
end
$$;

-- Purpose: enable or disable a button.
-- Parameters: button      its name
--             is_enabled  which of both
-- Returns: nothing
-- Writes:  rowhooks.job_button
create or replace function rowhooks.switch_button(button text, is_enabled boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update rowhooks.job_button as b set enabled = is_enabled where b.name = button;
  if not found then
    raise exception 'there is no button %', button
      using errcode = 'undefined_object', hint = 'see: rowhooks buttons list';
  end if;
end
$$;
