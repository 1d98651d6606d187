-- Purpose: put a table on the list of tracked tables, or bring its entry up to date.
-- Parameters: target           the table; `rowhooks.track` has checked that it can be tracked
--             target_keys      the columns that tell its rows apart; none: it is recorded without a key
--             target_audit     record what hook receivers write
--             by_hand          the columns were named, and are not those of the primary key
--             target_always    fire under session_replication_role = replica too
--             target_excluded  columns whose values are kept out of the log; null: as it is
--             target_ignored   columns whose updates do not count; null: as it is
--             target_capture   auto, row or statement
-- Returns: rowhooks.tracked_table.id
-- Writes:  rowhooks.tracked_table
-- rowhooks.register_table calls it, and a superuser, whose rights are not checked: it may act in the session of a login
-- that has no right on the table, because a SECURITY DEFINER function has made the table.
create or replace function rowhooks.enter_table(
  target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean, target_excluded name[],
  target_ignored name[], target_capture text
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table := rowhooks.entry_of_table(target, target_keys, by_hand, target_excluded, target_ignored);
  gone integer;
begin
  if entry.id is null then
    insert into rowhooks.tracked_table (
      relation, schema_name, table_name, identity, key_columns, key_numbers, repr_column, repr_number, audit_receivers,
      always, capture, excluded_columns, excluded_numbers, ignored_columns, ignored_numbers
    )
    values (
      target, entry.schema_name, entry.table_name, entry.identity, entry.key_columns, entry.key_numbers,
      entry.repr_column, entry.repr_number, target_audit, target_always, target_capture, entry.excluded_columns, entry.excluded_numbers,
      entry.ignored_columns, entry.ignored_numbers
    )
    returning id into entry.id;
    -- It takes the place of a table that was dropped while no event trigger reported it.
    for gone in
      update rowhooks.tracked_table as t
      set untracked_at = pg_catalog.now()
      where t.untracked_at is null
        and (t.schema_name, t.table_name) = (entry.schema_name, entry.table_name)
        and not exists (select from pg_catalog.pg_class as c where c.oid = t.relation)
      returning t.id
    loop
      perform rowhooks.drop_capture(gone);
    end loop;
  else
    update rowhooks.tracked_table as t
    set
      schema_name = entry.schema_name,
      table_name = entry.table_name,
      identity = entry.identity,
      key_columns = entry.key_columns,
      key_numbers = entry.key_numbers,
      repr_column = entry.repr_column,
      repr_number = entry.repr_number,
      former_reprs = case
        when t.repr_number is distinct from entry.repr_number and t.repr_number is not null
          then pg_catalog.array_append(pg_catalog.array_remove(t.former_reprs, t.repr_number), t.repr_number)
        else t.former_reprs
      end,
      -- Detached partitions are known by now.
      partitions = '{}',
      audit_receivers = target_audit,
      always = target_always,
      capture = target_capture,
      excluded_columns = entry.excluded_columns,
      excluded_numbers = entry.excluded_numbers,
      ignored_columns = entry.ignored_columns,
      ignored_numbers = entry.ignored_numbers
    where t.id = entry.id;
  end if;
  -- From here on, hooks of a table that was tracked before are on it again.
  perform rowhooks.check_left_out(target, entry.id, target_keys, target_excluded, is_ignored => false);
  perform rowhooks.check_left_out(target, entry.id, target_keys, target_ignored, is_ignored => true);
  perform rowhooks.note_partitions();
  return entry.id;
end
$$;

-- Purpose: the same for the owner of the table.
-- A role that may execute this still needs to own the table.
create or replace function rowhooks.register_table(
  target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean, target_excluded name[],
  target_ignored name[], target_capture text
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhooks.must_own(target);
  return rowhooks.enter_table(
    target, target_keys, target_audit, by_hand, target_always, target_excluded, target_ignored, target_capture
  );
end
$$;
