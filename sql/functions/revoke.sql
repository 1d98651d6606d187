-- Purpose: give up a run that has not finished, see rowhooks.revoke.
-- Parameters: result_id  rowhooks.job_result.id
-- Returns: the status it had: PENDING, RETRY or STARTED
-- Writes:  rowhooks.job_result
create or replace function rowhooks.revoke_run(result_id bigint) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  former pg_catalog.text;
begin
  select r.status into former from rowhooks.job_result as r where r.id = result_id for update;
  if not found then
    raise exception 'there is no result %', result_id
      using errcode = 'no_data_found', hint = 'See: rowhooks results list';
  elsif former in ('SUCCESS', 'FAILURE', 'REVOKED') then
    raise exception 'run % cannot be revoked: it has finished with %', result_id, former
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('See: rowhooks results show %s', result_id);
  end if;
  update rowhooks.job_result set status = 'REVOKED', finished_at = pg_catalog.clock_timestamp() where id = result_id;
  -- The leader may be asleep while the run waits for its retry.
  perform rowhooks.ring_bell();
  return former;
end
$$;
