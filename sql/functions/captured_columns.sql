-- Purpose: say whether to_jsonb calls a cast to json for a type that a superuser has made. It may need rights that the
--          capture has not got, and leave out a part of the value: PostGIS's casts do both, their GeoJSON has no M. That of
--          hstore does neither.
-- Parameters: type_id  the type
-- Returns: true when there is such a cast
create or replace function rowhooks.has_lossy_cast(type_id oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from pg_catalog.pg_cast as c
    where c.castsource = type_id and c.casttarget = 'pg_catalog.json'::pg_catalog.regtype and c.castmethod = 'f'
      and not exists (
        select from pg_catalog.pg_depend as d
        join pg_catalog.pg_extension as e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass and d.objid = c.oid
          and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e' and e.extname = 'hstore'
      )
  )
$$;

-- Purpose: say how a value of a type may be turned into JSON. to_jsonb calls a cast to json that the owner of a type has
--          made, with the rights of the capture function. So a type is trusted by who owns it, and by nothing else: its
--          owner can make a cast, or add an attribute with one, at any time.
-- Parameters: type_id  the type
-- Returns: plain  to_jsonb never leaves the code of PostgreSQL and of superusers, and the value is there whole
--          text   by its text: an enum, a range, a composite type, a table's row
--          texts  an array of such, by the texts of its elements
create or replace function rowhooks.json_form(type_id oid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_type pg_catalog.pg_type;
begin
  select t.* into strict found_type from pg_catalog.pg_type as t where t.oid = type_id;
  if found_type.oid < 16384 then
    return 'plain';
  elsif found_type.typtype = 'd' then
    return rowhooks.json_form(found_type.typbasetype);
  elsif found_type.typcategory = 'A' and found_type.typelem <> 0 then
    return case
      when rowhooks.json_form(found_type.typelem) = 'plain' then 'plain'
      when (select e.typtype from pg_catalog.pg_type as e where e.oid = found_type.typelem) = 'c' then 'text'
      else 'texts'
    end;
  elsif not exists (select from pg_catalog.pg_roles as r where r.oid = found_type.typowner and r.rolsuper)
    or rowhooks.has_lossy_cast(type_id)
  then
    return 'text';
  elsif found_type.typtype = 'c' and exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = found_type.typrelid and a.attnum > 0 and not a.attisdropped
      and rowhooks.json_form(a.atttypid) <> 'plain'
  ) then
    return 'text';
  end if;
  return 'plain';
end
$$;

-- Purpose: find what a domain is made of.
-- Parameters: type_id  the type
-- Returns: the type that a domain is over, and is no domain; any other type as it is
create or replace function rowhooks.base_type(type_id oid) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive step (id, base) as (
    select t.oid, t.typbasetype from pg_catalog.pg_type as t where t.oid = type_id
    union all
    select t.oid, t.typbasetype from step as s join pg_catalog.pg_type as t on t.oid = s.base
  )
  select s.id from step as s where s.base = 0
$$;

-- Purpose: quote a column's name. %I leaves words bare that are PL/pgSQL's and not SQL's: new.if is no column to it.
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
--          Its names mean what they are to mean where search_path is pg_catalog, pg_temp.
-- Reads:   rowhooks.tracked_table
-- A partition may have another expression; the one that counts is that of the table which is read.
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

-- Purpose: say whether a virtual generated column is computed by operators of somebody's own. Their functions are
--          PostgreSQL's, but whoever owns them can give their names to others.
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
    case when v.is_refused then 'refused' else rowhooks.json_form(a.atttypid) end,
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

-- Purpose: write the expression that makes one column of a row a value for JSON, under its name.
-- Parameters: row_name     what holds the row
--             column_name  the column
--             form         see rowhooks.json_form
-- Returns: an item of a list of SELECT
create or replace function rowhooks.column_as_json(row_name text, column_name name, form text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    case form
      when 'plain' then '%1$s.%2$s as %2$s'
      -- concat() uses the type's output function, never a cast; and IS NOT DISTINCT FROM NULL no operator.
      when 'text' then 'case when %1$s.%2$s is not distinct from null then null else pg_catalog.concat(%1$s.%2$s) end as %2$s'
      else
        'case when %1$s.%2$s is not distinct from null then null '
        'else pg_catalog.concat(%1$s.%2$s)::pg_catalog.text[] end as %2$s'
    end,
    row_name, rowhooks.always_quoted(column_name)
  )
$$;

-- Purpose: the same for a column as rowhooks.captured_columns describes it.
-- Parameters: row_name     what holds the row
--             row_table    what holds the oid of its table
--             column_name  the column
--             form         see rowhooks.json_form
--             computed     see rowhooks.computed_column; null: it is stored
-- Returns: an item of a list of SELECT
create or replace function rowhooks.captured_as_json(
  row_name text, row_table text, column_name name, form text, computed text
) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    -- The type of such a column is always a built-in one.
    when computed is not null
      then pg_catalog.concat(pg_catalog.format(computed, row_name, row_table), ' as ', rowhooks.always_quoted(column_name))
    else rowhooks.column_as_json(row_name, column_name, form)
  end
$$;
