-- Purpose: refuse roles that do not exist: with a mistyped name nobody could press a button, and nothing would say so.
-- Parameters: roles  names of roles, and public
-- Returns: nothing
create or replace function rowhooks.check_roles(roles text[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  stray pg_catalog.text;
begin
  select coalesce(x.name, 'null')
  into stray
  from pg_catalog.unnest(roles) as x (name)
  where x.name is distinct from 'public'
    and not exists (select from pg_catalog.pg_roles as r where r.rolname::pg_catalog.text = x.name)
  limit 1;
  if found then
    raise exception 'there is no role %', stray
      using errcode = 'undefined_object', hint = 'public means every role; see: select rolname from pg_roles';
  end if;
end
$$;

-- Purpose: add a job button, or give one that exists another definition, see rowhooks.create_job_button.
-- Parameters: button  its name
--             given   the other parameters of rowhooks.create_job_button, with the oids of the tables
-- Returns: rowhooks.job_button.id
-- Writes:  rowhooks.job_button, rowhooks.job_button_table, rowhooks.job
create or replace function rowhooks.put_job_button(button text, given jsonb) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  g pg_catalog.record;
  its_id pg_catalog.int4 := (select b.id from rowhooks.job_button as b where b.name = button);
  its_job pg_catalog.int4;
  tracked pg_catalog.int4[];
begin
  select x.* into g
  from pg_catalog.jsonb_to_record(given) as x (
    job text, tables oid[], "text" text, group_name text, weight integer, button_class text, confirmation boolean,
    roles text[], queue text, enabled boolean, or_replace boolean, expected boolean
  );
  its_job := rowhooks.job_to_start(g.job, 'button', coalesce(g.expected, false));
  tracked := rowhooks.entries_of(pg_catalog.format('button %s', button), g.tables::regclass[]);
  if its_id is not null and g.or_replace is not true then
    raise exception 'a button named % exists already', button
      using
        errcode = 'duplicate_object',
        hint = pg_catalog.format('change it: rowhooks buttons edit %s', rowhooks.shell_operand(button));
  end if;
  perform rowhooks.check_roles(g.roles);
  if its_id is null then
    insert into rowhooks.job_button (
      name, job_id, enabled, text, group_name, weight, button_class, confirmation, roles, queue
    )
    values (
      button, its_job, coalesce(g.enabled, true), g.text, g.group_name,
      g.weight, g.button_class, g.confirmation, g.roles, g.queue
    )
    returning id into its_id;
  else
    update rowhooks.job_button as b
    set
      job_id = its_job,
      enabled = coalesce(g.enabled, b.enabled),
      text = g.text,
      group_name = g.group_name,
      weight = g.weight,
      button_class = g.button_class,
      confirmation = g.confirmation,
      roles = g.roles,
      queue = g.queue
    where b.id = its_id;
    delete from rowhooks.job_button_table where job_button_id = its_id and tracked_table_id <> all (tracked);
  end if;
  insert into rowhooks.job_button_table (job_button_id, tracked_table_id)
  select its_id, x.entry from pg_catalog.unnest(tracked) as x (entry)
  on conflict (job_button_id, tracked_table_id) do update
  set schema_name = excluded.schema_name, table_name = excluded.table_name;
  return its_id;
end
$$;

-- Purpose: add a job button, or give one that exists another definition.
-- Parameters: button        its name
--             job           the class path of the job that it starts
--             tables        tracked tables
--             text          a Jinja2 template for the label
--             group_name    the group in which pages show it
--             weight        lower ones come first
--             button_class  its style
--             confirmation  ask before a press
--             roles         their members may press it; public: everybody
--             queue         the queue of its runs; null: that of its job
--             enabled       null: a new one is enabled, another one stays as it is
--             or_replace    the button may exist; it keeps its id, and with it its results
--             expected      the job may be unknown yet: it is entered as one that no daemon has had
-- Returns: rowhooks.job_button.id
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.create_job_button(
  button text,
  job text,
  tables regclass[],
  "text" text,
  group_name text default '',
  weight integer default 100,
  button_class text default 'default',
  confirmation boolean default true,
  roles text[] default '{}',
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
    'create_job_button', button,
    pg_catalog.jsonb_build_object(
      'job', job, 'tables', tables::oid[], 'text', "text", 'group_name', group_name, 'weight', weight,
      'button_class', button_class, 'confirmation', confirmation, 'roles', roles, 'queue', queue, 'enabled', enabled,
      'or_replace', or_replace, 'expected', expected
    )
  )
  returning (result #>> '{}')::integer
$$;

-- Purpose: remove a job button, see rowhooks.drop_job_button.
-- Parameters: button  its name
-- Returns: nothing
-- Writes:  rowhooks.job_button
create or replace function rowhooks.delete_job_button(button text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from rowhooks.job_button as b where b.name = button;
  if not found then
    raise exception 'there is no button %', button
      using errcode = 'undefined_object', hint = 'see: rowhooks buttons list';
  end if;
end
$$;

-- Purpose: remove a job button; its results stay.
-- Parameters: button  its name
-- Returns: nothing
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.drop_job_button(button text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('drop_job_button', button) $$;
