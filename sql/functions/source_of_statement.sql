-- Purpose: write the first part of a statement trigger's function: its variables, and what it passes over.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source
-- A name without the name of a row is a variable of the function's, whatever the table's columns are called: a query that reads
-- columns names each by its row.
create or replace function rowhooks.source_of_statement_beginning(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$
#variable_conflict use_variable
declare
  run pg_catalog.text;
  claimed_user pg_catalog.text;
  request pg_catalog.text;
  context pg_catalog.text;
  before_data pg_catalog.jsonb;
  row_data pg_catalog.jsonb;
  identity pg_catalog.jsonb;
  representation pg_catalog.text;
  problem pg_catalog.text;
  other_problem pg_catalog.text;
  is_marked pg_catalog.bool := false;
  is_by_columns pg_catalog.bool := false;
  is_foreign pg_catalog.bool := false;
  is_zoned pg_catalog.bool := false;
  is_current pg_catalog.bool;
  is_done pg_catalog.bool := false;
  captured pg_catalog.int8 := 0;
  total pg_catalog.int8;
  by_row pg_catalog.int8 := 0;
  "!place" pg_catalog.int8;
  "!rows" pg_catalog.refcursor;
begin
    %2$s
  -- How many of the last rows the row triggers have captured: the mark has gone meanwhile. While it is there they have captured
  -- none, and whatever the variable says is the session's own.
  if pg_catalog.current_setting(%1$s, true) operator(pg_catalog.<>) '' then
    if %3$s then
      by_row := %4$s;
    end if;
    perform pg_catalog.set_config(%1$s, '', true);
  end if;
  if
    %5$s
  then%6$s
  end if;
$body$,
    rowhooks.name_of_count(tracked),
    rowhooks.source_of_refusal(
      tracked,
      $kind$tg_level operator(pg_catalog.<>) 'STATEMENT'
      or tg_op operator(pg_catalog.<>) 'INSERT' and tg_op operator(pg_catalog.<>) 'UPDATE'$kind$
    ),
    rowhooks.has_mark_gone(tracked.id), rowhooks.present_count(tracked), rowhooks.is_session_marked(),
    rowhooks.source_of_session(tracked)
  )
$source$;

-- Purpose: write the part of a statement trigger's function that captures the statement's rows one by one where one INSERT has
--          not done it.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_statement_ending(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$  if not is_done then
    captured := 0;
    begin
      -- A column that the function does not know would be recorded as empty.
      if (
        case
          when is_by_columns then (
            select pg_catalog.count(*) from pg_catalog.pg_attribute as a
            where a.attrelid operator(pg_catalog.=) tg_relid
              and a.attnum operator(pg_catalog.>) 0::pg_catalog.int2
              and not a.attisdropped
          ) operator(pg_catalog.<>) %1$s::pg_catalog.int8
          else pg_catalog.has_column_privilege(tg_relid, %2$s::pg_catalog.int2, 'select') is not null
        end
      ) then
        raise exception 'columns were added, and rowhooks'' event triggers did not see it';
      end if;
      if tg_op operator(pg_catalog.=) 'INSERT' then%3$s
      else%4$s
      end if;
    exception when others then
      -- The table has other columns, and its mark has stayed or has just gone. No write is to fail for that.
      if by_row operator(pg_catalog.=) 0::pg_catalog.int8 then
        problem := pg_catalog.left(sqlerrm, 1000);
        insert into rowhooks.captured_change (
          action, tracked_table, user_name, request_id, change_context, receiver, capture_error
        )
        select
          (case when tg_op operator(pg_catalog.=) 'INSERT' then 'create' else 'update' end)::rowhooks.object_change_action,
          %5$s, claimed_user, request, context, run, problem
        from "!new rows";
        get diagnostics captured = row_count;
      end if;
    end;
  end if;
$body$,
    (
      select pg_catalog.count(*) from pg_catalog.pg_attribute as a
      where a.attrelid = tracked.relation and a.attnum > 0 and not a.attisdropped
    ),
    (select c.relnatts + 1 from pg_catalog.pg_class as c where c.oid = tracked.relation),
    rowhooks.source_of_second_try(tracked, 'INSERT'), rowhooks.source_of_second_try(tracked, 'UPDATE'), tracked.id
  )
$source$;

-- Purpose: write the body of a tracked table's statement triggers' function.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: the function's source; null where the table has no statement triggers
-- Reads:   rowhooks.tracked_table
-- The rules of rowhooks.source_of_capture hold here too.
create or replace function rowhooks.source_of_statement(target_id integer) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.concat(rowhooks.source_of_statement_beginning(t.*), pg_catalog.format(
    $body$  -- A query is set up anew for each statement, with all its expressions: for one row that costs more than it saves.
  select pg_catalog.count(*) into total from (select from "!new rows" limit 2) as few;
  if total operator(pg_catalog.=) 0::pg_catalog.int8 then
    return null;
  end if;
  %1$s
  if
    total operator(pg_catalog.>) 1::pg_catalog.int8
    and not is_by_columns
    and by_row operator(pg_catalog.=) 0::pg_catalog.int8
  then
    begin
      if tg_op operator(pg_catalog.=) 'INSERT' then%2$s
      else%3$s
      end if;
    exception when others then
      is_done := false;
    end;
  end if;
%4$s  if captured operator(pg_catalog.>) 0::pg_catalog.int8 then
    %5$s
  end if;
  return null;
end
$body$,
    rowhooks.source_of_settings(t.*), rowhooks.source_of_batch(t.*, 'INSERT'), rowhooks.source_of_batch(t.*, 'UPDATE'),
    rowhooks.source_of_statement_ending(t.*), rowhooks.source_of_bell()
  ))
  from rowhooks.tracked_table as t
  where t.id = target_id and t.mark is not null
$source$;
