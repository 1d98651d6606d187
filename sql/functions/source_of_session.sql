-- Purpose: write the condition under which a session says something of itself, or is a hook receiver's.
-- Returns: an expression
create or replace function rowhooks.is_session_marked() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $source$
  select $condition$pg_catalog.current_setting('rowhooks.receiver', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.user', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.request_id', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.context', true) operator(pg_catalog.<>) ''$condition$
$source$;

-- Purpose: write the part of a capture function that reads the session's variables, skips what a hook receiver writes, and
--          records a truncate.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_session(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$
    is_marked := true;
    run := pg_catalog.current_setting('rowhooks.receiver', true);
    claimed_user := pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255);
    request := pg_catalog.left(pg_catalog.current_setting('rowhooks.request_id', true), 255);
    context := pg_catalog.left(pg_catalog.current_setting('rowhooks.context', true), 1000);
    -- A variable that SET LOCAL left behind is an empty string.
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
    if tg_op operator(pg_catalog.=) 'TRUNCATE' then
      insert into rowhooks.captured_change (action, tracked_table, user_name, request_id, change_context, receiver)
      values ('truncate', %2$s, claimed_user, request, context, run);
      %3$s
      return null;
    end if;
$body$,
    tracked.audit_receivers::pg_catalog.text, tracked.id, rowhooks.source_of_bell()
  )
$source$;
