-- Purpose: write the expressions by which a capture function identifies a row.
-- Parameters: tracked   the table's entry
--             row_name  what holds the row as JSON
-- Returns: key_is_missing   the condition under which the row lacks a column of the key
--          identity         key columns to values; null where the table has no key
--          representation   how people call the row
--          by_column        the value of the column that stands for the row, with a comma; empty where there is none
create or replace function rowhooks.identity_in_capture(
  tracked rowhooks.tracked_table, row_name text,
  out key_is_missing text, out identity text, out representation text, out by_column text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  key_of_row pg_catalog.text;
  repr_of_key pg_catalog.text;
begin
  -- Names come in as literals (%L) or quoted, never bare: a column may have any name.
  by_column := case
    when tracked.repr_column is null then ''
    else pg_catalog.format('%s operator(pg_catalog.->>) %L, ', row_name, tracked.repr_column)
  end;
  if tracked.identity = 'full' then
    key_is_missing := 'false';
    identity := 'null';
    -- Written out only where that is not long.
    representation := pg_catalog.format(
      'pg_catalog.left(coalesce(%1$scase when pg_catalog.pg_column_size(%2$s) operator(pg_catalog.<) 100000 '
      'then %2$s::pg_catalog.text end), 200)', by_column, row_name
    );
    return;
  end if;
  select
    pg_catalog.string_agg(pg_catalog.format('%1$L, %2$s operator(pg_catalog.->) %1$L', k.name, row_name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(%s operator(pg_catalog.->>) %L)', row_name, k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(%s operator(pg_catalog.->) %L) is null', row_name, k.name), ' or ' order by k.position)
  into key_of_row, repr_of_key, key_is_missing
  from pg_catalog.unnest(tracked.key_columns) with ordinality as k (name, position);
  identity := pg_catalog.format('pg_catalog.jsonb_build_object(%s)', key_of_row);
  representation := pg_catalog.format(
    case
      when pg_catalog.cardinality(tracked.key_columns) = 1 then 'pg_catalog.left(coalesce(%s%s), 200)'
      else 'pg_catalog.left(coalesce(%spg_catalog.concat_ws('', '', %s)), 200)'
    end,
    by_column, repr_of_key
  );
end
$$;

-- Purpose: write the statements by which a capture function identifies a row in the cases that are not the common one: the
--          key may be incomplete.
-- Parameters: tracked  the table's entry
-- Returns: the statements
create or replace function rowhooks.source_of_identity(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select case
    when tracked.identity = 'full' then pg_catalog.format('representation := %s;', i.representation)
    else pg_catalog.format(
      $identify$
    if %1$s then
      identity := rowhooks.present_key(%2$s, row_data);
      representation := pg_catalog.left(coalesce(%5$spg_catalog.concat_ws(
        ', ', variadic array(select v.value from pg_catalog.jsonb_each_text(identity) as v)
      )), 200);
    else
      identity := %3$s;
      representation := %4$s;
    end if;
      $identify$,
      i.key_is_missing, tracked.id, i.identity, i.representation, i.by_column
    )
  end
  from rowhooks.identity_in_capture(tracked, 'row_data') as i
$source$;

-- Purpose: write the last part of a capture function: it records what is no common case. The row is too large, or not of the
--          shape that the function knows; the key is incomplete; or the session says something of itself.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_record(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$  if
    is_by_columns
    or coalesce(
      pg_catalog.pg_column_size(row_data)
      operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(before_data), 0) operator(pg_catalog.>) %4$s,
      true
    )
  then
    if tg_op operator(pg_catalog.=) 'DELETE' then
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(%2$s, tg_relid, old) as r;
    else
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(%2$s, tg_relid, new) as r;
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        select r.data, r.problem into before_data, other_problem from rowhooks.row_by_columns(%2$s, tg_relid, old) as r;
        problem := coalesce(problem, other_problem);
      end if;
    end if;
  end if;
  %1$s
  insert into rowhooks.captured_change (
    action, tracked_table, object_id, object_repr, prechange, postchange,
    user_name, request_id, change_context, receiver, capture_error
  )
  values (
    (
      case
        when tg_op operator(pg_catalog.=) 'UPDATE' then 'update'
        when tg_op operator(pg_catalog.=) 'INSERT' then 'create'
        else 'delete'
      end
    )::rowhooks.object_change_action,
    %2$s, identity, representation,
    case when tg_op operator(pg_catalog.=) 'DELETE' then row_data else before_data end,
    case when tg_op operator(pg_catalog.<>) 'DELETE' then row_data end,
    claimed_user, request, context, run, problem
  );
  %3$s
  return null;
end
$body$,
    rowhooks.source_of_identity(tracked), tracked.id, rowhooks.source_of_bell(), rowhooks.largest_row()
  )
$source$;
