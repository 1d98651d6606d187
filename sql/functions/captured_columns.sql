-- Purpose: quote a column's name. %I does not quote words that are reserved in PL/pgSQL alone: new.if is no column there.
-- Parameters: column_name  the name as it is stored
-- Returns: the name in double quotes
create or replace function rowhooks.always_quoted(column_name name) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.concat('"', pg_catalog.replace(column_name::pg_catalog.text, '"', '""'), '"')
$$;

-- Purpose: write the subquery that computes a virtual generated column of a row, for which a trigger's row has nothing.
--          PostgreSQL lets its expression use nothing but built-in functions and types.
-- Parameters: target_id    rowhooks.tracked_table.id
--             carrier      the table that the row is of
--             column_name  the column
-- Returns: a pattern for pg_catalog.format, with what holds the row in the place of %1$s, and the oid of its table in that of %2$s.
--          Its names are resolved as intended where search_path is pg_catalog, pg_temp.
-- Reads:   rowhooks.tracked_table
-- A partition may have another expression. The expression of the table that is read counts.
create or replace function rowhooks.computed_column(target_id integer, carrier oid, column_name name) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    '(select %s from (select %s) as stored)',
    (
      select pg_catalog.replace(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '%', '%%')
      from rowhooks.tracked_table as t
      join pg_catalog.pg_attribute as a on a.attrelid in (t.relation, carrier) and a.attname = column_name
      join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where t.id = target_id and a.attgenerated = 'v'
      order by a.attrelid = carrier
      limit 1
    ),
    (
      select pg_catalog.concat_ws(
        ', ',
        '%2$s as tableoid',
        pg_catalog.string_agg(
          pg_catalog.format('%%1$s.%1$s as %1$s', pg_catalog.replace(rowhooks.always_quoted(s.attname), '%', '%%')),
          ', ' order by s.attnum
        )
      )
      from pg_catalog.pg_attribute as s
      where s.attrelid = carrier and s.attnum > 0 and not s.attisdropped and s.attgenerated <> 'v'
    )
  )
$$;

-- Purpose: say whether a virtual generated column is computed by operators that are not PostgreSQL's own. The operators'
--          functions are PostgreSQL's, but the owner of an operator can give its name to another one.
-- Parameters: target_id    rowhooks.tracked_table.id
--             carrier      the table that the row is of
--             column_name  the column
-- Returns: true when it is, in the table that is tracked or in a partition of it
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.is_computed_by_others(target_id integer, carrier oid, column_name name) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from rowhooks.tracked_table as t
    join pg_catalog.pg_attribute as a on a.attrelid in (t.relation, carrier) and a.attname = column_name
    join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    join pg_catalog.pg_depend as k
      on k.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and k.objid = d.oid
      and k.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
    where t.id = target_id
  )
$$;

-- Purpose: list the columns of a table that are captured.
-- Parameters: target_id  rowhooks.tracked_table.id
--             carrier    the table: the tracked one or a partition of it, whose columns have other numbers
-- Returns: name, type and form (see rowhooks.json_form) of each, in order; of a virtual generated column also the subquery
--          that computes it, see rowhooks.computed_column, or the form "refused" where that is not safe
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.captured_columns(target_id integer, carrier oid)
returns table (name name, type oid, form text, computed text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select
    a.attname,
    a.atttypid,
    case when v.is_refused then 'refused' when a.atttypid < 16384 then 'plain' else rowhooks.json_form(a.atttypid) end,
    case when a.attgenerated = 'v' and not v.is_refused then rowhooks.computed_column(target_id, carrier, a.attname) end
  from pg_catalog.pg_attribute as a
  cross join lateral (
    select a.attgenerated = 'v' and rowhooks.is_computed_by_others(target_id, carrier, a.attname)
  ) as v (is_refused)
  where a.attrelid = carrier and a.attnum > 0 and not a.attisdropped
    and not exists (
      select from rowhooks.tracked_table as t
      left join pg_catalog.pg_attribute as e on e.attrelid = t.relation and e.attnum = any (t.excluded_numbers)
      where t.id = target_id and (e.attname = a.attname or a.attname = any (t.excluded_columns))
    )
  order by a.attnum
$$;
