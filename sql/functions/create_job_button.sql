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
--             enabled       null: a new one is enabled, another one stays as it is
--             or_replace    the button may exist; it keeps its id, and with it its results
--             expected      the job may be unknown yet: it is entered as one that no daemon has had
-- Returns: rowhooks.job_button.id
-- Writes:  rowhooks.job_button, rowhooks.job_button_table, rowhooks.job
-- It runs with the caller's rights, which the daemon's role has.
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
  enabled boolean default null,
  or_replace boolean default false,
  expected boolean default false
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  its_id integer := (select b.id from rowhooks.job_button as b where b.name = button);
  its_job constant integer := rowhooks.job_to_start(job, 'button', expected);
  tracked constant integer[] := rowhooks.entries_of(pg_catalog.format('button %s', button), tables);
  stray pg_catalog.text;
begin
  if its_id is not null and not or_replace then
    raise exception 'a button named % exists already', button
      using
        errcode = 'duplicate_object',
        hint = pg_catalog.format('change it: rowhooks buttons edit %s', rowhooks.shell_operand(button));
  end if;
  -- With a mistyped name nobody could press the button, and nothing would say so.
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
  if its_id is null then
    insert into rowhooks.job_button (
      name, job_id, enabled, text, group_name, weight, button_class, confirmation, roles
    )
    values (
      button, its_job, coalesce(create_job_button.enabled, true), create_job_button.text, create_job_button.group_name,
      create_job_button.weight, create_job_button.button_class, create_job_button.confirmation, create_job_button.roles
    )
    returning id into its_id;
  else
    update rowhooks.job_button as b
    set
      job_id = its_job,
      enabled = coalesce(create_job_button.enabled, b.enabled),
      text = create_job_button.text,
      group_name = create_job_button.group_name,
      weight = create_job_button.weight,
      button_class = create_job_button.button_class,
      confirmation = create_job_button.confirmation,
      roles = create_job_button.roles
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

-- Purpose: remove a job button; its results stay.
-- Parameters: button  its name
-- Returns: nothing
-- Writes:  rowhooks.job_button
create or replace function rowhooks.drop_job_button(button text) returns void
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
