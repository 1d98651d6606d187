-- Purpose: find the row that a button is pressed on, with the presser's own rights: its privileges and row security
--          decide whether there is such a row. The presser may be a superuser, and the table another role's: so no cast
--          of a type's owner is called, and no check of a domain. What PostgreSQL itself runs for every reader of a table
--          runs as the presser, as in its own SELECT: policies of row security, above all.
-- Returns: the press with the table's root, the key and the name as they stand in the row, and the presser
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.press, the first of two)
-- Reads:   the table, rowhooks.buttons
-- A policy's functions meet a search_path without their schemas here, as they do when a dump is restored.
create or replace function rowhooks.find_pressed_row() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
-- An array's text is compared as an array.
set array_nulls = 'on'
as $$
declare
  target constant pg_catalog.regclass := coalesce(pg_catalog.pg_partition_root(new.object_table), new.object_table);
  target_name constant pg_catalog.text := target::pg_catalog.text;
  wanted pg_catalog.record;
  named pg_catalog.record;
  types_found pg_catalog.oid[];
  key pg_catalog.jsonb;
begin
  new.presser := current_user;
  perform rowhooks.check_press(new);
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

  key := rowhooks.key_of_press(new, target, wanted.names, wanted.definitions);

  -- Made into JSON as in the log, so that a row has the same name there and here.
  execute pg_catalog.format(
    'select (select pg_catalog.to_jsonb(v.*) from (select %s) as v), %s '
    'from %s as t join pg_catalog.jsonb_to_record($1) as k (%s) on %s limit 1',
    wanted.items, coalesce(named.item, 'null::pg_catalog.text'), target_name, wanted.definitions, wanted.comparisons
  )
  into new.object_id, new.object_repr
  using key;
  if new.object_id is null then
    raise exception 'there is no row % in %, or role % may not see it', key, target, new.presser
      using errcode = 'no_data_found', hint = 'See that the key is right, and what row security lets the role see.';
  end if;
  -- As in the log: the key stands for a row that has no better name.
  new.object_repr := coalesce(
    new.object_repr,
    (
      select pg_catalog.string_agg(new.object_id ->> k.name, ', ' order by k.position)
      from pg_catalog.unnest(wanted.names) with ordinality as k (name, position)
    )
  );
  new.object_table := target;
  return new;
end
$$;
