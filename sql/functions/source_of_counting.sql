-- Purpose: write the expression that says whether an update has changed the bytes of a row's key.
-- Parameters: tracked   the table's entry
--             old_name  what holds the row before
--             new_name  what holds the row after
-- Returns: an expression
create or replace function rowhooks.is_key_changed(tracked rowhooks.tracked_table, old_name text, new_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    '(not pg_catalog.record_image_eq(row(%s), row(%s)))',
    pg_catalog.string_agg(pg_catalog.concat(old_name, '.', rowhooks.always_quoted(k.name)), ', ' order by k.place),
    pg_catalog.string_agg(pg_catalog.concat(new_name, '.', rowhooks.always_quoted(k.name)), ', ' order by k.place)
  )
  from pg_catalog.unnest(tracked.key_columns) with ordinality as k (name, place)
$$;

-- Purpose: the same for a trigger's condition.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: an expression
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.is_key_changed_in(target_id integer) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select rowhooks.is_key_changed(t.*, 'old', 'new') from rowhooks.tracked_table as t where t.id = target_id
$$;

-- Purpose: write the condition that a table's mark has gone: its row triggers capture everything.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: an expression, the cheapest look into the catalogue: it is null of a function that is not there
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.has_mark_gone(target_id integer) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format('pg_catalog.pg_function_is_visible(%s::pg_catalog.oid) is null', t.mark)
  from rowhooks.tracked_table as t
  where t.id = target_id
$$;

-- Purpose: write the expression that names the session's variable in which the row triggers of a table in the statement form
--          count the rows of a statement that they have captured.
-- Parameters: tracked  the table's entry
-- Returns: an expression
create or replace function rowhooks.name_of_count(tracked rowhooks.tracked_table) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    'pg_catalog.concat(''rowhooks.captured_%s_'', tg_op, ''_'', pg_catalog.pg_trigger_depth())', tracked.id
  )
$$;

-- Purpose: write the expression for what that variable says. Any session may set it to anything: no write is to fail for that.
-- Parameters: tracked  the table's entry
-- Returns: an expression of type bigint
create or replace function rowhooks.present_count(tracked rowhooks.tracked_table) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    '(case when pg_catalog.current_setting(%1$s, true) operator(pg_catalog.~) ''^[0-9]{1,18}$'' '
    'then pg_catalog.current_setting(%1$s, true)::pg_catalog.int8 else 0::pg_catalog.int8 end)',
    rowhooks.name_of_count(tracked)
  )
$$;

-- Purpose: write the part of a row trigger's function that counts the rows that the statement trigger is not to capture. The
--          table's mark may go while a statement runs: its last rows are then the row triggers', and its first ones are not.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source; empty where the table has no statement triggers
create or replace function rowhooks.source_of_counting(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select case
    when tracked.mark is null then ''
    else pg_catalog.format(
      $count$
  declare
    is_counted pg_catalog.bool := tg_op operator(pg_catalog.=) 'INSERT';
  begin
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      begin
        is_counted := not %2$s;
      exception when others then
        -- A column of the key has another name, or is gone, and no event trigger saw it.
        is_counted := %4$s;
      end;
    end if;
    if is_counted then
      perform pg_catalog.set_config(
        %1$s, (%3$s operator(pg_catalog.+) 1::pg_catalog.int8)::pg_catalog.text, true
      );
    end if;
  end;
      $count$,
      rowhooks.name_of_count(tracked), rowhooks.is_key_changed(tracked, 'old', 'new'), rowhooks.present_count(tracked),
      rowhooks.has_mark_gone(tracked.id)
    )
  end
$source$;
