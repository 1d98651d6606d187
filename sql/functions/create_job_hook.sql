-- Purpose: add a job hook, or give one that exists another definition, see rowhooks.create_job_hook.
-- Parameters: hook   its name
--             given  the other parameters of rowhooks.create_job_hook, with the oids of the tables
-- Returns: rowhooks.job_hook.id
-- Writes:  rowhooks.job_hook, rowhooks.job_hook_table, rowhooks.job
create or replace function rowhooks.put_job_hook(hook text, given jsonb) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  g pg_catalog.record;
  present rowhooks.job_hook;
  its_job pg_catalog.int4;
  tracked pg_catalog.int4[];
begin
  select x.* into g
  from pg_catalog.jsonb_to_record(given) as x (
    job text, tables oid[], actions text[], columns text[], ignored_columns text[], conditions jsonb, on_undecided text,
    queue text, enabled boolean, or_replace boolean, expected boolean
  );
  its_job := rowhooks.job_to_start(g.job, 'hook', coalesce(g.expected, false));
  tracked := rowhooks.entries_of(pg_catalog.format('hook %s', hook), g.tables::regclass[]);
  if not g.actions <@ array['create', 'update', 'delete'] then
    raise exception 'hook %: its actions are %', hook, pg_catalog.array_to_string(g.actions, ', ', 'null')
      using errcode = 'invalid_parameter_value', hint = 'Choose from: create, update, delete.';
  end if;
  select h.* into present from rowhooks.job_hook as h where h.name = hook for update;
  if present.declared then
    perform rowhooks.refuse_declared(present);
  elsif found and g.or_replace is not true then
    raise exception 'a hook named % exists already', hook
      using
        errcode = 'duplicate_object',
        hint = pg_catalog.format('change it: rowhooks hooks edit %s', rowhooks.shell_operand(hook));
  end if;
  if present.id is null then
    insert into rowhooks.job_hook (
      name, job_id, enabled, type_create, type_update, type_delete, columns, ignored_columns, conditions, on_undecided,
      queue
    )
    values (
      hook, its_job, coalesce(g.enabled, true), 'create' = any (g.actions), 'update' = any (g.actions),
      'delete' = any (g.actions), g.columns, g.ignored_columns, g.conditions,
      g.on_undecided, g.queue
    )
    returning id into present.id;
  else
    update rowhooks.job_hook as h
    set
      job_id = its_job,
      enabled = coalesce(g.enabled, h.enabled),
      type_create = 'create' = any (g.actions),
      type_update = 'update' = any (g.actions),
      type_delete = 'delete' = any (g.actions),
      columns = g.columns,
      ignored_columns = g.ignored_columns,
      conditions = g.conditions,
      on_undecided = g.on_undecided,
      queue = g.queue
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

-- Purpose: add a job hook, or give one that exists another definition.
-- Parameters: hook             its name
--             job              the class path of the job that it starts
--             tables           tracked tables
--             actions          of create, update, delete
--             columns          an update that changes none of these starts nothing; '{}': every column counts
--             ignored_columns  an update that changes only such columns starts nothing
--             conditions       what must hold of the two rows; null: nothing
--             on_undecided     run or skip: for changes for which the conditions cannot be decided
--             queue            the queue of its runs; null: that of its job
--             enabled          null: a new one is enabled, another one stays as it is
--             or_replace       the hook may exist; it keeps its id, and with it its results
--             expected         the job may be unknown yet: it is entered as one that no daemon has had
-- Returns: rowhooks.job_hook.id
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.create_job_hook(
  hook text,
  job text,
  tables regclass[],
  actions text[],
  columns text[] default '{}',
  ignored_columns text[] default '{}',
  conditions jsonb default null,
  on_undecided text default 'run',
  queue text default null,
  enabled boolean default null,
  or_replace boolean default false,
  expected boolean default false
) returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object, arguments)
  values (
    'create_job_hook', hook,
    pg_catalog.jsonb_build_object(
      'job', job, 'tables', tables::oid[], 'actions', actions, 'columns', columns, 'ignored_columns', ignored_columns,
      'conditions', conditions, 'on_undecided', on_undecided, 'queue', queue, 'enabled', enabled,
      'or_replace', or_replace, 'expected', expected
    )
  )
  returning (result #>> '{}')::integer
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

-- Purpose: remove a job hook, see rowhooks.drop_job_hook.
-- Parameters: hook  its name
-- Returns: nothing
-- Writes:  rowhooks.job_hook
create or replace function rowhooks.delete_job_hook(hook text) returns void
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

-- Purpose: remove a job hook; its results stay.
-- Parameters: hook  its name
-- Returns: nothing
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.drop_job_hook(hook text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('drop_job_hook', hook) $$;
