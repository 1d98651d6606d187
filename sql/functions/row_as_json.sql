-- Purpose: list the columns that make the rows NEW or OLD of a table JSON.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
--             row_name   new or old
-- Returns: items       a list of SELECT; null where no column is captured
--          is_whole    the row itself has the same columns, all of trusted types
--          is_settled  rowhooks.json_as_recorded can write them whatever the settings of the session
create or replace function rowhooks.json_items(
  target_id integer, target regclass, row_name text, out items text, out is_whole boolean, out is_settled boolean
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    i.items,
    i.is_plain and i.number = (
      select pg_catalog.count(*) from pg_catalog.pg_attribute as a
      where a.attrelid = target and a.attnum > 0 and not a.attisdropped
    ),
    i.is_settled
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
$$;

-- Purpose: write the expression that turns the rows NEW or OLD of a table into JSON, where the session has the settings of
--          the log.
-- Parameters: row_name  new or old
--             items     see rowhooks.json_items
--             is_whole  the same
-- Returns: to_jsonb of the whole row; a list of its columns where one of its types is not to be trusted, or a column is
--          kept out or computed
create or replace function rowhooks.items_as_json(row_name text, items text, is_whole boolean) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when items is null then '''{}''::pg_catalog.jsonb'
    when is_whole then pg_catalog.format('pg_catalog.to_jsonb(%s)', row_name)
    else pg_catalog.format('(select pg_catalog.to_jsonb(listed.*) from (select %s) as listed)', items)
  end
$$;

-- Purpose: the same for a table.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
--             row_name   new or old
-- Returns: the expression
create or replace function rowhooks.usual_row_as_json(target_id integer, target regclass, row_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select rowhooks.items_as_json(row_name, i.items, i.is_whole) from rowhooks.json_items(target_id, target, row_name) as i
$$;

-- Purpose: the same whatever the settings of the session are.
-- Returns: an expression that asks is_foreign and is_zoned. It is null where the session has other settings, and a value is
--          made text before that can be helped: such a row is captured column by column.
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
      when i.is_whole then pg_catalog.format('rowhooks.json_as_recorded(%s)', row_name)
      when i.is_settled then pg_catalog.format('(select rowhooks.json_as_recorded(listed) from (select %s) as listed)', i.items)
      else 'null'
    end,
    rowhooks.items_as_json(row_name, i.items, i.is_whole),
    rowhooks.timestamps_in_utc(row_name, z.columns)
  )
  from rowhooks.json_items(target_id, target, row_name) as i
  cross join lateral rowhooks.zoned_columns(target_id, target) as z (columns)
$$;
