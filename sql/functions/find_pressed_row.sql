-- Purpose: find the rows that a button is pressed on, with the asking role's own rights: its privileges and row security
--          decide whether there is such a row. The role may be a superuser, and the table another role's: so no cast
--          of a type's owner is called, and no check of a domain. What PostgreSQL itself runs for every reader of a table
--          runs as that role, as in its own SELECT: policies of row security, above all.
-- Parameters: given  a press, with the presser
-- Returns: the press with the table's root, and with the keys and the names as they stand in the rows
-- Reads:   the table, rowhooks.buttons
-- A policy's functions meet a search_path without their schemas here, as they do when a dump is restored.
create or replace function rowhooks.find_rows(given rowhooks.press) returns rowhooks.press
language plpgsql
set search_path = pg_catalog, pg_temp
-- An array's text is compared as an array.
set array_nulls = 'on'
as $$
declare
  target constant pg_catalog.regclass := coalesce(pg_catalog.pg_partition_root(given.object_table), given.object_table);
  target_name constant pg_catalog.text := target::pg_catalog.text;
  wanted pg_catalog.record;
  named pg_catalog.record;
  types_found pg_catalog.oid[];
  keys pg_catalog.jsonb;
  rows_found pg_catalog.jsonb;
begin
  perform rowhooks.check_press(given);
  perform rowhooks.check_pressed_table(target);
  select k.* into wanted from rowhooks.key_to_find(target) as k;
  if wanted.names is null then
    raise exception 'rowhooks: % has no primary key, so that no row of it can be named', target
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let its owner run: alter table %s add primary key (...)', target);
  end if;

  select r.* into named from rowhooks.repr_to_find(target) as r;
  -- This holds the table as it is until the transaction ends. The table may have changed since its columns were looked
  -- up, above all in a transaction with an older snapshot.
  execute pg_catalog.format(
    'select array[%s]::pg_catalog.oid[] from (select) as one left join %s as t on false',
    pg_catalog.concat_ws(', ', wanted.typeof_key, named.typeof_repr), target_name
  )
  into types_found;
  if
    types_found is distinct from pg_catalog.array_remove(wanted.types || named.type_id, null)
    or pg_catalog.to_regclass(target_name) is distinct from target
  then
    raise exception 'rowhooks: % is being altered', target
      using errcode = 'serialization_failure', hint = 'Press again, in a new transaction.';
  end if;

  keys := rowhooks.keys_of_press(given, target, wanted.names, wanted.definitions);
  -- Made into JSON as in the log, so that a row has the same name there and here.
  execute rowhooks.query_to_find(target_name, wanted.definitions, wanted.comparisons, wanted.items, named.item)
  into rows_found
  using keys;
  return rowhooks.press_with_rows(given, target, wanted.names, keys, rows_found);
end
$$;

-- Purpose: find the rows of a press, as rowhooks.find_rows does.
-- Returns: the press with the rows and the presser
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.press, the first of two)
create or replace function rowhooks.find_pressed_row() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.presser := current_user;
  new := rowhooks.find_rows(new);
  return new;
end
$$;
