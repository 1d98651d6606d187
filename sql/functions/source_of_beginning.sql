-- Purpose: say which settings a tracked table's capture function has: a search_path where it computes virtual generated
--          columns, whose expressions contain names that cannot be qualified. Other tables save the tenth that it costs.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: as in pg_proc.proconfig; null for none
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.settings_of_capture(target_id integer) returns text[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select array['search_path=pg_catalog, pg_temp']
  where exists (
    select from rowhooks.tracked_table as t
    cross join lateral rowhooks.captured_columns(t.id, t.relation) as c
    where t.id = target_id and c.computed is not null
  )
$$;

-- Purpose: say whether the capture function itself checks that an update changes something, instead of the trigger's
--          condition. That condition computes virtual generated columns, and fails the write where one cannot be computed.
-- Parameters: target_id  rowhooks.tracked_table.id
--             target     the table
-- Returns: true where the table has such a column, and where the trigger has no condition
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

-- Purpose: write the condition under which a row is not one of the tracked table, or of a partition of it.
-- Parameters: tracked  the table's entry
-- Returns: an expression
create or replace function rowhooks.is_another_table(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    case
      when c.relkind = 'p' then
        'coalesce(pg_catalog.pg_partition_root(tg_relid)::pg_catalog.oid, tg_relid) operator(pg_catalog.<>) %s::pg_catalog.oid'
      else 'tg_relid operator(pg_catalog.<>) %s::pg_catalog.oid'
    end,
    tracked.relation::pg_catalog.oid
  )
  from (select) as one
  left join pg_catalog.pg_class as c on c.oid = tracked.relation
$$;

-- Purpose: write the statements of a capture function that end it where it is not to record anything: it is not called by a
--          trigger that rowhooks.track makes, or for a table that is not tracked.
-- Parameters: tracked        the table's entry
--             is_other_kind  the condition under which the trigger is none of rowhooks'
-- Returns: a part of the function's source
create or replace function rowhooks.source_of_refusal(tracked rowhooks.tracked_table, is_other_kind text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$-- Nothing but the triggers that rowhooks.track makes records anything.
    if tg_when operator(pg_catalog.<>) 'AFTER' then
      return case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end;
    elsif %1$s then
      return null;
    end if;
    if %2$s then
      if not rowhooks.is_captured(tg_relid, %3$s) then
        return null;
      end if;
      is_by_columns := true;
    end if;$body$,
    is_other_kind, rowhooks.is_another_table(tracked), tracked.id
  )
$source$;

-- Purpose: write the statement of a capture function that passes over an update which changes nothing.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source; empty where the trigger has a condition that says so, see rowhooks.make_triggers
create or replace function rowhooks.source_of_comparison(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select case
    when rowhooks.is_compared_inside(tracked.id, tracked.relation) then
      $compare$
    if pg_catalog.record_image_eq(old, new) then
      return null;
    end if;
        $compare$
    else ''
  end
$source$;

-- Purpose: write the first part of a capture function: its variables, and the one question whether anything is uncommon about
--          this row.
-- Parameters: tracked  the table's entry
-- Returns: a part of the function's source
-- Reads:   rowhooks.tracked_table
-- An expression of its own costs each row more than a term in one. So the common case asks everything at once, and a variable
-- without an initial value is null: not so.
create or replace function rowhooks.source_of_beginning(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $source$
  select pg_catalog.format(
    $body$%1$s
declare
  -- The row before an update, and the row after it; of a create or delete its only row.
  before_data pg_catalog.jsonb;
  row_data pg_catalog.jsonb;
  run pg_catalog.text;
  claimed_user pg_catalog.text;
  request pg_catalog.text;
  context pg_catalog.text;
  identity pg_catalog.jsonb;
  representation pg_catalog.text;
  problem pg_catalog.text;
  other_problem pg_catalog.text;
  is_marked pg_catalog.bool;
  is_by_columns pg_catalog.bool;
  is_foreign pg_catalog.bool;
  is_zoned pg_catalog.bool;
begin
  %4$s
  if
    %2$s
    or tg_when operator(pg_catalog.<>) 'AFTER'
    or tg_level operator(pg_catalog.<>) 'ROW'
    or %3$s
  then
    %5$s
    %6$s
  end if;
$body$,
    -- The columns that an expression names have the names of the table's columns.
    case when rowhooks.settings_of_capture(tracked.id) is not null then E'\n#variable_conflict use_column' else '' end,
    rowhooks.is_another_table(tracked),
    rowhooks.is_session_marked(),
    -- The feed relies on a transaction's id being older than those of its changes. A transaction that writes a row of
    -- this database has one; one that writes a foreign table's row need not.
    case
      when exists (select from pg_catalog.pg_class as c where c.oid = tracked.relation and c.relkind = 'f')
        then 'perform pg_catalog.pg_current_xact_id();'
      else ''
    end,
    rowhooks.source_of_refusal(
      tracked, $level$tg_level operator(pg_catalog.<>) 'ROW' and tg_op operator(pg_catalog.<>) 'TRUNCATE'$level$
    ),
    rowhooks.source_of_session(tracked)
  )
$source$;
