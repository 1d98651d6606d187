-- Purpose: refuse a job hook without an action, with malformed conditions or with a job that is no hook receiver, and the
--          enabling of a hook that could not start its job. Adding an enabled hook for a disabled job is allowed.
-- Returns: the new row (BEFORE row-level trigger function of rowhooks.job_hook)
-- Reads:   rowhooks.job
create or replace function rowhooks.check_hook() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  its_job rowhooks.job;
  problem text;
  enabling constant boolean := tg_op = 'UPDATE' and new.enabled and not old.enabled;
begin
  if not (new.type_create or new.type_update or new.type_delete) then
    raise exception 'You must select at least one type: create, update, and/or delete.'
      using errcode = 'check_violation', constraint = 'job_hook_has_an_action';
  end if;

  -- JSON's null means no conditions.
  new.conditions := nullif(new.conditions, 'null');
  problem := rowhooks.check_conditions(new.conditions);
  if problem is not null then
    raise exception 'job hook %: %', new.name, problem
      using
        errcode = 'check_violation',
        hint = 'For example {"attr": "status", "op": "eq", "value": "active"}, and {"and": [..]}, {"or": [..]}, {"not": ..}.';
  end if;

  if pg_catalog.cardinality(new.columns) > 0 and new.columns operator(pg_catalog.<@) new.ignored_columns then
    raise exception 'job hook %: it ignores all columns that it waits for', new.name
      using errcode = 'check_violation', hint = 'Name a column as one that counts, or as one that is ignored.';
  end if;

  select j.* into its_job from rowhooks.job as j where j.id = new.job_id;
  if not found then
    -- The foreign key refuses it.
    return new;
  end if;
  if (tg_op = 'INSERT' or enabling or new.job_id <> old.job_id) and its_job.kind <> 'hook' then
    raise exception 'job hook % cannot start job %: it is a % receiver', new.name, its_job.class_path, its_job.kind
      using errcode = 'invalid_parameter_value', hint = 'Name a job that is a JobHookReceiver.';
  end if;
  if enabling then
    perform rowhooks.check_job_can_start(pg_catalog.format('hook %s cannot be enabled', new.name), its_job);
  end if;
  return new;
end
$$;
