-- Purpose: say whether a job hook asks for a column, in its column filter or in its conditions.
-- Parameters: columns      rowhooks.job_hook.columns
--             conditions   rowhooks.job_hook.conditions
--             column_name  the column
-- Returns: true when it does
create or replace function rowhooks.asks_for(columns text[], conditions jsonb, column_name name) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select column_name = any (columns) or exists (
    select from pg_catalog.jsonb_path_query(conditions, 'strict $.**.attr') as p (attr)
    cross join lateral pg_catalog.regexp_replace(p.attr #>> '{}', '^(new|old)[.]', '') as q (path)
    where column_name in (pg_catalog.split_part(p.attr #>> '{}', '.', 1), pg_catalog.split_part(q.path, '.', 1))
  )
$$;

-- Purpose: refuse a job hook that another one repeats: the same job, a common table and action, the same columns, ignored
--          ones too, and conditions.
-- Parameters: hook  the hook
-- Returns: nothing
-- Reads:   rowhooks.job, rowhooks.job_hook, rowhooks.table_meant, rowhooks.tracked_table
create or replace function rowhooks.check_hook_is_unique(hook rowhooks.job_hook) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  other record;
begin
  select
    o.name,
    case
      when o.type_create and hook.type_create then 'create'
      when o.type_update and hook.type_update then 'update'
      else 'delete'
    end as action,
    rowhooks.qualified_name(t.schema_name, t.table_name) as table_name,
    (select j.class_path from rowhooks.job as j where j.id = hook.job_id) as class_path
  into other
  from rowhooks.job_hook as o
  join rowhooks.table_meant as theirs on theirs.kind = 'hook' and theirs.owner_id = o.id and theirs.is_present
  join rowhooks.table_meant as ours
    on ours.kind = 'hook' and ours.owner_id = hook.id and ours.is_present and ours.id = theirs.id
  join rowhooks.tracked_table as t on t.id = theirs.id
  where o.id <> hook.id
    and o.job_id = hook.job_id
    and (
      (o.type_create and hook.type_create) or (o.type_update and hook.type_update) or (o.type_delete and hook.type_delete)
    )
    and o.conditions is not distinct from hook.conditions
    and o.columns operator(pg_catalog.<@) hook.columns
    and o.columns operator(pg_catalog.@>) hook.columns
    and o.ignored_columns operator(pg_catalog.<@) hook.ignored_columns
    and o.ignored_columns operator(pg_catalog.@>) hook.ignored_columns
  order by o.id, t.id
  limit 1;
  if found then
    raise exception 'A job hook already exists for % on % to job %', other.action, other.table_name, other.class_path
      using
        errcode = 'unique_violation',
        hint = pg_catalog.format('It is hook %s. Give one of them other columns or conditions.', other.name);
  end if;
end
$$;

-- Purpose: refuse a job hook that names a column which the log of one of its tables does not hold.
-- Parameters: hook  the hook
-- Returns: nothing
-- Reads:   rowhooks.table_meant, rowhooks.tracked_table
create or replace function rowhooks.check_hook_columns_are_recorded(hook rowhooks.job_hook) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  stray record;
begin
  select
    n.name, rowhooks.qualified_name(t.schema_name, t.table_name) as its_table, n.problem, n.option
  into stray
  from rowhooks.table_meant as x
  join rowhooks.tracked_table as t on t.id = x.id
  cross join lateral (
    -- A value that the log does not hold can never start the hook.
    select e.name, 'column %2$s is kept out of the log of %3$s' as problem, '--exclude' as option, 1 as place
    from pg_catalog.unnest(t.excluded_columns) as e (name)
    where rowhooks.asks_for(hook.columns, hook.conditions, e.name)
    union all
    select i.name, 'an update of nothing but column %2$s is not recorded of %3$s', '--ignore-columns', 2
    from pg_catalog.unnest(t.ignored_columns) as i (name)
    where i.name = any (hook.columns)
  ) as n
  where x.kind = 'hook' and x.owner_id = hook.id and x.is_present
  order by n.place
  limit 1;
  if found then
    raise exception '%', pg_catalog.format('job hook %1$s: ' || stray.problem, hook.name, stray.name, stray.its_table)
      using
        errcode = 'undefined_column',
        hint = pg_catalog.format('Name other columns, or track the table with %s for fewer.', stray.option);
  end if;
end
$$;

-- Purpose: refuse a job hook that names a column which none of its tables has.
-- Parameters: hook  the hook
-- Returns: nothing
-- Reads:   rowhooks.job_hook_table, rowhooks.table_meant, rowhooks.tracked_table
create or replace function rowhooks.check_hook_columns_exist(hook rowhooks.job_hook) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  stray text;
  its_tables text;
begin
  -- A table that was dropped has no columns to compare with.
  select pg_catalog.string_agg(rowhooks.qualified_name(t.schema_name, t.table_name), ', ' order by t.id)
  into its_tables
  from rowhooks.table_meant as x
  join rowhooks.tracked_table as t on t.id = x.id
  join pg_catalog.pg_class as c on c.oid = t.relation
  where x.kind = 'hook' and x.owner_id = hook.id and x.is_present;
  select n.name into stray
  from pg_catalog.unnest(hook.columns || hook.ignored_columns) as n (name)
  where its_tables is not null
    and not exists (
      select from rowhooks.job_hook_table as x
      join rowhooks.table_meant as m
        on m.kind = 'hook' and m.owner_id = hook.id and m.named_id = x.tracked_table_id and m.is_present
      join rowhooks.tracked_table as t on t.id = m.id
      join pg_catalog.pg_attribute as a on a.attrelid = t.relation
      where x.job_hook_id = hook.id
        and a.attnum > 0 and not a.attisdropped
        -- Or the column had this name when the hook named it.
        and (a.attname = n.name or m.id = x.tracked_table_id and a.attnum = (x.numbers ->> n.name)::smallint)
    )
  limit 1;
  if found then
    raise exception 'job hook %: there is no column % in %', hook.name, coalesce(stray, 'null'), its_tables
      using errcode = 'undefined_column', hint = 'Name columns of its tables, or none: then any column counts.';
  end if;
end
$$;

-- Purpose: check a job hook with its tables. At the end of the transaction, because the tables of a hook are inserted after
--          the hook.
-- Parameters: tg_argv[0]  the column that holds the hook's id
-- Returns: null (deferred constraint trigger function of rowhooks.job_hook and rowhooks.job_hook_table)
-- Reads:   rowhooks.job_hook, rowhooks.configuration
create or replace function rowhooks.check_hook_scope() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  its_id constant integer := (pg_catalog.to_jsonb(coalesce(new, old)) ->> tg_argv[0])::integer;
  hook rowhooks.job_hook;
begin
  -- Two transactions that make the same hook must see each other. Each of them has already changed this row at the end of
  -- its statement (rowhooks.configuration_changed), so that this lock waits for no other transaction.
  perform c.version from rowhooks.configuration as c for no key update;
  select h.* into hook from rowhooks.job_hook as h where h.id = its_id;
  if found then
    perform rowhooks.check_hook_is_unique(hook);
    perform rowhooks.check_hook_columns_are_recorded(hook);
    perform rowhooks.check_hook_columns_exist(hook);
  end if;
  return null;
end
$$;
