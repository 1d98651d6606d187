-- Purpose: change the tables that a hook or a button is on.
-- Parameters: kind       hook or button
--             origin_id  its id
--             changes    lists of rowhooks.tracked_table.id: only_tables, all of them from now on; more_tables, beside the others;
--                        fewer_tables, no more. One that it is on is known by its present name from now on
-- Returns: nothing
-- Writes:  rowhooks.job_hook_table or rowhooks.job_button_table, rowhooks.job_hook or rowhooks.job_button
create or replace function rowhooks.move_origin(kind text, origin_id integer, changes jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  links constant pg_catalog.text := pg_catalog.format('job_%s_table', kind);
  key constant pg_catalog.text := pg_catalog.format('job_%s_id', kind);
  only_tables constant pg_catalog.int4[] := array(
    select x.id::pg_catalog.int4 from pg_catalog.jsonb_array_elements_text(changes -> 'only_tables') as x (id)
  );
  fewer_tables constant pg_catalog.int4[] := array(
    select x.id::pg_catalog.int4 from pg_catalog.jsonb_array_elements_text(changes -> 'fewer_tables') as x (id)
  );
  added constant pg_catalog.int4[] := only_tables || array(
    select x.id::pg_catalog.int4 from pg_catalog.jsonb_array_elements_text(changes -> 'more_tables') as x (id)
  );
begin
  execute pg_catalog.format(
    'delete from rowhooks.%I as x where x.%I = $1 and ($2 and x.tracked_table_id <> all ($3) or x.tracked_table_id = any ($4))',
    links, key
  )
  using origin_id, changes operator(pg_catalog.?) 'only_tables', only_tables, fewer_tables;
  -- A link that means a table by name gives way to one that means its present entry.
  execute pg_catalog.format(
    'delete from rowhooks.%I as x using rowhooks.table_meant as m '
    'where m.kind = $1 and m.owner_id = x.%2$I and m.named_id = x.tracked_table_id and m.is_present '
    'and x.%2$I = $2 and m.id = any ($3) and m.id <> m.named_id',
    links, key
  )
  using kind, origin_id, added;
  execute pg_catalog.format(
    'insert into rowhooks.%I as x (%2$I, tracked_table_id) select $1, y.id from pg_catalog.unnest($2) as y (id) '
    'on conflict (%2$I, tracked_table_id) do update set schema_name = excluded.schema_name, table_name = excluded.table_name',
    links, key
  )
  using origin_id, added;
  -- Whoever reads it and changes it in one REPEATABLE READ transaction is refused if another one has changed it meanwhile.
  if changes operator(pg_catalog.?|) array['only_tables', 'more_tables', 'fewer_tables'] then
    execute pg_catalog.format('update rowhooks.%I set name = name where id = $1', 'job_' || kind) using origin_id;
  end if;
end
$$;

-- Purpose: change a job hook, see rowhooks.alter_job_hook.
-- Parameters: hook     its name
--             changes  as there
-- Returns: rowhooks.job_hook.id
-- Writes:  rowhooks.job_hook, rowhooks.job_hook_table
create or replace function rowhooks.change_job_hook(hook text, changes jsonb) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  present rowhooks.job_hook;
  its_job constant pg_catalog.int4 := case
    when changes operator(pg_catalog.?) 'job' then rowhooks.job_to_start(changes ->> 'job', 'hook', false)
  end;
  -- Those that are given, and no others: a trigger notes the names of columns where they are written anew.
  assignments constant pg_catalog.text := (
    select pg_catalog.string_agg(a.assignment, ', ')
    from (
      values
        ('name', 'name = $2 ->> ''name'''),
        ('job', 'job_id = $3'),
        (
          'actions',
          'type_create = $2 -> ''actions'' ? ''create'', type_update = $2 -> ''actions'' ? ''update'', '
          'type_delete = $2 -> ''actions'' ? ''delete'''
        ),
        ('columns', 'columns = array(select pg_catalog.jsonb_array_elements_text($2 -> ''columns''))'),
        ('ignored_columns', 'ignored_columns = array(select pg_catalog.jsonb_array_elements_text($2 -> ''ignored_columns''))'),
        ('conditions', 'conditions = nullif($2 -> ''conditions'', ''null'')'),
        ('on_undecided', 'on_undecided = $2 ->> ''on_undecided'''),
        ('queue', 'queue = $2 ->> ''queue''')
    ) as a (key, assignment)
    where changes operator(pg_catalog.?) a.key
  );
begin
  select h.* into present from rowhooks.job_hook as h where h.name = hook for update;
  if not found then
    raise exception 'there is no hook %', hook using errcode = 'undefined_object', hint = 'see: rowhooks hooks list';
  elsif present.declared then
    perform rowhooks.refuse_declared(present);
  elsif not changes -> 'actions' operator(pg_catalog.<@) '["create", "update", "delete"]' then
    raise exception 'hook %: its actions are %', hook, changes ->> 'actions'
      using errcode = 'invalid_parameter_value', hint = 'Choose from: create, update, delete.';
  end if;
  if assignments is not null then
    execute pg_catalog.format('update rowhooks.job_hook set %s where id = $1', assignments) using present.id, changes, its_job;
  end if;
  perform rowhooks.move_origin('hook', present.id, changes);
  return present.id;
end
$$;

-- Purpose: change a job button, see rowhooks.alter_job_button.
-- Parameters: button   its name
--             changes  as there
-- Returns: rowhooks.job_button.id
-- Writes:  rowhooks.job_button, rowhooks.job_button_table
create or replace function rowhooks.change_job_button(button text, changes jsonb) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  present rowhooks.job_button;
  given pg_catalog.record;
begin
  select b.* into present from rowhooks.job_button as b where b.name = button for update;
  if not found then
    raise exception 'there is no button %', button
      using errcode = 'undefined_object', hint = 'see: rowhooks buttons list';
  end if;
  select x.* into given
  from pg_catalog.jsonb_to_record(changes) as x (
    job text, text text, group_name text, weight integer, button_class text, confirmation boolean, roles text[],
    queue text, enabled boolean
  );
  perform rowhooks.check_roles(given.roles);
  if given.job is not null then
    present.job_id := rowhooks.job_to_start(given.job, 'button', false);
  end if;
  update rowhooks.job_button as b
  set
    job_id = present.job_id,
    group_name = coalesce(given.group_name, b.group_name),
    weight = coalesce(given.weight, b.weight),
    button_class = coalesce(given.button_class, b.button_class),
    confirmation = coalesce(given.confirmation, b.confirmation),
    roles = coalesce(given.roles, b.roles),
    queue = case when changes operator(pg_catalog.?) 'queue' then given.queue else b.queue end,
    enabled = coalesce(given.enabled, b.enabled)
  where b.id = present.id
    and changes operator(pg_catalog.?|)
      array['job', 'group_name', 'weight', 'button_class', 'confirmation', 'roles', 'queue', 'enabled'];
  if given.text is not null then
    -- By itself: a trigger notes the names of columns where it is written anew.
    update rowhooks.job_button as b set text = given.text where b.id = present.id;
  end if;
  perform rowhooks.move_origin('button', present.id, changes);
  return present.id;
end
$$;

-- Purpose: change a job hook that is not declared in code.
-- Parameters: hook     its name
--             changes  what is to be other, by the names of the parameters of rowhooks.create_job_hook, without tables and
--                      enabled; name: its new name; only_tables, more_tables, fewer_tables: lists of rowhooks.tracked_table.id
-- Returns: rowhooks.job_hook.id
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.alter_job_hook(hook text, changes jsonb) returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object, arguments)
  values ('alter_job_hook', hook, changes)
  returning (result #>> '{}')::integer
$$;

-- Purpose: change a job button.
-- Parameters: button   its name
--             changes  what is to be other, by the names of the parameters of rowhooks.create_job_button, without tables;
--                      only_tables, more_tables, fewer_tables: lists of rowhooks.tracked_table.id
-- Returns: rowhooks.job_button.id
-- Writes:  rowhooks.act (admin)
create or replace function rowhooks.alter_job_button(button text, changes jsonb) returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object, arguments)
  values ('alter_job_button', button, changes)
  returning (result #>> '{}')::integer
$$;
