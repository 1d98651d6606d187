-- Purpose: say which leader_epoch a press has on record until a leader takes it up. Where the leader does not have the class,
--          the press is kept for a leader that has it, and the presser gets a notice.
-- Parameters: button   the button's name
--             its_job  the job that it starts
--             presses  on how many rows
-- Returns: null where the next leader takes it up, all zeros where it waits for one with the class
-- Raises:  as many presses as may wait for the job already
-- Reads:   rowhooks.feed, rowhooks.job_result, rowhooks.job_button
create or replace function rowhooks.epoch_of_press(button text, its_job rowhooks.job, presses bigint) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if its_job.installed then
    return null;
  end if;
  perform from rowhooks.feed as f
  where f.waiting_limit < presses + (
    select pg_catalog.count(*)
    from rowhooks.job_result as r
    where r.status in ('PENDING', 'STARTED', 'RETRY') and r.job_button_id in (
      select b.id from rowhooks.job_button as b where b.job_id = its_job.id
    )
  );
  if found then
    raise exception 'button % cannot be pressed: no daemon that leads has its job %, and as many presses as may wait for it',
      button, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Let an administrator start a daemon with its module.';
  end if;
  raise notice 'the press of button % waits: the daemon that leads does not have its job %', button, its_job.class_path;
  return '00000000-0000-0000-0000-000000000000';
end
$$;
