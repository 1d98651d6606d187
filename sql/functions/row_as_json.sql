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
set lc_monetary = 'C'
set quote_all_identifiers = 'off'
set array_nulls = 'on'
as $$
declare
  part record;
  one jsonb;
begin
  data := '{}';
  for part in select c.* from rowhooks.captured_columns(target_id, carrier) as c loop
    begin
      if part.form = 'refused' then
        raise exception 'it is computed by operators that are not PostgreSQL''s own' using errcode = 'feature_not_supported';
      end if;
      execute pg_catalog.format(
        'select pg_catalog.to_jsonb(v.*) from (select %s) as v',
        rowhooks.captured_as_json('($1)', '$2', part.name, part.form, part.computed)
      )
      into one
      using row_data, carrier;
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
set lc_monetary = 'C'
set quote_all_identifiers = 'off'
set array_nulls = 'on'
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
--          kept out or computed. Null where the session has other settings, and a value is made text before that can be
--          helped: such a row is captured column by column.
create or replace function rowhooks.row_as_json(target_id integer, target regclass, row_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    case
      when z.columns = '{}' then 'case when is_foreign then %1$s else %2$s end'
      else 'case when is_foreign then %1$s when is_zoned then %2$s operator(pg_catalog.||) %3$s else %2$s end'
    end,
    case
      when w.is_whole then pg_catalog.format('rowhooks.json_as_recorded(%s)', row_name)
      when w.is_settled then pg_catalog.format('(select rowhooks.json_as_recorded(listed) from (select %s) as listed)', w.items)
      else 'null'
    end,
    case
      when w.items is null then '''{}''::pg_catalog.jsonb'
      when w.is_whole then pg_catalog.format('pg_catalog.to_jsonb(%s)', row_name)
      else pg_catalog.format('(select pg_catalog.to_jsonb(listed.*) from (select %s) as listed)', w.items)
    end,
    rowhooks.timestamps_in_utc(row_name, z.columns)
  )
  from (
    select
      i.items,
      i.is_settled,
      i.is_plain and i.number = (
        select pg_catalog.count(*) from pg_catalog.pg_attribute as a
        where a.attrelid = target and a.attnum > 0 and not a.attisdropped
      ) as is_whole
    from (
      select
        pg_catalog.string_agg(
          rowhooks.captured_as_json(row_name, 'tg_relid', c.name, c.form, c.computed), ', '
        ) as items,
        coalesce(pg_catalog.bool_and(c.form = 'plain' and c.computed is null), false) as is_plain,
        -- What is made text before, an enum mostly, is the same under all settings.
        coalesce(
          pg_catalog.bool_and(
            c.computed is null
            and (c.form = 'plain' or c.form = 'text' and rowhooks.settings_of_type(c.type, true) = '{}')
          ),
          false
        ) as is_settled,
        pg_catalog.count(*) as number
      from rowhooks.captured_columns(target_id, target) as c
    ) as i
  ) as w
  cross join lateral rowhooks.zoned_columns(target_id, target) as z (columns)
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
    (select 'false' from rowhooks.captured_columns(target_id, target) as r where r.form = 'refused' limit 1),
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
    -- An expression is never altered: another one takes its place.
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
