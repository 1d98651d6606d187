-- Purpose: say how a value of a type may be turned into JSON. to_jsonb calls a cast to json that the owner of a type has
--          made, with the rights of the capture function. So a type is trusted by who owns it, and by nothing else: its
--          owner can make a cast, or add an attribute with one, at any time.
-- Parameters: type_id  the type
-- Returns: plain  to_jsonb never leaves the code of PostgreSQL and of superusers
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
  elsif not exists (select from pg_catalog.pg_roles as r where r.oid = found_type.typowner and r.rolsuper) then
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

-- Purpose: list the columns of a table that are captured.
-- Parameters: target_id  rowhooks.tracked_table.id
--             carrier    the table: the tracked one or a partition of it, whose columns have other numbers
-- Returns: name, type and form (see rowhooks.json_form) of each, in order
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.captured_columns(target_id integer, carrier oid)
returns table (name name, type oid, form text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select a.attname, a.atttypid, rowhooks.json_form(a.atttypid)
  from pg_catalog.pg_attribute as a
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

-- Purpose: the size of a row as jsonb beyond which it is recorded without its largest columns: written out as JSON an
--          update's two rows must stay below the 1 GB that PostgreSQL can send, and a byte may become six ("\u0001").
-- Returns: bytes
create or replace function rowhooks.largest_row() returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select 80000000
$$;

-- Purpose: turn a row into JSON column by column, whatever its table has become: what cannot be captured costs its column
--          and not the row. Called by the capture functions where the fast way does not do, with their rights.
-- Parameters: target_id  rowhooks.tracked_table.id
--             carrier    the table that the row is of
--             row_data   the row
-- Returns: data     the columns that could be captured; null where none could
--          problem  why others could not, each with its name; null where all could
create or replace function rowhooks.row_by_columns(
  target_id integer, carrier oid, row_data record, out data jsonb, out problem text
)
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
declare
  part record;
  one jsonb;
begin
  data := '{}';
  for part in select c.name, c.form from rowhooks.captured_columns(target_id, carrier) as c loop
    begin
      execute pg_catalog.format(
        'select pg_catalog.to_jsonb(v.*) from (select %s) as v', rowhooks.column_as_json('($1)', part.name, part.form)
      )
      into one
      using row_data;
      if pg_catalog.pg_column_size(data) + pg_catalog.pg_column_size(one) > rowhooks.largest_row() then
        raise exception 'too large to be recorded (% bytes)', pg_catalog.pg_column_size(one)
          using errcode = 'program_limit_exceeded';
      end if;
      data := data || one;
    exception when others then
      problem := pg_catalog.left(pg_catalog.concat_ws('; ', problem, pg_catalog.format('%s: %s', part.name, sqlerrm)), 1000);
    end;
  end loop;
  if problem is not null and data = '{}' then
    data := null;
  end if;
exception when others then
  data := null;
  problem := pg_catalog.left(sqlerrm, 1000);
end
$$;

-- Purpose: turn a row into JSON as the log has it, whatever the settings of the session that writes.
-- Parameters: row_data  the row, of types that are all trusted
-- Returns: the row
create or replace function rowhooks.json_as_recorded(row_data record) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
begin
  return pg_catalog.to_jsonb(row_data);
end
$$;

-- Purpose: write the expression that turns the rows NEW or OLD of a table into JSON.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
--             row_name   new or old
-- Returns: to_jsonb of the whole row; a list of its columns where one of its types is not to be trusted, or a column is
--          kept out
create or replace function rowhooks.row_as_json(target_id integer, target regclass, row_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when pg_catalog.bool_and(c.form = 'plain') and pg_catalog.count(*) = (
      select pg_catalog.count(*) from pg_catalog.pg_attribute as a
      where a.attrelid = target and a.attnum > 0 and not a.attisdropped
    )
      then pg_catalog.format('case when is_foreign then rowhooks.json_as_recorded(%1$s) else pg_catalog.to_jsonb(%1$s) end', row_name)
    when pg_catalog.count(*) = 0 then '''{}''::pg_catalog.jsonb'
    else pg_catalog.format(
      '(select pg_catalog.to_jsonb(listed.*) from (select %s) as listed)',
      pg_catalog.string_agg(rowhooks.column_as_json(row_name, c.name, c.form), ', ')
    )
  end
  from rowhooks.captured_columns(target_id, target) as c
$$;

-- Purpose: write the condition under which the fast way is still safe and complete: the table has no column more than
--          when the function was made, and none whose value goes through to_jsonb has become another type, whose owner
--          might have made a cast. DDL is mostly followed at once; but where that could not be done, by whatever is
--          locked or missing, this notices, and the row is turned into JSON column by column.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
--             row_name   new or old
-- Returns: an expression, false or null where the function is out of date
-- A privilege on a column is null where there is no such column; asking for it is the cheapest look into the catalogue.
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
    -- Two columns may have exchanged their names: one that is kept out is so by its number.
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

-- Purpose: say which settings of a session change how a value of a type is written as JSON or text.
-- Parameters: type_id  the type
-- Returns: names of settings; none for most types. Of a type that is not known all of them.
create or replace function rowhooks.settings_of_type(type_id oid) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_type pg_catalog.pg_type;
  subtype oid;
  everything constant pg_catalog.text[] := array['TimeZone', 'DateStyle', 'IntervalStyle', 'bytea_output', 'extra_float_digits'];
begin
  select t.* into strict found_type from pg_catalog.pg_type as t where t.oid = type_id;
  if found_type.typtype = 'd' then
    return rowhooks.settings_of_type(found_type.typbasetype);
  elsif found_type.typcategory = 'A' and found_type.typelem <> 0 then
    return rowhooks.settings_of_type(found_type.typelem);
  elsif found_type.typtype = 'e' then
    return '{}';
  elsif found_type.typtype in ('r', 'm') then
    select coalesce(r.rngsubtype, 0) into subtype
    from pg_catalog.pg_range as r where r.rngtypid = type_id or pg_catalog.to_jsonb(r) ->> 'rngmultitypid' = type_id::pg_catalog.text;
    -- A range is written as text, its bounds as their type's text.
    return case
      when subtype in (20, 23, 1700) then '{}'::pg_catalog.text[] else everything
    end;
  elsif found_type.oid >= 16384 or found_type.typtype not in ('b', 'p') then
    return everything;
  elsif found_type.typname in ('float4', 'float8', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle') then
    return array['extra_float_digits'];
  elsif found_type.typname = 'timestamptz' then
    return array['TimeZone'];
  elsif found_type.typname = 'interval' then
    return array['IntervalStyle'];
  elsif found_type.typname = 'bytea' then
    return array['bytea_output'];
  end if;
  return '{}';
end
$$;

-- Purpose: list the settings that change how a table's rows are written, each with the value by which they are recorded.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
-- Returns: name, value, and the condition under which a session's value writes the same
create or replace function rowhooks.settings_of_rows(target_id integer, target regclass)
returns table (name text, value text, is_same text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select s.name, s.value, pg_catalog.format('pg_catalog.current_setting(%L) %s', s.name, s.comparison)
  from (
    values
    ('TimeZone', 'UTC', 'operator(pg_catalog.=) ''UTC'''),
    ('DateStyle', 'ISO', 'operator(pg_catalog.~) ''^ISO'''),
    ('IntervalStyle', 'postgres', 'operator(pg_catalog.=) ''postgres'''),
    ('bytea_output', 'hex', 'operator(pg_catalog.=) ''hex'''),
    ('extra_float_digits', '1', 'operator(pg_catalog.~) ''^[1-9]''')
  ) as s (name, value, comparison)
  where exists (
    select from rowhooks.captured_columns(target_id, target) as c where s.name = any (rowhooks.settings_of_type(c.type))
  )
$$;
