-- Purpose: find the numbers of columns.
-- Parameters: target   the table
--             columns  their names
-- Returns: the numbers, in the same order; a name that no column has is left out
create or replace function rowhooks.numbers_of(target regclass, columns name[]) returns smallint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(pg_catalog.array_agg(a.attnum order by k.position), '{}')
  from pg_catalog.unnest(columns) with ordinality as k (name, position)
  join pg_catalog.pg_attribute as a on a.attrelid = target and a.attname = k.name
$$;

-- Purpose: say which columns of a table were excluded and ignored when it was last tracked. Where it is tracked again, or
--          was made anew under the same name, they still are, unless something else is asked for.
-- Parameters: target       the table, which is not tracked now
--             target_keys  the columns that tell its rows apart
-- Returns: names and numbers of both
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.columns_left_out_before(
  target regclass, target_keys name[],
  out excluded_columns name[], out excluded_numbers smallint[], out ignored_columns name[], out ignored_numbers smallint[]
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  former rowhooks.tracked_table;
begin
  select t.* into former
  from rowhooks.tracked_table as t
  join pg_catalog.pg_class as c on c.oid = target
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where t.relation = target
    or (t.schema_name, t.table_name) = (n.nspname, c.relname)
    and not exists (select from pg_catalog.pg_class as o where o.oid = t.relation)
  order by t.relation = target desc, t.id desc
  limit 1;
  select
    -- A name that no column has now may get one later.
    array(
      select x.name from pg_catalog.unnest(former.excluded_columns) as x (name) where x.name <> all (target_keys)
      union
      select pg_catalog.unnest(pg_catalog.array_agg(a.attname) filter (where k.is_excluded))
      order by 1
    ),
    pg_catalog.array_agg(a.attnum order by a.attnum) filter (where k.is_excluded),
    pg_catalog.array_agg(a.attname order by a.attnum) filter (where k.is_ignored),
    pg_catalog.array_agg(a.attnum order by a.attnum) filter (where k.is_ignored)
  into excluded_columns, excluded_numbers, ignored_columns, ignored_numbers
  from pg_catalog.pg_attribute as a
  cross join lateral (
    select
      a.attname = any (former.excluded_columns) or former.relation = target and a.attnum = any (former.excluded_numbers)
        as is_excluded,
      case
        when former.relation = target then a.attnum = any (former.ignored_numbers)
        else a.attname = any (former.ignored_columns)
      end as is_ignored
  ) as k
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attname <> all (target_keys);
end
$$;

-- Purpose: write the entry that a table is to have in the list of tracked tables.
-- Parameters: as for rowhooks.enter_table
-- Returns: the entry; its id is null where the table is not tracked yet
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.entry_of_table(
  target regclass, target_keys name[], by_hand boolean, target_excluded name[], target_ignored name[]
) returns rowhooks.tracked_table
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
begin
  select t.* into entry from rowhooks.tracked_table as t where t.relation = target and t.untracked_at is null;
  if not found then
    select b.* into entry.excluded_columns, entry.excluded_numbers, entry.ignored_columns, entry.ignored_numbers
    from rowhooks.columns_left_out_before(target, target_keys) as b;
  end if;
  select n.nspname, c.relname
  into entry.schema_name, entry.table_name
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.oid = target;
  entry.identity := case
    when not by_hand then 'key'
    when pg_catalog.cardinality(target_keys) > 0 then 'columns'
    else 'full'
  end;
  entry.key_columns := target_keys;
  entry.key_numbers := rowhooks.numbers_of(target, target_keys);
  if target_excluded is not null then
    entry.excluded_columns := target_excluded;
    entry.excluded_numbers := rowhooks.numbers_of(target, target_excluded);
  end if;
  if target_ignored is not null then
    entry.ignored_columns := target_ignored;
    entry.ignored_numbers := rowhooks.numbers_of(target, target_ignored);
  end if;
  entry.excluded_columns := coalesce(entry.excluded_columns, '{}');
  entry.excluded_numbers := coalesce(entry.excluded_numbers, '{}');
  entry.ignored_columns := coalesce(entry.ignored_columns, '{}');
  entry.ignored_numbers := coalesce(entry.ignored_numbers, '{}');
  entry.repr_column := rowhooks.representing_column(target, entry.excluded_columns);
  select a.attnum into entry.repr_number
  from pg_catalog.pg_attribute as a
  where a.attrelid = target and a.attname = entry.repr_column;
  return entry;
end
$$;
