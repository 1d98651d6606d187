-- Purpose: choose the column that people call a table's row by.
-- Parameters: target            the table
--             excluded_columns  columns that are kept out of the log
-- Returns: its name; null where the key has to do
create or replace function rowhooks.representing_column(target regclass, excluded_columns name[]) returns name
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select a.attname
  from pg_catalog.unnest(
    array['display_name', 'display', 'name', 'label', 'title', 'hostname', 'username', 'slug', 'code', 'serial', 'email']
  ) with ordinality as c (name, position)
  join pg_catalog.pg_attribute as a on a.attrelid = target and a.attname = c.name and not a.attisdropped
  where a.attname <> all (excluded_columns)
  order by c.position
  limit 1
$$;

-- Purpose: find the column that stands for a tracked table's row: the one that it was, by its number, whatever it is called
--          now; else the one that is chosen.
-- Parameters: entry  the table's entry
-- Returns: its name and number; nulls where the key has to do
create or replace function rowhooks.present_repr_column(entry rowhooks.tracked_table, excluded_columns name[])
returns table (name name, number smallint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select a.attname, a.attnum
  from (select) as one
  left join pg_catalog.pg_attribute as a on a.attrelid = (entry).relation and not a.attisdropped and a.attname = coalesce(
    (
      select p.attname from pg_catalog.pg_attribute as p
      where p.attrelid = (entry).relation and not p.attisdropped and case
        when (entry).repr_number is null then p.attname = (entry).repr_column else p.attnum = (entry).repr_number
      end
    ),
    rowhooks.representing_column((entry).relation, excluded_columns)
  )
$$;

-- Purpose: bring what rowhooks knows of a tracked table up to date after DDL: its name, its key's columns, the column that
--          stands for a row; and its capture function with them.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: true when something was out of date
-- Writes:  rowhooks.tracked_table
-- It takes no lock on the table. A table that has lost its key keeps the columns that it had.
create or replace function rowhooks.refresh_table(target_id integer) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
  was_stale boolean;
begin
  select t.id, n.nspname, c.relname, k.names, k.numbers, r.name, r.number, e.names, e.numbers, i.names, i.numbers,
    case
      when (t.schema_name, t.table_name) = (n.nspname, c.relname) then t.former_names
      else pg_catalog.array_remove(t.former_names, f.name) || f.name
    end,
    case when t.key_columns = k.names then t.former_keys else t.former_keys || coalesce(g.numbers, '{}') end
  into
    entry.id, entry.schema_name, entry.table_name, entry.key_columns, entry.key_numbers, entry.repr_column,
    entry.repr_number, entry.excluded_columns, entry.excluded_numbers, entry.ignored_columns, entry.ignored_numbers,
    entry.former_names, entry.former_keys
  from rowhooks.tracked_table as t
  join pg_catalog.pg_class as c on c.oid = t.relation
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  cross join lateral (
    select coalesce(pg_catalog.array_agg(p.name order by p.place), t.key_columns) as names,
      coalesce(pg_catalog.array_agg(p.number order by p.place), t.key_numbers) as numbers
    from rowhooks.present_key_columns(t.id) as p
  ) as k
  -- Once kept out, always kept out: a column that was renamed, and one that was made anew under the former name.
  cross join lateral (
    select
      array(
        select x.name from pg_catalog.unnest(t.excluded_columns) as x (name)
        union
        select a.attname from pg_catalog.pg_attribute as a
        where a.attrelid = t.relation and a.attnum = any (t.excluded_numbers) and not a.attisdropped
        order by 1
      ) as names,
      array(
        select a.attnum from pg_catalog.pg_attribute as a
        where a.attrelid = t.relation and not a.attisdropped
          and (a.attnum = any (t.excluded_numbers) or a.attname = any (t.excluded_columns))
        order by 1
      ) as numbers
  ) as e
  -- One that is dropped is no longer ignored, and one that is made anew under its name is another. One that has become part
  -- of the key tells the rows apart: what changes it is a change.
  cross join lateral (
    select
      coalesce(pg_catalog.array_agg(a.attname order by a.attnum), '{}') as names,
      coalesce(pg_catalog.array_agg(a.attnum order by a.attnum), '{}') as numbers
    from pg_catalog.pg_attribute as a
    where a.attrelid = t.relation and a.attnum = any (t.ignored_numbers) and not a.attisdropped
      and a.attname <> all (k.names)
  ) as i
  cross join lateral rowhooks.present_repr_column(t, e.names) as r
  cross join lateral pg_catalog.format('%I.%I', t.schema_name, t.table_name) as f (name)
  -- The log holds keys under these names still.
  cross join lateral (
    select pg_catalog.jsonb_object_agg(u.name, u.number) as numbers
    from rows from (pg_catalog.unnest(t.key_columns), pg_catalog.unnest(t.key_numbers)) as u (name, number)
  ) as g
  where t.id = target_id and t.untracked_at is null;

  update rowhooks.tracked_table as t
  set
    schema_name = entry.schema_name,
    table_name = entry.table_name,
    key_columns = entry.key_columns,
    key_numbers = entry.key_numbers,
    repr_column = entry.repr_column,
    repr_number = entry.repr_number,
    excluded_columns = entry.excluded_columns,
    excluded_numbers = entry.excluded_numbers,
    ignored_columns = entry.ignored_columns,
    ignored_numbers = entry.ignored_numbers,
    former_names = entry.former_names,
    former_keys = entry.former_keys
  where t.id = entry.id
    and (
      t.schema_name, t.table_name, t.key_columns, t.key_numbers, t.repr_column, t.repr_number, t.excluded_columns,
      t.excluded_numbers, t.ignored_columns, t.ignored_numbers
    ) is distinct from (
      entry.schema_name, entry.table_name, entry.key_columns, entry.key_numbers, entry.repr_column,
      entry.repr_number, entry.excluded_columns, entry.excluded_numbers, entry.ignored_columns, entry.ignored_numbers
    );
  was_stale := found;
  if entry.id is not null then
    -- Which does nothing where it would be the same function.
    perform rowhooks.build_capture(entry.id);
    perform rowhooks.hand_over(entry.id);
  end if;
  return was_stale;
end
$$;

-- Purpose: the same for all tracked tables, and to forget those that were dropped; called by the daemon when it meets a
--          table of another shape.
-- Returns: how many were out of date
-- Where somebody's open transaction is at one it gives up on it after an instant: that one brings it up to date itself,
-- or the daemon does when it comes back.
create or replace function rowhooks.refresh_tables() returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
  target integer;
  stale integer := 0;
begin
  for target in
    update rowhooks.tracked_table as t
    set untracked_at = pg_catalog.now()
    where t.untracked_at is null and not exists (select from pg_catalog.pg_class as c where c.oid = t.relation)
    returning t.id
  loop
    -- Cascade: the table's owner may have attached the function to another table of his.
    execute pg_catalog.format('drop function if exists rowhooks.%I() cascade', 'capture_' || target);
    stale := stale + 1;
  end loop;
  for target in select t.id from rowhooks.tracked_table as t where t.untracked_at is null order by t.id loop
    begin
      if rowhooks.refresh_table(target) then
        stale := stale + 1;
      end if;
    exception when lock_not_available then
      raise log 'rowhooks could not refresh tracked table % now: it is locked', target;
    end;
  end loop;
  perform rowhooks.note_partitions();
  return stale;
end
$$;
