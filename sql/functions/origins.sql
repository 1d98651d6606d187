-- Purpose: find the job that a hook or button is to start.
-- Parameters: job       its class path
--             its_kind  hook or button: what a job becomes that is entered here
--             expected  enter a job that is not known yet, as one that no daemon has had: it is disabled
-- Returns: rowhooks.job.id
-- Writes:  rowhooks.job
create or replace function rowhooks.job_to_start(job text, its_kind text, expected boolean) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  its_id integer := (select j.id from rowhooks.job as j where j.class_path = job);
begin
  if its_id is not null then
    return its_id;
  elsif not expected then
    raise exception 'there is no job %', job
      using
        errcode = 'undefined_object',
        hint = 'see: rowhooks jobs list; a job is known after `rowhooks run` has started with its module';
  elsif job !~ '^[^.[:space:]]+([.][^.[:space:]]+)+$' or job is null then
    raise exception 'job %: this is not the path of a class', coalesce(job, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Name it as module.Class, as the daemon will find it.';
  end if;
  insert into rowhooks.job (class_path, kind, name, installed)
  values (job, its_kind, pg_catalog.substring(job, '[^.]*$'), false)
  on conflict (class_path) do nothing;
  raise warning 'no daemon has had job % yet: its %s start nothing until one has it and it is enabled', job, its_kind
    using hint = pg_catalog.format('Then run: rowhooks jobs enable %s', rowhooks.shell_operand(job));
  return (select j.id from rowhooks.job as j where j.class_path = job);
end
$$;

-- Purpose: find the entries of the tables that a hook or button is to be on.
-- Parameters: what    the hook or button, for messages
--             tables  tracked tables
-- Returns: their ids
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.entries_of(what text, tables regclass[]) returns integer[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  untracked pg_catalog.text;
begin
  if coalesce(pg_catalog.cardinality(tables), 0) = 0 then
    raise exception '% is on no table', what
      using errcode = 'invalid_parameter_value', hint = 'Name one that is tracked.';
  end if;
  select coalesce(x.relation::pg_catalog.text, 'null')
  into untracked
  from pg_catalog.unnest(tables) as x (relation)
  where not exists (
    select from rowhooks.tracked_table as t where t.relation = x.relation and t.untracked_at is null
  )
  limit 1;
  if found then
    raise exception 'table % is not tracked', untracked
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('run: rowhooks track %s', rowhooks.shell_operand(untracked));
  end if;
  return array(
    select t.id from rowhooks.tracked_table as t where t.relation = any (tables) and t.untracked_at is null order by 1
  );
end
$$;
