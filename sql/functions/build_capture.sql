-- Purpose: what the columns of a tracked table's key are called now.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: name and number of each, in order; nothing where the table is recorded without a key, or has lost it
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.present_key_columns(target_id integer)
returns table (name name, number smallint, place bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select a.attname, a.attnum, k.place
  from rowhooks.tracked_table as t
  left join pg_catalog.pg_index as i on t.identity = 'key' and i.indrelid = t.relation and i.indisprimary
  -- The columns behind INCLUDE are not of the key.
  cross join lateral pg_catalog.unnest(
    case when t.identity = 'key' then (i.indkey::smallint[])[0:i.indnkeyatts - 1] else t.key_numbers end
  ) with ordinality as k (attnum, place)
  join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attnum = k.attnum and not a.attisdropped
  where t.id = target_id
  order by k.place
$$;

-- Purpose: find a row's key when the table's key columns are no longer called what they were when it was tracked. Called
--          by the capture functions in that case only, until they are made anew: it looks into the catalogue.
-- Parameters: target_id  rowhooks.tracked_table.id
--             row_data   the row
-- Returns: key columns to values, null where the table has no such key any more
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.present_key(target_id integer, row_data jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.jsonb_object_agg(k.name, row_data -> k.name::pg_catalog.text)
  from rowhooks.present_key_columns(target_id) as k
$$;

-- Purpose: say how a value of a type may be turned into JSON. to_jsonb calls a cast to json that the owner of a type has
--          made, and in a capture function it would run with rowhooks' rights: no type is trusted that is neither
--          PostgreSQL's own nor an extension's.
-- Parameters: type_id  the type
-- Returns: plain  to_jsonb never leaves PostgreSQL's own code
--          text   by its text: an enum, a range, a composite type with such a type in it
--          texts  an array of such, by the texts of its elements
create or replace function rowhooks.json_form(type_id oid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_type pg_catalog.pg_type;
begin
  select t.* into strict found_type from pg_catalog.pg_type as t where t.oid = type_id;
  if found_type.oid < 16384 then
    return 'plain';
  elsif found_type.typtype = 'd' then
    return rowhooks.json_form(found_type.typbasetype);
  elsif found_type.typcategory = 'A' and found_type.typelem <> 0 then
    return case
      when rowhooks.json_form(found_type.typelem) = 'plain' then 'plain'
      when (select e.typtype from pg_catalog.pg_type as e where e.oid = found_type.typelem) = 'c' then 'text'
      else 'texts'
    end;
  elsif found_type.typtype = 'c' then
    return case
      when exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = found_type.typrelid and a.attnum > 0 and not a.attisdropped
          and rowhooks.json_form(a.atttypid) <> 'plain'
      ) then 'text'
      else 'plain'
    end;
  elsif exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objid = found_type.oid and d.deptype = 'e'
  ) then
    return 'plain';
  end if;
  return 'text';
end
$$;

-- Purpose: quote a column's name. %I leaves words bare that are PL/pgSQL's and not SQL's: new.if is no column to it.
-- Parameters: column_name  the name as it is stored
-- Returns: the name in double quotes
create or replace function rowhooks.always_quoted(column_name name) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.concat('"', pg_catalog.replace(column_name::pg_catalog.text, '"', '""'), '"')
$$;

-- Purpose: write the expression that turns the rows NEW or OLD of a table into JSON.
-- Parameters: target      the table
--             row_name    new or old
-- Returns: to_jsonb of the whole row, which knows each column that is added later; where one of its types is not to be
--          trusted, of a list of its columns, which the event triggers keep true. Without event triggers nobody would, so
--          that the row is taken as a whole then: what its owner casts runs with rowhooks' rights.
create or replace function rowhooks.row_as_json(target regclass, row_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when pg_catalog.bool_or(f.form <> 'plain') and exists (
      select from pg_catalog.pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl' and e.evtenabled in ('O', 'A')
    )
      then pg_catalog.format(
        '(select pg_catalog.to_jsonb(listed.*) from (select %s) as listed)',
        pg_catalog.string_agg(
          pg_catalog.format(
            case f.form
              when 'plain' then '%1$s.%2$s as %2$s'
              -- concat() uses the type's output function, never a cast; and IS NOT DISTINCT FROM NULL no operator.
              when 'text' then 'case when %1$s.%2$s is not distinct from null then null else pg_catalog.concat(%1$s.%2$s) end as %2$s'
              else
                'case when %1$s.%2$s is not distinct from null then null '
                'else pg_catalog.concat(%1$s.%2$s)::pg_catalog.text[] end as %2$s'
            end,
            row_name, rowhooks.always_quoted(a.attname)
          ),
          ', ' order by a.attnum
        )
      )
    else pg_catalog.format('pg_catalog.to_jsonb(%s)', row_name)
  end
  from pg_catalog.pg_attribute as a
  cross join lateral (select rowhooks.json_form(a.atttypid) as form) as f
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped
$$;

-- Purpose: write the body of one tracked table's capture function: static SQL, so that its plans are cached and no
--          catalogue is looked up for a row.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: what is to be the function's source
-- Reads:   rowhooks.tracked_table
--
-- The function is SECURITY DEFINER, so that the writing role needs no privilege. It does not pin search_path,
-- which would cost about a tenth of it: every name, type and operator in it is qualified instead, and constructs that
-- look an operator up by its bare name (=, in, nullif, case x when, is distinct from) do not appear.
-- It never raises: a row that jsonb cannot hold is recorded by its key alone, with the reason.
create or replace function rowhooks.source_of_capture(target_id integer) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $source$
declare
  tracked rowhooks.tracked_table;
  key_of_row pg_catalog.text;
  key_of_new pg_catalog.text;
  key_of_old pg_catalog.text;
  repr_of_key pg_catalog.text;
  key_is_missing pg_catalog.text;
  by_column pg_catalog.text := '';
  identity_of_row pg_catalog.text;
  repr_of_row pg_catalog.text;
  draw_transaction_id pg_catalog.text := '';
  identify pg_catalog.text;
begin
  select t.* into strict tracked from rowhooks.tracked_table as t where t.id = target_id;

  -- Names come in as literals (%L) or quoted, never bare: a column may be called anything.
  select
    pg_catalog.string_agg(pg_catalog.format('%1$L, row_data operator(pg_catalog.->) %1$L', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format(k.pair, k.name, 'new', rowhooks.always_quoted(k.name)), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format(k.pair, k.name, 'old', rowhooks.always_quoted(k.name)), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(row_data operator(pg_catalog.->>) %L)', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(row_data operator(pg_catalog.->) %L) is null', k.name), ' or ' order by k.position)
  into key_of_row, key_of_new, key_of_old, repr_of_key, key_is_missing
  from (
    select
      n.name, n.position,
      case
        when rowhooks.json_form(a.atttypid) = 'plain' then '%1$L, pg_catalog.to_jsonb(%2$s.%3$s)'
        else '%1$L, pg_catalog.concat(%2$s.%3$s)'
      end as pair
    from pg_catalog.unnest(tracked.key_columns) with ordinality as n (name, position)
    left join pg_catalog.pg_attribute as a on a.attrelid = tracked.relation and a.attname = n.name
  ) as k;

  if tracked.repr_column is not null then
    by_column := pg_catalog.format('row_data operator(pg_catalog.->>) %L, ', tracked.repr_column);
  end if;
  if tracked.identity = 'full' then
    key_of_new := '';
    key_of_old := '';
    key_is_missing := 'false';
    identity_of_row := 'null';
    repr_of_row := pg_catalog.format('coalesce(%spg_catalog.left(row_data::pg_catalog.text, 200))', by_column);
    identify := pg_catalog.format('representation := %s;', repr_of_row);
  else
    identity_of_row := pg_catalog.format('pg_catalog.jsonb_build_object(%s)', key_of_row);
    repr_of_row := pg_catalog.format(
      case when pg_catalog.cardinality(tracked.key_columns) = 1 then 'coalesce(%s%s)' else 'coalesce(%spg_catalog.concat_ws('', '', %s))' end,
      by_column, repr_of_key
    );
    identify := pg_catalog.format(
      $identify$
    if %1$s then
      identity := rowhooks.present_key(%2$s, row_data);
      representation := coalesce(%5$spg_catalog.concat_ws(
        ', ', variadic array(select v.value from pg_catalog.jsonb_each_text(identity) as v)
      ));
    else
      identity := %3$s;
      representation := %4$s;
    end if;
      $identify$,
      key_is_missing, tracked.id, identity_of_row, repr_of_row, by_column
    );
  end if;
  -- The feed relies on a transaction's id being older than those of its changes. Whoever writes a row of our own has one.
  if (select c.relkind from pg_catalog.pg_class as c where c.oid = tracked.relation) = 'f' then
    draw_transaction_id := 'perform pg_catalog.pg_current_xact_id();';
  end if;

  return pg_catalog.format(
    $body$
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
  is_marked pg_catalog.bool := false;
begin
  %9$s
  -- Asked in one expression, because hardly anybody sets them. A variable that SET LOCAL left behind is an empty string.
  if
    pg_catalog.current_setting('rowhooks.receiver', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.user', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.request_id', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.context', true) operator(pg_catalog.<>) ''
  then
    is_marked := true;
    run := pg_catalog.current_setting('rowhooks.receiver', true);
    claimed_user := pg_catalog.current_setting('rowhooks.user', true);
    request := pg_catalog.current_setting('rowhooks.request_id', true);
    context := pg_catalog.current_setting('rowhooks.context', true);
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

  begin
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      before_data := %7$s;
      row_data := %6$s;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then
      row_data := %6$s;
    else
      row_data := %7$s;
    end if;
  exception when others then
    is_marked := true;
    problem := sqlerrm;
    begin
      if tg_op operator(pg_catalog.=) 'DELETE' then
        row_data := pg_catalog.jsonb_build_object(%5$s);
      else
        row_data := pg_catalog.jsonb_build_object(%4$s);
      end if;
    exception when others then
      row_data := '{}';
    end;
  end;

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
      case
        when problem is not null then null
        when tg_op operator(pg_catalog.=) 'DELETE' then row_data
        else before_data
      end,
      case when problem is null and tg_op operator(pg_catalog.<>) 'DELETE' then row_data end,
      claimed_user, request, context, run, problem
    );
  elsif tg_op operator(pg_catalog.=) 'UPDATE' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange, postchange)
    values ('update', %2$s, %11$s, %12$s, before_data, row_data);
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, postchange)
    values ('create', %2$s, %11$s, %12$s, row_data);
  else
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange)
    values ('delete', %2$s, %11$s, %12$s, row_data);
  end if;
  %8$s
  return null;
end
$body$,
    tracked.audit_receivers::pg_catalog.text, tracked.id, identify, key_of_new, key_of_old,
    rowhooks.row_as_json(tracked.relation, 'new'), rowhooks.row_as_json(tracked.relation, 'old'), rowhooks.source_of_bell(),
    draw_transaction_id, key_is_missing, identity_of_row, repr_of_row
  );

end
$source$;

-- Purpose: make the capture function of one tracked table, unless it is there already.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: the function's name, unqualified
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.build_capture(target_id integer) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $build$
declare
  tracked rowhooks.tracked_table;
  function_name constant pg_catalog.text := pg_catalog.format('capture_%s', target_id);
  body constant pg_catalog.text := rowhooks.source_of_capture(target_id);
  description pg_catalog.text;
begin
  select t.* into strict tracked from rowhooks.tracked_table as t where t.id = target_id;
  description := pg_catalog.format(
    'rowhooks: captures %I.%I (generated by rowhooks.track)', tracked.schema_name, tracked.table_name
  );
  if exists (
    select
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_class as c on c.oid = tracked.relation
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname = function_name
      and p.prosrc = body
      and p.prosecdef
      and p.proconfig is null
      and pg_catalog.obj_description(p.oid, 'pg_proc') = description
      and pg_catalog.has_function_privilege(c.relowner, p.oid, 'execute')
  ) then
    return function_name;
  end if;

  execute pg_catalog.format(
    'create or replace function rowhooks.%I() returns trigger language plpgsql security definer as %L',
    function_name, body
  );
  execute pg_catalog.format('comment on function rowhooks.%I() is %L', function_name, description);
  execute pg_catalog.format('revoke execute on function rowhooks.%I() from public', function_name);
  -- A former owner of the table has no say in its history.
  execute coalesce(
    (
      select pg_catalog.string_agg(
        pg_catalog.format('revoke execute on function rowhooks.%I() from %s', function_name, a.grantee::pg_catalog.regrole), ';'
      )
      from pg_catalog.pg_proc as p
      cross join lateral pg_catalog.aclexplode(p.proacl) as a
      where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
        and p.proname = function_name
        and a.grantee not in (0, p.proowner)
    ),
    'select'
  );
  -- The owner adds partitions, which copies the triggers and asks for this right. It lets him do nothing new:
  -- what he could record with it he can record by writing to his table.
  execute (
    select pg_catalog.format(
      'grant execute on function rowhooks.%I() to %s', function_name, c.relowner::pg_catalog.regrole
    )
    from pg_catalog.pg_class as c
    where c.oid = tracked.relation
  );
  return function_name;
end
$build$;
