-- Purpose: write the condition under which the fast way is still safe and complete: the table has no column more than
--          when the function was made, and none whose value goes through to_jsonb has become another type, whose owner
--          might have made a cast. DDL is usually followed immediately. Where that was not possible, because
--          something was locked or missing, this notices it, and the row is turned into JSON column by column.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
--             row_name   new or old
-- Returns: an expression, false or null where the function is out of date
-- A privilege on a column is null where there is no such column; that is the cheapest look into the catalogue.
create or replace function rowhooks.is_up_to_date(target_id integer, target regclass, row_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.concat_ws(
    ' and ',
    pg_catalog.format(
      'pg_catalog.has_column_privilege(%s::pg_catalog.oid, %s::pg_catalog.int2, ''select'') is null',
      target::pg_catalog.oid, (select k.relnatts + 1 from pg_catalog.pg_class as k where k.oid = target)
    ),
    (select 'false' from rowhooks.captured_columns(target_id, target) as r where r.form = 'refused' limit 1),
    -- Two columns may have exchanged their names: a column is excluded by its number.
    (
      select pg_catalog.format(
        '(select pg_catalog.count(*) from pg_catalog.pg_attribute as a where %s) operator(pg_catalog.=) %s',
        pg_catalog.string_agg(
          pg_catalog.format(
            'a.attrelid operator(pg_catalog.=) %s::pg_catalog.oid and a.attnum operator(pg_catalog.=) %s::pg_catalog.int2'
            ' and a.attname operator(pg_catalog.=) %L::pg_catalog.name',
            target::pg_catalog.oid, x.attnum, x.attname
          ),
          ' or '
        ),
        pg_catalog.count(*)
      )
      from rowhooks.tracked_table as t
      join pg_catalog.pg_attribute as x on x.attrelid = target and x.attnum = any (t.excluded_numbers) and not x.attisdropped
      where t.id = target_id
      having pg_catalog.count(*) > 0
    ),
    -- An expression is never altered: another entry takes its place.
    (
      select pg_catalog.format(
        '(select pg_catalog.count(*) from pg_catalog.pg_attrdef as d where d.oid operator(pg_catalog.=) any (%L::pg_catalog.oid[])) '
        'operator(pg_catalog.=) %s',
        pg_catalog.array_agg(d.oid order by d.oid), pg_catalog.count(*)
      )
      from pg_catalog.pg_attribute as v
      join pg_catalog.pg_attrdef as d on d.adrelid = v.attrelid and d.adnum = v.attnum
      where v.attrelid = target and v.attgenerated = 'v'
      having pg_catalog.count(*) > 0
    ),
    pg_catalog.string_agg(
      pg_catalog.format(
        'pg_catalog.pg_typeof(%s.%s) operator(pg_catalog.=) %s::pg_catalog.oid',
        row_name, rowhooks.always_quoted(c.name), c.type
      ),
      ' and '
    ) filter (where c.form = 'plain')
  )
  from rowhooks.captured_columns(target_id, target) as c
$$;
