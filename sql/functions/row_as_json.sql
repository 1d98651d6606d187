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
