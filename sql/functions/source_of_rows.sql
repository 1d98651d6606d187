-- Purpose: write the statement that passes over an update of nothing but ignored and excluded columns.
-- Parameters: tracked  the table's entry
-- Returns: the statement; empty where no column is ignored or excluded
create or replace function rowhooks.source_of_ignoring(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  -- Compared as bytes, as the trigger compares whole rows.
  select pg_catalog.format(
    $skip$
          if pg_catalog.record_image_eq(row(%s), row(%s)) then
            return null;
          end if;
      $skip$,
    pg_catalog.string_agg(coalesce(pg_catalog.format(c.computed, 'old', 'tg_relid'), 'old.' || rowhooks.always_quoted(c.name)), ', '),
    pg_catalog.string_agg(coalesce(pg_catalog.format(c.computed, 'new', 'tg_relid'), 'new.' || rowhooks.always_quoted(c.name)), ', ')
  )
  from rowhooks.captured_columns(tracked.id, tracked.relation) as c
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = tracked.relation and a.attnum = any (tracked.ignored_numbers) and a.attname = c.name
  )
  having pg_catalog.cardinality(tracked.excluded_numbers || tracked.ignored_numbers) > 0
$source$;

-- Purpose: write the statements that find out whether the session's settings change how a row is written. The log does not
--          write the same value in two ways because two sessions have different settings.
-- Parameters: tracked  the table's entry
-- Returns: the statements; null where no setting matters
create or replace function rowhooks.source_of_settings(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.string_agg(
    case
      when r.name = 'TimeZone' and rowhooks.zoned_columns(tracked.id, tracked.relation) <> '{}' then 'is_zoned := not '
      else 'is_foreign := is_foreign or not '
    end || r.is_same,
    '; '
  ) || ';'
  from rowhooks.settings_of_rows(tracked.id, tracked.relation) as r
$$;

-- Purpose: write the part of a capture function that turns the rows into JSON: in the fast way, or column by column.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_rows(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$  %1$s
  if not is_by_columns then
    begin
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        if %2$s then%3$s
          before_data := %4$s;
          row_data := %5$s;
        end if;
      elsif tg_op operator(pg_catalog.=) 'INSERT' then
        if %2$s then
          row_data := %5$s;
        end if;
      elsif %6$s then
        row_data := %4$s;
      end if;
      is_by_columns := coalesce(
        pg_catalog.pg_column_size(row_data)
        operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(before_data), 0) operator(pg_catalog.>) %7$s,
        true
      );
    exception when others then
      is_by_columns := true;
    end;
  end if;
  if is_by_columns then
    is_marked := true;
    if tg_op operator(pg_catalog.=) 'DELETE' then
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(%8$s, tg_relid, old) as r;
    else
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(%8$s, tg_relid, new) as r;
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        select r.data, r.problem into before_data, other_problem from rowhooks.row_by_columns(%8$s, tg_relid, old) as r;
        problem := coalesce(problem, other_problem);
      end if;
    end if;
  end if;
$body$,
    rowhooks.source_of_settings(tracked), rowhooks.is_up_to_date(tracked.id, tracked.relation, 'new'),
    rowhooks.source_of_ignoring(tracked), rowhooks.row_as_json(tracked.id, tracked.relation, 'old'),
    rowhooks.row_as_json(tracked.id, tracked.relation, 'new'), rowhooks.is_up_to_date(tracked.id, tracked.relation, 'old'),
    rowhooks.largest_row(), tracked.id
  )
$source$;
