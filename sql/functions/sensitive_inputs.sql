-- Purpose: say whether the inputs of a run are sensitive: those of a job with sensitive variables, or of one that is gone.
-- Parameters: button_id    rowhooks.job_result.job_button_id
--             given_job_id rowhooks.job_result.job_id; the button may have another job since
-- Returns: true or false
-- Reads:   rowhooks.job, rowhooks.job_button
create or replace function rowhooks.are_inputs_sensitive(button_id integer, given_job_id integer) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.bool_or(j.meta -> 'has_sensitive_variables' = 'true') is true or pg_catalog.count(*) = 0
  from rowhooks.job as j
  where j.id = given_job_id or j.id = (select b.job_id from rowhooks.job_button as b where b.id = button_id)
$$;

-- Purpose: forget the inputs of a run that has ended, if its job has sensitive variables.
-- Returns: null (AFTER UPDATE row-level trigger function of rowhooks.job_result, where a run with inputs has ended)
-- Writes:  rowhooks.job_result
-- It is SECURITY DEFINER: a login of the receivers' own ends runs and may not write their inputs.
create or replace function rowhooks.forget_inputs() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if rowhooks.are_inputs_sensitive(new.job_button_id, new.job_id) then
    update rowhooks.job_result as r set inputs = 'null' where r.id = new.id;
  end if;
  return null;
end
$$;
