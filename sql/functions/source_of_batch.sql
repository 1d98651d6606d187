-- Purpose: write the part of a statement trigger's function that captures the statement's rows by one INSERT. It leaves that
--          to the part below where a row cannot be captured so.
-- Parameters: tracked  the table's entry
--             action   INSERT or UPDATE
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_batch(tracked rowhooks.tracked_table, action text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$
      -- Looked at once, on the first row: whether the function is what the table needs.
      select (%1$s) and not (%2$s) into is_current
      from (select %3$s from "!new rows" as "!row" limit 1) as "!new"
      cross join lateral (select %4$s as row_data) as "!json";
      if is_current then
        -- Without an action a row is refused: it is so large that it has to be captured by itself.
        insert into rowhooks.captured_change (
          action, tracked_table, object_id, object_repr, prechange, postchange, user_name, request_id, change_context, receiver
        )
        select
          case
            when pg_catalog.pg_column_size("!json".row_data)
              operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size("!json".before_data), 0)
              operator(pg_catalog.<=) %5$s
              then %6$L::rowhooks.object_change_action
          end,
          %7$s, %8$s, %9$s, "!json".before_data, "!json".row_data, claimed_user, request, context, run
        from (
          select %10$s as before_data, %4$s as row_data
          %11$s
          offset 0
        ) as "!json";
        get diagnostics captured = row_count;
        is_done := true;
      end if;
    $body$,
    rowhooks.is_up_to_date(tracked.id, tracked.relation, '"!new"'), i.key_is_missing,
    rowhooks.columns_of_row(tracked, '"!row"'), rowhooks.row_as_json(tracked.id, tracked.relation, '"!new"'),
    rowhooks.largest_row(), case action when 'INSERT' then 'create' else 'update' end, tracked.id, i.identity, i.representation,
    case action
      when 'INSERT' then 'null::pg_catalog.jsonb'
      else rowhooks.row_as_json(tracked.id, tracked.relation, '"!old"')
    end,
    case action
      -- A transition table is read in the order in which it was filled.
      when 'INSERT' then rowhooks.only_row_of_statement(tracked, action)
      else pg_catalog.concat(
        rowhooks.rows_of_statement(tracked, action), ' and ', rowhooks.is_counted(tracked, action, '"!old"', '"!new"'),
        ' order by "!after"."!place"'
      )
    end
  )
  from rowhooks.identity_in_capture(tracked, '"!json".row_data') as i
$source$;

-- Purpose: write the statements that record one row of a statement, which NEW and OLD hold. A value that cannot be captured
--          costs its column, or the row's values, and nothing else.
-- Parameters: tracked  the table's entry
--             action   INSERT or UPDATE
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_one_row(tracked rowhooks.tracked_table, action text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$
        problem := null;
        other_problem := null;
        before_data := null;
        row_data := null;
        if not is_by_columns then
          begin
            if %1$s then
              row_data := %2$s;
              before_data := %3$s;
            end if;
            if (
              pg_catalog.pg_column_size(row_data)
              operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(before_data), 0) operator(pg_catalog.>) %4$s
            ) is not false then
              row_data := null;
            end if;
          exception when others then
            row_data := null;
          end;
        end if;
        if row_data is null then
          select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(%5$s, tg_relid, new) as r;
          %6$s
        end if;
        %7$s
        insert into rowhooks.captured_change (
          action, tracked_table, object_id, object_repr, prechange, postchange,
          user_name, request_id, change_context, receiver, capture_error
        )
        values (
          %8$L::rowhooks.object_change_action, %5$s, identity, representation, before_data, row_data,
          claimed_user, request, context, run, coalesce(problem, other_problem)
        );
        captured := captured operator(pg_catalog.+) 1::pg_catalog.int8;$body$,
    rowhooks.is_up_to_date(tracked.id, tracked.relation, 'new'), rowhooks.row_as_json(tracked.id, tracked.relation, 'new'),
    case action when 'INSERT' then 'null' else rowhooks.row_as_json(tracked.id, tracked.relation, 'old') end,
    rowhooks.largest_row(), tracked.id,
    case action
      when 'UPDATE' then pg_catalog.format(
        'select r.data, r.problem into before_data, other_problem from rowhooks.row_by_columns(%s, tg_relid, old) as r;', tracked.id
      )
    end,
    rowhooks.source_of_identity(tracked), case action when 'INSERT' then 'create' else 'update' end
  )
$source$;

-- Purpose: write the part of a statement trigger's function that captures the statement's rows one by one.
-- Parameters: tracked  the table's entry
--             action   INSERT or UPDATE
-- Returns: a part of the function's source
-- NEW and OLD are empty rows of the table in a statement trigger. The rows come into them as in a row trigger.
create or replace function rowhooks.source_of_second_try(tracked rowhooks.tracked_table, action text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$
      if total operator(pg_catalog.=) 1::pg_catalog.int8 then
        open "!rows" for select 1::pg_catalog.int8, %3$s %6$s;
      else
        if by_row operator(pg_catalog.>) 0::pg_catalog.int8 then
          select pg_catalog.count(*) into total %1$s;
        end if;
        open "!rows" for select pg_catalog.row_number() over (order by "!after"."!place"), %3$s %1$s order by 1;
      end if;
      loop
        fetch "!rows" into "!place", %2$s;
        exit when not found;
        exit when by_row operator(pg_catalog.>) 0::pg_catalog.int8
          and "!place" operator(pg_catalog.>) (total operator(pg_catalog.-) by_row);
        continue when not (%4$s);%5$s
      end loop;
      close "!rows";
    $body$,
    rowhooks.rows_of_statement(tracked, action),
    pg_catalog.concat_ws(
      ', ', rowhooks.columns_of_row(tracked, 'new'), case action when 'UPDATE' then rowhooks.columns_of_row(tracked, 'old') end
    ),
    pg_catalog.concat_ws(
      ', ', rowhooks.columns_of_row(tracked, '"!new"'),
      case action when 'UPDATE' then rowhooks.columns_of_row(tracked, '"!old"') end
    ),
    rowhooks.is_counted(tracked, action, 'old', 'new'), rowhooks.source_of_one_row(tracked, action),
    rowhooks.only_row_of_statement(tracked, action)
  )
$source$;
