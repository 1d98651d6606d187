-- Purpose: generate the capture function of one tracked table: static SQL, so that its plans are cached and no
--          catalogue is looked up for a row.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: the function's name, unqualified
-- Reads:   rowhooks.tracked_table
--
-- The generated function is SECURITY DEFINER, so that the writing role needs no privilege. It does not pin search_path,
-- which would cost about a tenth of it: every name, type and operator in it is qualified instead, and constructs that
-- look an operator up by its bare name (=, in, nullif, case x when, is distinct from) do not appear.
-- It never raises: a row that jsonb cannot hold is recorded by its key alone, with the reason.
create or replace function rowhooks.build_capture(target_id integer) returns text
language plpgsql security definer
set search_path = ''
as $build$
declare
  tracked rowhooks.tracked_table;
  function_name constant text := pg_catalog.format('capture_%s', target_id);
  key_of_row text;
  key_of_new text;
  key_of_old text;
  repr_of_row text;
  body text;
begin
  select t.* into strict tracked from rowhooks.tracked_table as t where t.id = target_id;

  -- Names come in as literals (%L) or identifiers (%I), never bare: a column may be called anything.
  select
    pg_catalog.string_agg(pg_catalog.format('%1$L, row_data operator(pg_catalog.->) %1$L', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('%1$L, pg_catalog.to_jsonb(new.%1$I)', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('%1$L, pg_catalog.to_jsonb(old.%1$I)', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(row_data operator(pg_catalog.->>) %L)', k.name), ', ' order by k.position)
  into key_of_row, key_of_new, key_of_old, repr_of_row
  from pg_catalog.unnest(tracked.key_columns) with ordinality as k (name, position);

  repr_of_row := pg_catalog.format($$pg_catalog.concat_ws(', ', %s)$$, repr_of_row);
  if tracked.repr_column is not null then
    repr_of_row := pg_catalog.format(
      'coalesce(row_data operator(pg_catalog.->>) %L, %s)', tracked.repr_column, repr_of_row
    );
  end if;

  body := pg_catalog.format(
    $body$
declare
  run pg_catalog.text := pg_catalog.current_setting('rowhooks.receiver', true);
  claimed_user pg_catalog.text := pg_catalog.current_setting('rowhooks.user', true);
  request pg_catalog.text := pg_catalog.current_setting('rowhooks.request_id', true);
  context pg_catalog.text := pg_catalog.current_setting('rowhooks.context', true);
  operation pg_catalog.text;
  before_data pg_catalog.jsonb;
  after_data pg_catalog.jsonb;
  row_data pg_catalog.jsonb;
  problem pg_catalog.text;
begin
  -- A variable that SET LOCAL left behind is an empty string.
  if run operator(pg_catalog.<>) '' then
    if not rowhooks.is_receiver() then
      run := null;
    elsif %1$L then
      context := 'job-hook';
    else
      return null;
    end if;
  else
    run := null;
  end if;
  if claimed_user operator(pg_catalog.=) '' then claimed_user := null; end if;
  if request operator(pg_catalog.=) '' then request := null; end if;
  if context operator(pg_catalog.=) '' then context := null; end if;

  if tg_op operator(pg_catalog.=) 'TRUNCATE' then
    insert into rowhooks.object_change (action, tracked_table, user_name, request_id, change_context, receiver)
    values ('truncate', %2$s, claimed_user, request, context, run);
    perform rowhooks.ring_bell();
    return null;
  end if;

  begin
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      operation := 'update';
      before_data := pg_catalog.to_jsonb(old);
      after_data := pg_catalog.to_jsonb(new);
      row_data := after_data;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then
      operation := 'create';
      after_data := pg_catalog.to_jsonb(new);
      row_data := after_data;
    else
      operation := 'delete';
      before_data := pg_catalog.to_jsonb(old);
      row_data := before_data;
    end if;
  exception when others then
    problem := sqlerrm;
    before_data := null;
    after_data := null;
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

  insert into rowhooks.object_change (
    action, tracked_table, object_id, object_repr, prechange, postchange,
    user_name, request_id, change_context, receiver, capture_error
  )
  values (
    operation, %2$s, pg_catalog.jsonb_build_object(%3$s), %6$s, before_data, after_data,
    claimed_user, request, context, run, problem
  );
  perform rowhooks.ring_bell();
  return null;
end
$body$,
    tracked.audit_receivers::text, tracked.id, key_of_row, key_of_new, key_of_old, repr_of_row
  );

  execute pg_catalog.format(
    'create or replace function rowhooks.%I() returns trigger language plpgsql security definer as %L',
    function_name, body
  );
  execute pg_catalog.format(
    'comment on function rowhooks.%I() is %L',
    function_name,
    pg_catalog.format('rowhooks: captures %I.%I (generated by rowhooks.track)', tracked.schema_name, tracked.table_name)
  );
  execute pg_catalog.format('revoke execute on function rowhooks.%I() from public', function_name);
  -- The owner adds partitions, which copies the triggers and asks for this right. It lets him do nothing new:
  -- what he could record with it he can record by writing to his table.
  execute (
    select pg_catalog.format(
      'grant execute on function rowhooks.%I() to %s', function_name, c.relowner::regrole
    )
    from pg_catalog.pg_class as c
    where c.oid = tracked.relation
  );
  return function_name;
end
$build$;
