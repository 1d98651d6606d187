-- Purpose: write the condition that columns of a row have the types that they had when the function was made. It is never
--          false: where a type is another one, it raises an error.
-- Parameters: row_name  new or old
--             columns   the columns, of types of PostgreSQL's own
--             types     their types, in the same order
-- Returns: an expression; null where there are no such columns
-- What follows ELSE is never executed, and the planner leaves it out. It is parsed all the same, and a session that parses it
-- finds no such function for other types: two polymorphic arrays are of one type, and no cast makes them so. A session that
-- has parsed it before is told by PL/pgSQL that a value is not of the type that the expression was prepared for. A comparison
-- of pg_typeof() for each column would be set up anew in each transaction, which costs more than to turn the row into JSON.
create or replace function rowhooks.has_same_types(row_name text, columns name[], types oid[]) returns text
language sql stable strict
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    '(case when true then pg_catalog.num_nulls(variadic array[%s]) is not null else %s end)',
    pg_catalog.string_agg(pg_catalog.format('%s.%s is null', row_name, rowhooks.always_quoted(c.name)), ', ' order by c.place),
    pg_catalog.string_agg(
      pg_catalog.format(
        'pg_catalog.array_eq(array[%s.%s], null::pg_catalog.%I)', row_name, rowhooks.always_quoted(c.name), a.typname
      ),
      ' and ' order by c.place
    )
  )
  from rows from (pg_catalog.unnest(columns), pg_catalog.unnest(types)) with ordinality as c (name, type, place)
  join pg_catalog.pg_type as t on t.oid = c.type
  join pg_catalog.pg_type as a on a.oid = t.typarray
$$;

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
    case when pg_catalog.bool_or(c.form = 'refused') then 'false' end,
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
    rowhooks.has_same_types(
      row_name,
      pg_catalog.array_agg(c.name) filter (where c.form = 'plain' and b.is_builtin),
      pg_catalog.array_agg(c.type) filter (where c.form = 'plain' and b.is_builtin)
    ),
    pg_catalog.string_agg(
      pg_catalog.format(
        'pg_catalog.pg_typeof(%s.%s) operator(pg_catalog.=) %s::pg_catalog.oid',
        row_name, rowhooks.always_quoted(c.name), c.type
      ),
      ' and '
    ) filter (where c.form = 'plain' and not b.is_builtin)
  )
  from rowhooks.captured_columns(target_id, target) as c
  -- An array of arrays has the type of its elements. A type of an extension may be in a schema that the function may not use.
  cross join lateral (
    select exists (
      select from pg_catalog.pg_type as t
      where t.oid = c.type and t.oid < 16384 and t.typarray <> 0 and t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
    )
  ) as b (is_builtin)
$$;
