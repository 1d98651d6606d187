-- Purpose: put on record, in a run's own transaction, what came of the run. It is a function for its plan, which is kept also
--          where a transaction pooler keeps no prepared statement.
-- Parameters: run      its row of rowhooks.job_result, as a JSON object; what is null there may be missing
--             entries  its log lines, as a JSON array of rows of rowhooks.job_log_entry; null: none
-- Returns: nothing. It raises invalid_text_representation, so that the COMMIT that is sent along with it fails, with the message
--          ENDED of results.py where the receiver has ended the run's transaction, with which the variable rowhooks.run ends,
--          and with its ON_RECORD where the run is on record already: a finished status is never overwritten, and a run of an
--          earlier leader does not end in place of a later leader's
-- Writes:  rowhooks.job_result, rowhooks.job_log_entry
-- It runs with the rights of the login. The receivers' own login may write the outcome of a run and not read it. It may not name
-- the columns that are proposed for insertion either, so they are read from what is given.
create or replace function rowhooks.record_run(run json, entries json) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  recorded bigint;
begin
  if coalesce(pg_catalog.current_setting('rowhooks.run', true), '') = '' then
    raise exception 'rowhooks: the run''s transaction has ended' using errcode = 'invalid_text_representation';
  end if;
  if run ->> 'trigger' = 'change' and run ->> 'original_id' is null then
    -- A change starts a hook once, whichever leader reads it.
    insert into rowhooks.job_result (
      id, trigger, original_id, object_change_id, job_hook_id, job_button_id, job_id, class_path, hook_name, button_name,
      tracked_table, object_id, former_object_id, object_repr, action, user_name, db_user, status, attempt, retries, retry_at,
      leader_epoch, started_at, finished_at, result, exception_type, exception_message, traceback, key
    )
    select
      id, trigger, original_id, object_change_id, job_hook_id, job_button_id, job_id, class_path, hook_name, button_name,
      tracked_table, object_id, former_object_id, object_repr, action, user_name, db_user, status, attempt, retries, retry_at,
      leader_epoch, started_at, finished_at, result, exception_type, exception_message, traceback, key
    from pg_catalog.json_populate_record(null::rowhooks.job_result, run)
    on conflict (object_change_id, job_hook_id) where trigger = 'change' and original_id is null do update set
      status = excluded.status, attempt = excluded.attempt, retries = excluded.retries, retry_at = excluded.retry_at,
      started_at = excluded.started_at, finished_at = excluded.finished_at,
      (result, exception_type, exception_message, traceback) = (
        select g.result, g.exception_type, g.exception_message, g.traceback
        from pg_catalog.json_populate_record(null::rowhooks.job_result, run) as g
      )
    where job_result.leader_epoch = excluded.leader_epoch and job_result.finished_at is null
    returning id into recorded;
  else
    -- It was requested by hand, and has its row already.
    insert into rowhooks.job_result (
      id, trigger, original_id, object_change_id, job_hook_id, job_button_id, job_id, class_path, hook_name, button_name,
      tracked_table, object_id, former_object_id, object_repr, action, user_name, db_user, status, attempt, retries, retry_at,
      leader_epoch, started_at, finished_at, result, exception_type, exception_message, traceback, key
    )
    select
      id, trigger, original_id, object_change_id, job_hook_id, job_button_id, job_id, class_path, hook_name, button_name,
      tracked_table, object_id, former_object_id, object_repr, action, user_name, db_user, status, attempt, retries, retry_at,
      leader_epoch, started_at, finished_at, result, exception_type, exception_message, traceback, key
    from pg_catalog.json_populate_record(null::rowhooks.job_result, run)
    on conflict (id) do update set
      status = excluded.status, attempt = excluded.attempt, retries = excluded.retries, retry_at = excluded.retry_at,
      started_at = excluded.started_at, finished_at = excluded.finished_at,
      (result, exception_type, exception_message, traceback) = (
        select g.result, g.exception_type, g.exception_message, g.traceback
        from pg_catalog.json_populate_record(null::rowhooks.job_result, run) as g
      )
    where job_result.leader_epoch = excluded.leader_epoch and job_result.finished_at is null
    returning id into recorded;
  end if;
  if recorded is null then
    raise exception 'rowhooks: the run is on record' using errcode = 'invalid_text_representation';
  end if;
  if entries is not null then
    insert into rowhooks.job_log_entry (job_result_id, time, level, grouping, message, object_type, object_repr)
    select e.job_result_id, e.time, e.level, e.grouping, e.message, e.object_type, e.object_repr
    from pg_catalog.json_populate_recordset(null::rowhooks.job_log_entry, entries) as e;
  end if;
end
$$;

-- Purpose: the same for a run that a worker executes.
-- Parameters: run, entries  as above
--             dispatch_id   rowhooks.dispatch.id, under which the worker has the run
-- Returns: nothing. It raises the error ON_RECORD of results.py also where the run was taken from the worker
-- Reads:   rowhooks.dispatch, whose row it locks: whoever takes the runs from the worker waits for the COMMIT
-- Writes:  rowhooks.job_result, rowhooks.job_log_entry
create or replace function rowhooks.record_run(run json, entries json, dispatch_id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from rowhooks.dispatch as d where d.id = dispatch_id for share;
  if not found then
    raise exception 'rowhooks: the run is on record' using errcode = 'invalid_text_representation';
  end if;
  perform rowhooks.record_run(run, entries);
end
$$;
