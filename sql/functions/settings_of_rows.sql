-- Purpose: say which settings of a session change how a value of a type is written as JSON or text.
-- Parameters: type_id     the type
--             is_by_text  it is written as text, as inside of a range or composite type; JSON has one form for times
-- Returns: names of settings; none for most types; for an unknown type, all that may
create or replace function rowhooks.settings_of_type(type_id oid, is_by_text boolean) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_type pg_catalog.pg_type;
begin
  select t.* into strict found_type from pg_catalog.pg_type as t where t.oid = type_id;
  if found_type.typtype = 'd' then
    return rowhooks.settings_of_type(found_type.typbasetype, is_by_text);
  elsif found_type.typcategory = 'A' and found_type.typelem <> 0 then
    return rowhooks.settings_of_type(found_type.typelem, is_by_text);
  elsif found_type.typtype = 'e' then
    return '{}';
  elsif found_type.typtype in ('r', 'm') then
    return (
      select rowhooks.settings_of_type(r.rngsubtype, true)
      from pg_catalog.pg_range as r where type_id in (r.rngtypid, r.rngmultitypid)
    );
  elsif found_type.typtype = 'c' then
    return array(
      select distinct s.name
      from pg_catalog.pg_attribute as a
      cross join lateral pg_catalog.unnest(rowhooks.settings_of_type(a.atttypid, true)) as s (name)
      where a.attrelid = found_type.typrelid and a.attnum > 0 and not a.attisdropped
      order by 1
    );
  elsif found_type.oid >= 16384 and exists (
    select from pg_catalog.pg_proc as p where p.oid = found_type.typoutput and p.provolatile = 'i'
  ) then
    -- PostgreSQL's own immutable functions depend on these at the most.
    return array['IntervalStyle', 'bytea_output', 'extra_float_digits'];
  elsif found_type.oid >= 16384 or found_type.typtype not in ('b', 'p') then
    return array['TimeZone', 'DateStyle', 'IntervalStyle', 'bytea_output', 'extra_float_digits', 'lc_monetary'];
  end if;
  return case
    when found_type.typname in ('float4', 'float8', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle')
      then array['extra_float_digits']
    when found_type.typname = 'timestamptz' and is_by_text then array['TimeZone', 'DateStyle']
    when found_type.typname = 'timestamptz' then array['TimeZone']
    when found_type.typname in ('timestamp', 'date') and is_by_text then array['DateStyle']
    when found_type.typname = 'interval' then array['IntervalStyle']
    when found_type.typname = 'bytea' then array['bytea_output']
    when found_type.typname = 'money' then array['lc_monetary']
    when found_type.typname like 'reg%' then array['search_path', 'quote_all_identifiers']
    else '{}'
  end;
end
$$;

-- Purpose: list the columns whose values a session's time zone changes, where all of them are timestamps: these are written
--          in UTC without changing the setting, which would cost about as much as everything else.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
-- Returns: their names; none where there are others too, or more than a function has arguments for
create or replace function rowhooks.zoned_columns(target_id integer, target regclass) returns name[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when pg_catalog.bool_and(b.is_timestamp) and pg_catalog.count(*) <= 50
      then pg_catalog.array_agg(c.name order by c.name)
    else '{}'
  end
  from rowhooks.captured_columns(target_id, target) as c
  cross join lateral (
    select c.computed is null and rowhooks.base_type(c.type) = 'pg_catalog.timestamptz'::pg_catalog.regtype
  ) as b (is_timestamp)
  where 'TimeZone' = any (rowhooks.settings_of_type(c.type, c.form <> 'plain'))
$$;

-- Purpose: write the expression that makes timestamps of a row JSON, in UTC.
-- Parameters: row_name  what holds the row
--             columns   see rowhooks.zoned_columns
-- Returns: an expression for a JSON object of these columns
create or replace function rowhooks.timestamps_in_utc(row_name text, columns name[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    'pg_catalog.jsonb_build_object(%s)',
    pg_catalog.string_agg(
      pg_catalog.format(
        '%1$L, case when %2$s is null then null when not pg_catalog.isfinite(%2$s) then %2$s::pg_catalog.text '
        'else pg_catalog.replace(pg_catalog.concat(pg_catalog.to_jsonb(pg_catalog.timezone(''UTC'', %2$s)) '
        'operator(pg_catalog.#>>) ''{}'', ''+00:00''), '' BC+00:00'', ''+00:00 BC'') end',
        c.name, pg_catalog.concat(row_name, '.', rowhooks.always_quoted(c.name))
      ),
      ', '
    )
  )
  from pg_catalog.unnest(columns) as c (name)
$$;

-- Purpose: list the settings that change how a table's rows are written.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
-- Returns: name, and the condition under which a session's value writes the same as rowhooks.json_as_recorded
create or replace function rowhooks.settings_of_rows(target_id integer, target regclass)
returns table (name text, is_same text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select s.name, pg_catalog.format('pg_catalog.current_setting(%L) %s', s.name, s.comparison)
  from (
    values
    -- Two names of one zone; Debian and the container images choose the longer one.
    ('TimeZone', 'operator(pg_catalog.=) any (''{UTC,Etc/UTC}''::pg_catalog.text[])'),
    ('DateStyle', 'operator(pg_catalog.~) ''^ISO'''),
    ('IntervalStyle', 'operator(pg_catalog.=) ''postgres'''),
    ('bytea_output', 'operator(pg_catalog.=) ''hex'''),
    ('extra_float_digits', 'operator(pg_catalog.~) ''^[1-9]'''),
    ('lc_monetary', 'operator(pg_catalog.=) ''C'''),
    ('search_path', 'operator(pg_catalog.=) ''pg_catalog, pg_temp'''),
    ('quote_all_identifiers', 'operator(pg_catalog.=) ''off'''),
    ('array_nulls', 'operator(pg_catalog.=) ''on''')
  ) as s (name, comparison)
  -- An array, so that columns are looked at once and not once for each setting, and the settings keep their order.
  where s.name = any (array(
    select n.name
    from rowhooks.captured_columns(target_id, target) as c
    cross join lateral (
      select pg_catalog.unnest(rowhooks.settings_of_type(c.type, c.form <> 'plain'))
      -- Its text is read as an array.
      union all
      select 'array_nulls' where c.form = 'texts'
      -- An expression may make text of anything, by immutable functions.
      union all
      select pg_catalog.unnest(array['IntervalStyle', 'bytea_output', 'extra_float_digits', 'quote_all_identifiers'])
      where c.computed is not null
    ) as n (name)
  ))
$$;
