-- Purpose: choose the column that stands for a table's rows in lists and logs.
-- Parameters: target            the table
--             excluded_columns  columns that are kept out of the log
-- Returns: its name; null where the key stands for the row
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
-- Returns: its name and number; nulls where the key stands for the row
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
