-- Purpose: find a job that the present or last leader does not have, and refuse another one.
-- Parameters: job  its class path
-- Returns: the job
-- Reads:   rowhooks.job
create or replace function rowhooks.missing_job(job text) returns rowhooks.job
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  present rowhooks.job;
begin
  select j.* into present from rowhooks.job as j where j.class_path = job for update;
  if not found then
    raise exception 'there is no job %', job using errcode = 'undefined_object', hint = 'see: rowhooks jobs list';
  elsif present.installed then
    raise exception 'job % is in the code of the present or last leader, which would add it again', job
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format(
          'remove its module from rowhooks.toml and restart the daemon; or: rowhooks jobs disable %s', rowhooks.shell_operand(job)
        );
  end if;
  return present;
end
$$;

-- Purpose: remove a missing job, see rowhooks.remove_job.
-- Parameters: job  its class path
-- Returns: how many runs were revoked
-- Writes:  rowhooks.job_result, rowhooks.job
create or replace function rowhooks.delete_job(job text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  gone constant rowhooks.job := rowhooks.missing_job(job);
  revoked pg_catalog.int8;
begin
  update rowhooks.job_result as r
  set status = 'REVOKED', finished_at = pg_catalog.clock_timestamp()
  where r.status in ('PENDING', 'STARTED', 'RETRY') and (
    r.job_hook_id in (select h.id from rowhooks.job_hook as h where h.job_id = gone.id)
    or r.job_button_id in (select b.id from rowhooks.job_button as b where b.job_id = gone.id)
  );
  get diagnostics revoked = row_count;
  delete from rowhooks.job as j where j.id = gone.id;
  return revoked;
end
$$;

-- Purpose: give what a missing job has to another one, see rowhooks.move_job.
-- Parameters: job      its class path
--             new_job  the class path of the other one
-- Returns: nothing
-- Writes:  rowhooks.job_hook, rowhooks.job_button, rowhooks.job
create or replace function rowhooks.replace_job(job text, new_job text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  former constant rowhooks.job := rowhooks.missing_job(job);
  present rowhooks.job;
begin
  select j.* into present from rowhooks.job as j where j.class_path = new_job for update;
  if not found then
    raise exception 'there is no job %', new_job using errcode = 'undefined_object', hint = 'see: rowhooks jobs list';
  elsif not present.installed or present.kind <> former.kind then
    raise exception 'job % cannot be moved to %: that %', job, new_job,
      case when present.installed then pg_catalog.format('is a %s receiver', present.kind) else 'is missing too' end
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('name a %s receiver that the leader has; see: rowhooks jobs list', former.kind);
  end if;
  update rowhooks.job_hook as h set job_id = present.id where h.job_id = former.id;
  update rowhooks.job_button as b set job_id = present.id where b.job_id = former.id;
  if former.enabled and not present.enabled then
    update rowhooks.job as j set enabled = true where j.id = present.id;
    -- Changes that have not been read are from before this moment.
    update rowhooks.job as j set enabled_since = former.enabled_since where j.id = present.id;
  end if;
  delete from rowhooks.job as j where j.id = former.id;
end
$$;
