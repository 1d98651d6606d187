-- Purpose: write the rows of those columns whose updates count.
-- Parameters: tracked   the table's entry
--             old_name  what holds the row before
--             new_name  what holds the row after
-- Returns: two expressions; no row where all columns count
create or replace function rowhooks.counted_columns(tracked rowhooks.tracked_table, old_name text, new_name text)
returns table (former text, present text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    pg_catalog.format('row(%s)', pg_catalog.string_agg(coalesce(
      pg_catalog.format(c.computed, old_name, 'tg_relid'), pg_catalog.concat(old_name, '.', rowhooks.always_quoted(c.name))
    ), ', ')),
    pg_catalog.format('row(%s)', pg_catalog.string_agg(coalesce(
      pg_catalog.format(c.computed, new_name, 'tg_relid'), pg_catalog.concat(new_name, '.', rowhooks.always_quoted(c.name))
    ), ', '))
  from rowhooks.captured_columns(tracked.id, tracked.relation) as c
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = tracked.relation and a.attnum = any (tracked.ignored_numbers) and a.attname = c.name
  )
  having pg_catalog.cardinality(tracked.excluded_numbers || tracked.ignored_numbers) > 0
$$;

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
          if pg_catalog.record_image_eq(%s, %s) then
            return null;
          end if;
      $skip$,
    c.former, c.present
  )
  from rowhooks.counted_columns(tracked, 'old', 'new') as c
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

-- Purpose: write the statements that turn the rows of one action into JSON. They stand in a block that catches what a value
--          cannot be, and a column that is no longer there. Nothing is written in it: a subtransaction that writes has an id of
--          its own. What the usual session does not need is in a branch of its own, because each transaction sets the
--          expressions up anew that it comes to.
-- Parameters: tracked  the table's entry
--             action   update, create or delete
-- Returns: statements that leave row_data null where the row is to be captured column by column
create or replace function rowhooks.source_of_json(tracked rowhooks.tracked_table, action text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$
    begin
      if is_by_columns is null and %1$s then%2$s
        %3$s
      end if;
    exception when others then
      row_data := null;
    end;$body$,
    rowhooks.is_up_to_date(tracked.id, tracked.relation, r.row_name),
    case when action = 'update' then rowhooks.source_of_ignoring(tracked) end,
    case
      when s.are_usual is null then j.usual
      else pg_catalog.format(
        $settings$if %1$s then
          %2$s
        else
          %3$s
          %4$s
        end if;$settings$,
        s.are_usual, j.usual, rowhooks.source_of_settings(tracked), j.anyhow
      )
    end
  )
  from (select case when action = 'delete' then 'old' else 'new' end) as r (row_name)
  cross join lateral (
    select
      pg_catalog.concat(
        case when action = 'update' then 'before_data := ' || rowhooks.usual_row_as_json(tracked.id, tracked.relation, 'old') || '; ' end,
        'row_data := ', rowhooks.usual_row_as_json(tracked.id, tracked.relation, r.row_name), ';'
      ) as usual,
      pg_catalog.concat(
        case when action = 'update' then 'before_data := ' || rowhooks.row_as_json(tracked.id, tracked.relation, 'old') || '; ' end,
        'row_data := ', rowhooks.row_as_json(tracked.id, tracked.relation, r.row_name), ';'
      ) as anyhow
  ) as j
  cross join (
    select pg_catalog.string_agg(n.is_same, ' and ') from rowhooks.settings_of_rows(tracked.id, tracked.relation) as n
  ) as s (are_usual)
$source$;

-- Purpose: write the part of a capture function that deals with the common case of one action: the table is as it was when
--          the function was made, and the session says nothing of itself.
-- Parameters: tracked  the table's entry
--             action   update, create or delete
-- Returns: statements that end the function if they have recorded the row
-- An INSERT is set up anew for each row, column by column and function by function. So it names the columns that are not
-- empty, and calls nothing.
create or replace function rowhooks.source_of_action(tracked rowhooks.tracked_table, action text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$%1$s%2$s
    if
      is_marked is null%3$s
      and pg_catalog.pg_column_size(row_data)%4$s operator(pg_catalog.<=) %5$s
    then
      %6$s
      representation := %7$s;
      insert into rowhooks.captured_change (action, tracked_table, %8$s)
      values (%9$L, %10$s, %11$s);
      %12$s
      return null;
    end if;$body$,
    case when action = 'update' then rowhooks.source_of_comparison(tracked) end,
    rowhooks.source_of_json(tracked, action),
    -- A column that the row is turned into JSON by is there: the statements above name it.
    case
      when tracked.key_columns <@ array(select n.name from rowhooks.captured_columns(tracked.id, tracked.relation) as n) then ''
      else pg_catalog.format(' and not (%s)', i.key_is_missing)
    end,
    case when action = 'update' then ' operator(pg_catalog.+) pg_catalog.pg_column_size(before_data)' end,
    rowhooks.largest_row(),
    case when i.identity <> 'null' then 'identity := ' || i.identity || ';' end,
    i.representation,
    pg_catalog.concat_ws(', ', case when i.identity <> 'null' then 'object_id' end, 'object_repr', c.columns),
    action, tracked.id,
    pg_catalog.concat_ws(', ', case when i.identity <> 'null' then 'identity' end, 'representation', c.variables),
    rowhooks.source_of_bell()
  )
  from rowhooks.identity_in_capture(tracked, 'row_data') as i
  join (
    values
    ('update', 'prechange, postchange', 'before_data, row_data'),
    ('create', 'postchange', 'row_data'),
    ('delete', 'prechange', 'row_data')
  ) as c (action, columns, variables) on c.action = source_of_action.action
$source$;

-- Purpose: write the part of a capture function that records a row in the common cases.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_rows(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    %1$s
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    %2$s
  else
    %3$s
  end if;
$body$,
    rowhooks.source_of_action(tracked, 'update'), rowhooks.source_of_action(tracked, 'create'),
    rowhooks.source_of_action(tracked, 'delete')
  )
$source$;
