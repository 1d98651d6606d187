-- Purpose: say which tables the action of a foreign key writes: CASCADE, SET NULL or SET DEFAULT.
-- Returns: their oids
create or replace function rowhooks.tables_written_by_actions() returns setof oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select k.conrelid
  from pg_catalog.pg_constraint as k
  where k.contype = 'f' and (k.confdeltype not in ('a', 'r') or k.confupdtype not in ('a', 'r'))
$$;

-- Purpose: say whether user code may run between a statement's writes and its AFTER STATEMENT triggers. Such code may write
--          a row that the statement has written. Row triggers then record the statement's change first; a statement trigger
--          would record it last. One statement can write several tables (WITH), so a trigger of any table counts.
-- Returns: what there is, for a message; null where there is none
-- BEFORE triggers fire while a statement runs, before the triggers of either form. Those of a table that a foreign key's
-- action writes fire among the AFTER triggers.
create or replace function rowhooks.code_among_after_triggers() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with written_by_action as materialized (select w.relation from rowhooks.tables_written_by_actions() as w (relation))
  select pg_catalog.format('table %s has trigger %I', g.tgrelid::pg_catalog.regclass, g.tgname)
  from pg_catalog.pg_trigger as g
  join pg_catalog.pg_proc as p on p.oid = g.tgfoid
  where not g.tgisinternal and p.pronamespace <> 'rowhooks'::pg_catalog.regnamespace
    -- Of insert, delete or update: bits 4, 8 and 16. Bits 2 and 64: before, and instead of.
    and g.tgtype & 28 <> 0
    and (g.tgtype & 66 = 0 or g.tgrelid in (select w.relation from written_by_action as w))
  union all
  select pg_catalog.format('table %s, which a foreign key''s action writes, has rule %I', r.ev_class::pg_catalog.regclass, r.rulename)
  from pg_catalog.pg_rewrite as r
  where r.ev_class in (select w.relation from written_by_action as w)
  limit 1
$$;

-- Purpose: say why a tracked table's changes cannot be captured by statement triggers. They can be where the order of any
--          two changes of a row is that of row triggers, and where event triggers keep it so.
-- Parameters: tracked  the table's entry
-- Returns: the reason, for a message; null where they can
create or replace function rowhooks.why_not_by_statement(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when c.relkind <> 'r' or c.relispartition then 'it is not an ordinary table'
    -- A statement on the parent has the children's rows in its transition tables. A child's columns have other numbers.
    when exists (select from pg_catalog.pg_inherits as i where c.oid in (i.inhparent, i.inhrelid)) then 'it has a parent or children'
    when tracked.always then 'it is tracked with --always, and logical replication fires no statement triggers'
    -- Several rows of one statement may have one key otherwise.
    when not exists (
      select from pg_catalog.pg_index as i
      where i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid
        and i.indpred is null and i.indexprs is null
        and (i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1] <@ tracked.key_numbers
        and tracked.key_numbers <@ (i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]
    ) then 'no unique index that is not deferrable has its key'
    when exists (
      select from pg_catalog.pg_attribute as a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and (a.attgenerated = 'v' or a.attname like '!%' or a.attnum > 500)
    ) then 'it has a virtual generated column, a column whose name begins with "!", or more than 500 columns'
    -- The actions' statements are part of the statement that starts them, and join their triggers.
    when c.oid in (select w.relation from rowhooks.tables_written_by_actions() as w (relation)) then 'a foreign key''s action (CASCADE, SET NULL, SET DEFAULT) writes it'
    when (
      select pg_catalog.count(*) from pg_catalog.pg_event_trigger as e
      where e.evtname in ('rowhooks_after_ddl', 'rowhooks_after_drop') and e.evtenabled in ('O', 'A')
        and (e.evtevent = 'sql_drop' or e.evttags @> array['CREATE TRIGGER', 'CREATE RULE', 'CREATE TABLE', 'ALTER TABLE'])
    ) < 2 then 'rowhooks'' event triggers are missing, which notice when it is no longer safe'
    else rowhooks.code_among_after_triggers()
  end
  from pg_catalog.pg_class as c
  where c.oid = tracked.relation
$$;

-- Purpose: say by which triggers a tracked table's changes are captured now.
-- Parameters: tracked  the table's entry
-- Returns: row or statement
-- A table in the statement form has row triggers too. Their condition is that the table's mark, a function that does
-- nothing, is gone. So the form can be changed without a lock on the table. After a restore the mark has another number.
create or replace function rowhooks.form_in_force(tracked rowhooks.tracked_table) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when exists (
      select from pg_catalog.pg_proc as p
      where p.oid = tracked.mark and p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
        and p.proname = pg_catalog.concat('capture_', tracked.id, '_mark')
    ) then 'statement'
    else 'row'
  end
$$;

-- Purpose: take the mark of a tracked table away: from the next row on, row triggers capture its changes.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: nothing
create or replace function rowhooks.leave_statement_form(target_id integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $$
begin
  execute pg_catalog.format('drop function if exists rowhooks.%I()', pg_catalog.concat('capture_', target_id, '_mark'));
end
$$;

-- Purpose: take away the marks of all tables in the statement form that may no longer have it.
-- Returns: nothing
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.leave_unsafe_statement_forms() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
  reason text;
begin
  for entry in select t.* from rowhooks.tracked_table as t where t.mark is not null and t.untracked_at is null order by t.id loop
    if rowhooks.form_in_force(entry) = 'statement' then
      reason := rowhooks.why_not_by_statement(entry);
      if reason is not null then
        perform rowhooks.leave_statement_form(entry.id);
        raise log 'rowhooks captures % by row triggers from now on: %', entry.relation, reason;
      end if;
    end if;
  end loop;
end
$$;

-- Purpose: give a tracked table the statement form, or the row form, as its entry asks for.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: true where it has the statement form now
-- Raises:  its entry insists on statement triggers, and they are not safe
-- Writes:  rowhooks.tracked_table
-- rowhooks.track calls it, with the lock on the table: no statement is in the middle of writing it.
create or replace function rowhooks.choose_form(target_id integer) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
  reason text;
  mark_name constant text := pg_catalog.concat('capture_', target_id, '_mark');
begin
  select t.* into strict entry from rowhooks.tracked_table as t where t.id = target_id;
  perform rowhooks.leave_statement_form(target_id);
  if entry.capture <> 'row' then
    reason := rowhooks.why_not_by_statement(entry);
  end if;
  if entry.capture = 'statement' and reason is not null then
    raise exception 'rowhooks cannot capture % by statement triggers: %', entry.relation, reason
      using
        errcode = 'feature_not_supported',
        hint = 'Row triggers capture every table: use --capture row, or auto for statement triggers where they are safe.';
  end if;
  if entry.capture = 'row' or reason is not null then
    update rowhooks.tracked_table as t set mark = null where t.id = target_id and t.mark is not null;
    return false;
  end if;
  execute pg_catalog.format('create function rowhooks.%I() returns void language sql as %L', mark_name, 'select');
  execute pg_catalog.format('revoke execute on function rowhooks.%I() from public', mark_name);
  execute pg_catalog.format(
    'comment on function rowhooks.%I() is %L', mark_name,
    'rowhooks: while this function exists, statement triggers capture the table (generated by rowhooks.track)'
  );
  update rowhooks.tracked_table as t
  set mark = pg_catalog.to_regprocedure(pg_catalog.format('rowhooks.%I()', mark_name))::pg_catalog.oid
  where t.id = target_id;
  return true;
end
$$;
