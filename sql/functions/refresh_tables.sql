-- Purpose: say which columns of a tracked table are excluded now. Once excluded, always excluded: a column that was
--          renamed, and one that was made anew under the former name.
-- Parameters: entry  the table's entry
-- Returns: their names and numbers
create or replace function rowhooks.present_excluded(
  entry rowhooks.tracked_table, out names name[], out numbers smallint[]
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    array(
      select x.name from pg_catalog.unnest(entry.excluded_columns) as x (name)
      union
      select a.attname from pg_catalog.pg_attribute as a
      where a.attrelid = entry.relation and a.attnum = any (entry.excluded_numbers) and not a.attisdropped
      order by 1
    ),
    array(
      select a.attnum from pg_catalog.pg_attribute as a
      where a.attrelid = entry.relation and not a.attisdropped
        and (a.attnum = any (entry.excluded_numbers) or a.attname = any (entry.excluded_columns))
      order by 1
    )
$$;

-- Purpose: say which columns of a tracked table are ignored now. A dropped column is no longer ignored, and one that is made
--          anew under its name is another. A column that has become part of the key tells the rows apart: what changes it
--          is a change.
-- Parameters: entry     the table's entry
--             key_names  the columns of its key
-- Returns: their names and numbers
create or replace function rowhooks.present_ignored(
  entry rowhooks.tracked_table, key_names name[], out names name[], out numbers smallint[]
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    coalesce(pg_catalog.array_agg(a.attname order by a.attnum), '{}'),
    coalesce(pg_catalog.array_agg(a.attnum order by a.attnum), '{}')
  from pg_catalog.pg_attribute as a
  where a.attrelid = entry.relation and a.attnum = any (entry.ignored_numbers) and not a.attisdropped
    and a.attname <> all (key_names)
$$;

-- Purpose: write the entry of a tracked table as it should be after DDL: its name, the columns of its key and the column that
--          stands for a row, the columns that are excluded and ignored, and what it and its key were called before.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: the entry; null where the table is not tracked or was dropped
-- Reads:   rowhooks.tracked_table
-- A table that has lost its key keeps the columns that it had.
create or replace function rowhooks.present_entry(target_id integer) returns rowhooks.tracked_table
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  former rowhooks.tracked_table;
  entry rowhooks.tracked_table;
  former_name text;
begin
  select t.* into former
  from rowhooks.tracked_table as t
  join pg_catalog.pg_class as c on c.oid = t.relation
  where t.id = target_id and t.untracked_at is null;
  if not found then
    return null;
  end if;
  entry := former;
  select n.nspname, c.relname
  into entry.schema_name, entry.table_name
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.oid = former.relation;
  if (former.schema_name, former.table_name) <> (entry.schema_name, entry.table_name) then
    former_name := pg_catalog.format('%I.%I', former.schema_name, former.table_name);
    entry.former_names := pg_catalog.array_remove(former.former_names, former_name) || former_name;
  end if;
  select
    coalesce(pg_catalog.array_agg(p.name order by p.place), former.key_columns),
    coalesce(pg_catalog.array_agg(p.number order by p.place), former.key_numbers)
  into entry.key_columns, entry.key_numbers
  from rowhooks.present_key_columns(target_id) as p;
  if former.key_columns <> entry.key_columns then
    -- The log still holds keys under these names.
    select former.former_keys || coalesce(pg_catalog.jsonb_object_agg(u.name, u.number), '{}')
    into entry.former_keys
    from rows from (pg_catalog.unnest(former.key_columns), pg_catalog.unnest(former.key_numbers)) as u (name, number);
  end if;
  select e.names, e.numbers into entry.excluded_columns, entry.excluded_numbers
  from rowhooks.present_excluded(former) as e;
  select i.names, i.numbers into entry.ignored_columns, entry.ignored_numbers
  from rowhooks.present_ignored(former, entry.key_columns) as i;
  select r.name, r.number into entry.repr_column, entry.repr_number
  from rowhooks.present_repr_column(former, entry.excluded_columns) as r;
  return entry;
end
$$;

-- Purpose: bring the entry of a tracked table up to date after DDL, and its capture function with it.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: true when the entry was out of date
-- Writes:  rowhooks.tracked_table
-- It takes no lock on the table.
create or replace function rowhooks.refresh_table(target_id integer) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry constant rowhooks.tracked_table := rowhooks.present_entry(target_id);
  was_stale boolean;
begin
  update rowhooks.tracked_table as t
  set
    schema_name = entry.schema_name,
    table_name = entry.table_name,
    key_columns = entry.key_columns,
    key_numbers = entry.key_numbers,
    repr_column = entry.repr_column,
    repr_number = entry.repr_number,
    former_reprs = case
      when t.repr_number is distinct from entry.repr_number and t.repr_number is not null
        then pg_catalog.array_append(pg_catalog.array_remove(t.former_reprs, t.repr_number), t.repr_number)
      else t.former_reprs
    end,
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
    -- It does nothing where the function would be the same.
    perform rowhooks.build_capture(entry.id);
    perform rowhooks.hand_over(entry.id);
  end if;
  return was_stale;
end
$$;

-- Purpose: the same for all tracked tables; those that were dropped are marked as untracked. The daemon calls it when it
--          meets a table of another shape.
-- Returns: how many entries were out of date
-- An entry that an open transaction has locked is passed over after an instant: that transaction brings it up to date
-- itself, or the daemon does later.
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
    perform rowhooks.drop_capture(target);
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
  perform rowhooks.leave_unsafe_statement_forms();
  perform rowhooks.note_partitions();
  return stale;
end
$$;
