-- Purpose: say whether a capture function looks itself whether an update changes anything, instead of the trigger's condition.
--          That condition computes virtual generated columns, and one that cannot be computed fails the write.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
-- Returns: true where there is such a column, and where the trigger has no condition
create or replace function rowhooks.is_compared_inside(target_id integer, target regclass) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from pg_catalog.pg_attribute as a where a.attrelid = target and a.attgenerated = 'v')
    or exists (
      select from pg_catalog.pg_trigger as t
      where t.tgrelid = target and t.tgname = '!rowhooks_update_' || target_id and t.tgqual is null
    )
$$;

-- Purpose: write the body of one tracked table's capture function: static SQL, so that its plans are cached and no
--          catalogue is looked up for a row.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: what is to be the function's source
-- Reads:   rowhooks.tracked_table
--
-- The function is SECURITY DEFINER, so that the writing role needs no privilege; its owner may append to the log and
-- nothing else. It does not pin search_path, which would cost about a tenth of it: every name, type and operator in it is
-- qualified instead, and constructs that look an operator up by its bare name (=, in, nullif, case x when, is distinct
-- from) do not appear. It does where it computes columns, see rowhooks.settings_of_capture.
-- It never raises: what cannot be captured is left out, with the reason. It does nothing for a table other than its own.
create or replace function rowhooks.source_of_capture(target_id integer) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $source$
declare
  tracked rowhooks.tracked_table;
  kind pg_catalog."char";
  key_of_row pg_catalog.text;
  repr_of_key pg_catalog.text;
  key_is_missing pg_catalog.text;
  by_column pg_catalog.text := '';
  identity_of_row pg_catalog.text;
  repr_of_row pg_catalog.text;
  identify pg_catalog.text;
  draw_transaction_id pg_catalog.text := '';
  skip_what_does_not_count pg_catalog.text := '';
  see_settings pg_catalog.text;
  is_computed constant pg_catalog.bool := rowhooks.settings_of_capture(target_id) is not null;
begin
  select t.* into strict tracked from rowhooks.tracked_table as t where t.id = target_id;
  select c.relkind into kind from pg_catalog.pg_class as c where c.oid = tracked.relation;

  -- Names come in as literals (%L) or quoted, never bare: a column may be called anything.
  select
    pg_catalog.string_agg(pg_catalog.format('%1$L, row_data operator(pg_catalog.->) %1$L', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(row_data operator(pg_catalog.->>) %L)', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(row_data operator(pg_catalog.->) %L) is null', k.name), ' or ' order by k.position)
  into key_of_row, repr_of_key, key_is_missing
  from pg_catalog.unnest(tracked.key_columns) with ordinality as k (name, position);

  if tracked.repr_column is not null then
    by_column := pg_catalog.format('row_data operator(pg_catalog.->>) %L, ', tracked.repr_column);
  end if;
  if tracked.identity = 'full' then
    key_is_missing := 'false';
    identity_of_row := 'null';
    -- Written out only where that is not long.
    repr_of_row := pg_catalog.format(
      'pg_catalog.left(coalesce(%scase when pg_catalog.pg_column_size(row_data) operator(pg_catalog.<) 100000 '
      'then row_data::pg_catalog.text end), 200)', by_column
    );
    identify := pg_catalog.format('representation := %s;', repr_of_row);
  else
    identity_of_row := pg_catalog.format('pg_catalog.jsonb_build_object(%s)', key_of_row);
    repr_of_row := pg_catalog.format(
      case
        when pg_catalog.cardinality(tracked.key_columns) = 1 then 'pg_catalog.left(coalesce(%s%s), 200)'
        else 'pg_catalog.left(coalesce(%spg_catalog.concat_ws('', '', %s)), 200)'
      end,
      by_column, repr_of_key
    );
    identify := pg_catalog.format(
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
      key_is_missing, tracked.id, identity_of_row, repr_of_row, by_column
    );
  end if;
  -- The feed relies on a transaction's id being older than those of its changes. Whoever writes a row of our own has one.
  if kind = 'f' then
    draw_transaction_id := 'perform pg_catalog.pg_current_xact_id();';
  end if;
  if pg_catalog.cardinality(tracked.excluded_numbers || tracked.ignored_numbers) > 0 then
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
    into skip_what_does_not_count
    from rowhooks.captured_columns(tracked.id, tracked.relation) as c
    where not exists (
      select from pg_catalog.pg_attribute as a
      where a.attrelid = tracked.relation and a.attnum = any (tracked.ignored_numbers) and a.attname = c.name
    );
  end if;
  -- The log does not say the same value in two ways because two sessions have other settings.
  select pg_catalog.string_agg(
    case
      when r.name = 'TimeZone' and rowhooks.zoned_columns(tracked.id, tracked.relation) <> '{}' then 'is_zoned := not '
      else 'is_foreign := is_foreign or not '
    end || r.is_same,
    '; '
  ) || ';'
  into see_settings
  from rowhooks.settings_of_rows(tracked.id, tracked.relation) as r;

  return pg_catalog.format(
    $body$%16$s
declare
  run pg_catalog.text;
  claimed_user pg_catalog.text;
  request pg_catalog.text;
  context pg_catalog.text;
  -- The row before an update, and the row after it; of a create or delete its only row.
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
begin
  -- Nothing but the triggers that rowhooks.track makes records anything.
  if tg_when operator(pg_catalog.<>) 'AFTER' then
    return case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end;
  elsif tg_level operator(pg_catalog.<>) 'ROW' and tg_op operator(pg_catalog.<>) 'TRUNCATE' then
    return null;
  end if;
  if %12$s then
    if not rowhooks.is_captured(tg_relid, %2$s) then
      return null;
    end if;
    is_by_columns := true;
  end if;
  %9$s%17$s
  -- Asked in one expression, because hardly anybody sets them. A variable that SET LOCAL left behind is an empty string.
  if
    pg_catalog.current_setting('rowhooks.receiver', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.user', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.request_id', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.context', true) operator(pg_catalog.<>) ''
  then
    is_marked := true;
    run := pg_catalog.current_setting('rowhooks.receiver', true);
    claimed_user := pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255);
    request := pg_catalog.left(pg_catalog.current_setting('rowhooks.request_id', true), 255);
    context := pg_catalog.left(pg_catalog.current_setting('rowhooks.context', true), 1000);
    if claimed_user operator(pg_catalog.=) '' then claimed_user := null; end if;
    if request operator(pg_catalog.=) '' then request := null; end if;
    if context operator(pg_catalog.=) '' then context := null; end if;
    if run operator(pg_catalog.=) '' then
      run := null;
    elsif run is not null then
      if not rowhooks.is_receiver() then
        run := null;
      elsif %1$L then
        context := 'job-hook';
      else
        return null;
      end if;
    end if;
  end if;

  if tg_op operator(pg_catalog.=) 'TRUNCATE' then
    insert into rowhooks.object_change (action, tracked_table, user_name, request_id, change_context, receiver)
    values ('truncate', %2$s, claimed_user, request, context, run);
    %8$s
    return null;
  end if;

  %15$s
  if not is_by_columns then
    begin
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        if %4$s then%13$s
          before_data := %7$s;
          row_data := %6$s;
        end if;
      elsif tg_op operator(pg_catalog.=) 'INSERT' then
        if %4$s then
          row_data := %6$s;
        end if;
      elsif %5$s then
        row_data := %7$s;
      end if;
      is_by_columns := coalesce(
        pg_catalog.pg_column_size(row_data)
        operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(before_data), 0) operator(pg_catalog.>) %14$s,
        true
      );
    exception when others then
      is_by_columns := true;
    end;
  end if;
  if is_by_columns then
    is_marked := true;
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
  -- An INSERT is set up anew for each row, column by column: those that are empty are left out.
  if is_marked or %10$s then
    %3$s
    insert into rowhooks.object_change (
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
  elsif tg_op operator(pg_catalog.=) 'UPDATE' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange, postchange)
    values ('update', %2$s, %11$s, before_data, row_data);
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, postchange)
    values ('create', %2$s, %11$s, row_data);
  else
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange)
    values ('delete', %2$s, %11$s, row_data);
  end if;
  %8$s
  return null;
end
$body$,
    tracked.audit_receivers::pg_catalog.text, tracked.id, identify,
    rowhooks.is_up_to_date(tracked.id, tracked.relation, 'new'), rowhooks.is_up_to_date(tracked.id, tracked.relation, 'old'),
    rowhooks.row_as_json(tracked.id, tracked.relation, 'new'), rowhooks.row_as_json(tracked.id, tracked.relation, 'old'),
    rowhooks.source_of_bell(), draw_transaction_id, key_is_missing,
    pg_catalog.concat(identity_of_row, ', ', repr_of_row),
    pg_catalog.format(
      case
        when kind = 'p' then
          'coalesce(pg_catalog.pg_partition_root(tg_relid)::pg_catalog.oid, tg_relid) operator(pg_catalog.<>) %s::pg_catalog.oid'
        else 'tg_relid operator(pg_catalog.<>) %s::pg_catalog.oid'
      end,
      tracked.relation::pg_catalog.oid
    ),
    coalesce(skip_what_does_not_count, ''), rowhooks.largest_row(), coalesce(see_settings, ''),
    -- The columns that an expression names are called as they are.
    case when is_computed then E'\n#variable_conflict use_column' else '' end,
    -- The trigger has no condition that says so, see rowhooks.track.
    case
      when rowhooks.is_compared_inside(tracked.id, tracked.relation) then
        $compare$
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    if pg_catalog.record_image_eq(old, new) then
      return null;
    end if;
  end if;
        $compare$
      else ''
    end
  );
end
$source$;
