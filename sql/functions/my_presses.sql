-- Purpose: the presses of the asking role, and what has become of their runs. Every role may read the view. It is a security
--          barrier: a reader's condition never sees the other rows.
-- Columns: message  of a run that failed: what its receiver says to the presser by fail(), or what is wrong with the inputs.
--                   Of other errors nothing is shown: what a receiver reads is not for the presser's eyes
--          others   as in the view rowhooks.results
create or replace view rowhooks.my_presses with (security_barrier) as
select
  r.id,
  r.status,
  r.button_name,
  rowhooks.qualified_name(t.schema_name, t.table_name) as object_type,
  r.object_id,
  r.user_name,
  r.login,
  r.attempt,
  r.retry_at,
  r.created_at,
  r.started_at,
  r.finished_at,
  case
    when r.exception_type in ('rowhooks.domain.errors.JobFailed', 'rowhooks.domain.errors.InvalidInputs')
      then pg_catalog.left(r.exception_message, 1000)
  end as message,
  r.batch_id
from rowhooks.job_result as r
left join rowhooks.tracked_table as t on r.tracked_table = t.id
-- In a view, unlike in a SECURITY DEFINER function, current_user is the asking role.
where r.trigger = 'press' and r.db_user = current_user;

-- Purpose: say what has become of a press of the asking role.
-- Parameters: id  rowhooks.job_result.id, which rowhooks.press has returned
-- Returns: {"id", "status", "is_finished", "message"}; null where the role has made no such press
-- Reads:   rowhooks.my_presses
create or replace function rowhooks.run_state(id bigint) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.jsonb_build_object(
    'id', p.id, 'status', p.status, 'is_finished', p.finished_at is not null, 'message', p.message
  )
  from rowhooks.my_presses as p
  where p.id = run_state.id
$$;
