-- Purpose: add a job hook, or give one that exists another definition.
-- Parameters: hook             its name
--             job              the class path of the job that it starts
--             tables           tracked tables
--             actions          of create, update, delete
--             columns          an update that changes none of these starts nothing; '{}': every column counts
--             ignored_columns  an update that changes only such columns starts nothing
--             conditions       what must hold of the two rows; null: nothing
--             on_undecided     run or skip: for changes for which the conditions cannot be decided
--             enabled          null: a new one is enabled, another one stays as it is
--             or_replace       the hook may exist; it keeps its id, and with it its results
--             expected         the job may be unknown yet: it is entered as one that no daemon has had
-- Returns: rowhooks.job_hook.id
-- Writes:  rowhooks.job_hook, rowhooks.job_hook_table, rowhooks.job
-- It runs with the caller's rights, which the daemon's role has.
create or replace function rowhooks.create_job_hook(
  hook text,
  job text,
  tables regclass[],
  actions text[],
  columns text[] default '{}',
  ignored_columns text[] default '{}',
  conditions jsonb default null,
  on_undecided text default 'run',
  enabled boolean default null,
  or_replace boolean default false,
  expected boolean default false
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  present rowhooks.job_hook;
  its_job constant integer := rowhooks.job_to_start(job, 'hook', expected);
  tracked constant integer[] := rowhooks.entries_of(pg_catalog.format('hook %s', hook), tables);
begin
  if not actions <@ array['create', 'update', 'delete'] then
    raise exception 'hook %: its actions are %', hook, pg_catalog.array_to_string(actions, ', ', 'null')
      using errcode = 'invalid_parameter_value', hint = 'Choose from: create, update, delete.';
  end if;
  select h.* into present from rowhooks.job_hook as h where h.name = hook for update;
  if present.declared then
    perform rowhooks.refuse_declared(present);
  elsif found and not or_replace then
    raise exception 'a hook named % exists already', hook
      using
        errcode = 'duplicate_object',
        hint = pg_catalog.format('change it: rowhooks hooks edit %s', rowhooks.shell_operand(hook));
  end if;
  if present.id is null then
    insert into rowhooks.job_hook (
      name, job_id, enabled, type_create, type_update, type_delete, columns, ignored_columns, conditions, on_undecided
    )
    values (
      hook, its_job, coalesce(create_job_hook.enabled, true), 'create' = any (actions), 'update' = any (actions),
      'delete' = any (actions), create_job_hook.columns, create_job_hook.ignored_columns, create_job_hook.conditions,
      create_job_hook.on_undecided
    )
    returning id into present.id;
  else
    update rowhooks.job_hook as h
    set
      job_id = its_job,
      enabled = coalesce(create_job_hook.enabled, h.enabled),
      type_create = 'create' = any (actions),
      type_update = 'update' = any (actions),
      type_delete = 'delete' = any (actions),
      columns = create_job_hook.columns,
      ignored_columns = create_job_hook.ignored_columns,
      conditions = create_job_hook.conditions,
      on_undecided = create_job_hook.on_undecided
    where h.id = present.id;
    delete from rowhooks.job_hook_table where job_hook_id = present.id and tracked_table_id <> all (tracked);
  end if;
  insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)
  select present.id, x.entry from pg_catalog.unnest(tracked) as x (entry)
  on conflict (job_hook_id, tracked_table_id) do update
  set schema_name = excluded.schema_name, table_name = excluded.table_name;
  return present.id;
end
$$;

-- Purpose: refuse to change or remove a hook that its job's code declares.
-- Parameters: hook  the hook
-- Returns: nothing
-- Reads:   rowhooks.job
create or replace function rowhooks.refuse_declared(hook rowhooks.job_hook) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'hook % is declared in the code of %', hook.name,
    (select j.class_path from rowhooks.job as j where j.id = hook.job_id)
    using
      errcode = 'object_not_in_prerequisite_state',
      hint = pg_catalog.format(
        'change it there, or disable it: rowhooks hooks disable %s', rowhooks.shell_operand(hook.name)
      );
end
$$;

-- Purpose: remove a job hook; its results stay.
-- Parameters: hook  its name
-- Returns: nothing
-- Writes:  rowhooks.job_hook
create or replace function rowhooks.drop_job_hook(hook text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  present rowhooks.job_hook;
begin
  select h.* into present from rowhooks.job_hook as h where h.name = hook;
  if not found then
    raise exception 'there is no hook %', hook using errcode = 'undefined_object', hint = 'see: rowhooks hooks list';
  elsif present.declared then
    perform rowhooks.refuse_declared(present);
  end if;
  delete from rowhooks.job_hook where id = present.id;
end
$$;
