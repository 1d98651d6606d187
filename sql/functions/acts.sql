-- What people do with rowhooks. Each function inserts into rowhooks.act, with the rights of its caller: whether the role in
-- force may do it is decided there. Every role may call them.

-- Purpose: run a finished run again, whatever became of it. The earlier run stays as it is; the new one points at the first
--          of them all, and its idempotency key is the same. It is for the author of the change or for the presser, not for
--          the caller.
-- Parameters: result_id  rowhooks.job_result.id
-- Returns: rowhooks.job_result.id of the new run
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.retry(result_id bigint) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object)
  values ('retry', result_id)
  returning (result #>> '{}')::bigint
$$;

-- Purpose: give up a run that has not finished. A waiting run is not started. A running one is interrupted, and what it has
--          written is refused when it commits: a finished status is never overwritten.
-- Parameters: result_id  rowhooks.job_result.id
-- Returns: the status it had: PENDING, RETRY or STARTED
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.revoke(result_id bigint) returns text
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object)
  values ('revoke', result_id)
  returning result #>> '{}'
$$;

-- Purpose: run a hook for past changes, whether they match it or not, even if it is disabled or has run for them before.
-- Parameters: hook        its name
--             change_ids  rowhooks.object_change.id of each. Those that are no longer there, and those that the caller may not
--                         see, are left out
-- Returns: how many runs were requested
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.replay(hook text, change_ids bigint[]) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object, arguments)
  values ('replay', hook, pg_catalog.jsonb_build_object('changes', change_ids))
  returning (result #>> '{}')::bigint
$$;

-- Purpose: forget the note of changes that were not kept for a hook, once a replay has made up for them.
-- Parameters: hook          its name
--             since, until  the time span that was replayed; until null: until now
-- Returns: whether there was a note of which all changes lie in this time span
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.forget_missed(
  hook text, since timestamptz, until timestamptz default null
) returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object, arguments)
  values ('forget_missed', hook, pg_catalog.jsonb_build_object('since', since, 'until', until))
  returning (result #>> '{}')::boolean
$$;

-- Purpose: enable a job: its hooks and buttons start it from now on.
-- Parameters: job  its class path
-- Returns: nothing
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.enable_job(job text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('enable_job', job) $$;

-- Purpose: disable a job: its hooks and buttons start nothing.
-- Parameters: job  its class path
-- Returns: nothing
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.disable_job(job text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('disable_job', job) $$;

-- Purpose: enable a hook: changes start it from now on.
-- Parameters: hook  its name
-- Returns: nothing
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.enable_hook(hook text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('enable_hook', hook) $$;

-- Purpose: disable a hook: it starts nothing until it is enabled again.
-- Parameters: hook  its name
-- Returns: nothing
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.disable_hook(hook text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('disable_hook', hook) $$;

-- Purpose: enable a button: it may be pressed from now on.
-- Parameters: button  its name
-- Returns: nothing
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.enable_button(button text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('enable_button', button) $$;

-- Purpose: disable a button: it cannot be pressed until it is enabled again.
-- Parameters: button  its name
-- Returns: nothing
-- Writes:  rowhooks.act (operator)
create or replace function rowhooks.disable_button(button text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('disable_button', button) $$;

-- Purpose: remove a job that the present or last leader does not have, with its hooks and buttons. Its waiting runs are
--          revoked; its results stay.
-- Parameters: job  its class path
-- Returns: how many runs were revoked
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.remove_job(job text) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object)
  values ('remove_job', job)
  returning (result #>> '{}')::bigint
$$;

-- Purpose: give the hooks, buttons and waiting runs of a job that is missing to another one: that of the same class under its
--          new path. The missing job is removed.
-- Parameters: job      its class path
--             new_job  the class path of the other one. It is enabled if the missing one is
-- Returns: nothing
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.move_job(job text, new_job text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object, arguments)
  values ('move_job', job, pg_catalog.jsonb_build_object('job', new_job))
$$;

-- Purpose: forget who did what, where it is long ago. That it was forgotten is written down.
-- Parameters: older_than  acts that are older than that; 90 days at least
-- Returns: how many lines of rowhooks.audit it deleted
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.prune_audit(older_than interval) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, arguments)
  values ('prune_audit', pg_catalog.jsonb_build_object('older_than', older_than))
  returning (result #>> '{}')::bigint
$$;
