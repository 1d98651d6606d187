-- Purpose: list the columns of a tracked table's key under their present names.
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

-- Purpose: find a row's key when columns of the key have other names than when the table was tracked. The capture functions
--          call it in that case alone, until they are made anew: it reads the catalogue.
-- Parameters: target_id  rowhooks.tracked_table.id
--             row_data   the row
-- Returns: key columns to values; null where the table no longer has such a key
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.present_key(target_id integer, row_data jsonb) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.jsonb_object_agg(k.name, row_data -> k.name::pg_catalog.text)
  from rowhooks.present_key_columns(target_id) as k
$$;

-- Purpose: say whether the triggers of a tracked table may stand on another one: one of its partitions, or the table itself
--          under the oid that a restore gave it. The capture functions call it where the oid is not the one that they know.
-- Parameters: carrier    the table that the trigger stands on
--             target_id  rowhooks.tracked_table.id
-- Returns: true when its rows are rows of the tracked table
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.is_captured(carrier oid, target_id integer) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from rowhooks.tracked_table as t
    where t.id = target_id and t.untracked_at is null
      and (t.relation = carrier or t.relation in (select p.relid from pg_catalog.pg_partition_ancestors(carrier) as p))
  )
$$;
