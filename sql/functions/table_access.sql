-- Purpose: write the queries that find out whether the asking role sees a row of a table, for tables whose policies of row
--          security decide. They are written and run with the rights of that role, by its own privileges.
-- Parameters: target  the table
-- Returns: a query for the types of the key's columns, which holds the table as it is; the types; and a query of one value,
--          true or false, for a key ($1) that names its columns by their present names. Null where rows cannot be found: there
--          is no primary key, or a column of it may not be read, or the session has row_security off
-- Reads:   the catalogue, and the table, but no row of it
create or replace function rowhooks.queries_to_see(target regclass) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
  target_name constant pg_catalog.text := target::pg_catalog.text;
  wanted pg_catalog.record;
  queries pg_catalog.text[];
begin
  select k.* into wanted from rowhooks.key_to_find(target) as k;
  if
    wanted.names is null
    or pg_catalog.current_setting('row_security') = 'off'
    or pg_catalog.to_regclass(target_name) is distinct from target
  then
    return null;
  end if;
  queries := array[
    pg_catalog.format(
      'select array[%s]::pg_catalog.oid[]::pg_catalog.text from (select) as one left join %s as t on false',
      wanted.typeof_key, target_name
    ),
    wanted.types::pg_catalog.text,
    pg_catalog.format(
      'select exists (select from pg_catalog.jsonb_to_record($1) as k (%s) join %s as t on %s)',
      wanted.definitions, target_name, wanted.comparisons
    )
  ];
  -- For a table that cannot be read, each line would take its time.
  if rowhooks.answer(queries, null) = 'locked' then
    raise warning 'rowhooks: what happened to rows of % is not shown: the table is locked', target;
    return null;
  end if;
  return queries;
end
$$;

-- Purpose: run such queries, with the rights of the asking role. What PostgreSQL itself runs for every reader of a table runs as
--          the reader, as in its own SELECT: the policies, above all. Nobody chooses the tables of a list of changes, and their
--          owners may be anybody. So nothing that such code does remains: it cannot write, and all of it is rolled back.
--          No cast of a type's owner is called, and no check of a domain: see rowhooks.key_to_find.
-- Parameters: queries  see rowhooks.queries_to_see
--             key      key columns to values; null: whether the table can be read at all
-- Returns: seen, hidden or locked. What fails is hidden: the key's columns may have had other types
create or replace function rowhooks.answer(queries text[], key jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
-- An array's text is compared as an array.
set array_nulls = 'on'
as $$
declare
  types_found pg_catalog.text;
  is_seen pg_catalog.bool;
begin
  perform pg_catalog.set_config('transaction_read_only', 'on', true);
  -- The table may have changed since its columns were looked up, above all in a transaction with an older snapshot.
  execute queries[1] into types_found;
  if key is not null and types_found = queries[2] then
    execute queries[3] into is_seen using key;
  end if;
  raise exception 'rolled back' using errcode = 'RH000';
exception
  when lock_not_available then
    return 'locked';
  when others then
    return case when is_seen then 'seen' else 'hidden' end;
end
$$;

-- Purpose: say whether the asking role sees a row whose table's policies decide.
-- Parameters: queries  see rowhooks.queries_to_see
--             key      key columns to values; null: none
--             renamed  see rowhooks.renamed_keys
-- Returns: true or false
create or replace function rowhooks.sees_row(queries text[], key jsonb, renamed jsonb) returns boolean
language sql stable cost 10000
set search_path = pg_catalog, pg_temp
as $$
  select case
    when queries is null or key is null then false
    when renamed is null then rowhooks.answer(queries, key) = 'seen'
    else rowhooks.answer(
      queries,
      (
        select pg_catalog.jsonb_object_agg(coalesce(renamed ->> k.name, k.name), k.value)
        from pg_catalog.jsonb_each(key) as k (name, value)
      )
    ) = 'seen'
  end
$$;

-- Purpose: leave the columns out of a row that the asking role may not read.
-- Parameters: row_data  the row, as in the log
--             names     the names of the columns that it may read
-- Returns: the rest of the row
create or replace function rowhooks.readable_part(row_data jsonb, names text[]) returns jsonb
language sql immutable strict
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(pg_catalog.jsonb_object_agg(e.name, e.value), '{}')
  from pg_catalog.jsonb_each(row_data) as e (name, value)
  where e.name = any (names)
$$;

-- Purpose: leave a row's representation out where it may come from a column that the asking role may not read: the column that
--          stands for a row may have been another one at that time.
-- Parameters: repr         the representation
--             key          the row's key, which the role may read; null: it may not
--             key_columns  its columns in their order
--             row_data     what it may read of the row; null: the row is not known
--             is_readable  whether it may read each column that stands for a row, or has done so
-- Returns: the representation, or null
create or replace function rowhooks.readable_repr(
  repr text, key jsonb, key_columns name[], row_data jsonb, is_readable boolean
) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when key is null then null
    when repr = (
      select pg_catalog.left(pg_catalog.string_agg(key ->> k.name::text, ', ' order by k.position), 200)
      from pg_catalog.unnest(key_columns) with ordinality as k (name, position)
    ) then repr
    when row_data is null then case when is_readable then repr end
    when exists (
      select from pg_catalog.jsonb_each_text(row_data) as v (name, value) where pg_catalog.left(v.value, 200) = repr
    ) then repr
  end
$$;

-- Purpose: list the names in the log of the columns that the asking role may read. A name that is no column's now is left out:
--          of a column that was renamed or dropped, the log does not tell which one it is. The key's columns are known by the
--          names that they have had.
-- Parameters: target       the table
--             former_keys  rowhooks.tracked_table.former_keys
-- Returns: the names
create or replace function rowhooks.readable_columns(target oid, former_keys jsonb) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(pg_catalog.array_agg(n.name), '{}')
  from pg_catalog.pg_attribute as a
  cross join lateral (
    select a.attname::text
    -- Lines of the log may have another column under this name.
    where coalesce((former_keys ->> a.attname::text)::smallint = a.attnum, true)
    union all
    select f.name
    from pg_catalog.jsonb_each_text(former_keys) as f (name, number)
    where f.number::smallint = a.attnum and not exists (
      select from pg_catalog.pg_attribute as o where o.attrelid = target and o.attname::text = f.name and not o.attisdropped
    )
  ) as n (name)
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped
    and pg_catalog.has_column_privilege(target, a.attnum, 'SELECT')
$$;

-- Purpose: find the present names of columns that a key had under other names.
-- Parameters: target       the table
--             former_keys  rowhooks.tracked_table.former_keys
-- Returns: former names to present ones; null where there are none. An empty name stands for one that another column has now:
--          what it means in a line of the log cannot be told
create or replace function rowhooks.renamed_keys(target oid, former_keys jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.jsonb_object_agg(f.name, case when o.attname is null then a.attname else '' end)
  from pg_catalog.jsonb_each_text(former_keys) as f (name, number)
  join pg_catalog.pg_attribute as a
    on a.attrelid = target and a.attnum = f.number::smallint and not a.attisdropped and a.attname::text <> f.name
  left join pg_catalog.pg_attribute as o on o.attrelid = target and o.attname::text = f.name and not o.attisdropped
$$;

-- Purpose: what the asking role may see of the tracked tables that there are: one row for each table of which it may read
--          something. It is a part of other views, in which its functions run with the rights of their reader, and no role
--          may read it.
-- Columns: id           rowhooks.tracked_table.id
--          columns      see rowhooks.readable_columns; null: all of them, those that are gone too
--          key_columns  rowhooks.tracked_table.key_columns
--          is_repr_readable  whether it may read the column that stands for a row, if there is one, and all that have done so
--          by_policy    row security decides
--          queries      whether it sees a row, see rowhooks.queries_to_see
--          renamed      see rowhooks.renamed_keys
create or replace view rowhooks.table_access as
select
  t.id,
  case when not a.is_whole then rowhooks.readable_columns(c.oid, t.former_keys) end as columns,
  t.key_columns,
  -- Of a column that is gone, nothing is known: null.
  a.is_whole or not exists (
    select from pg_catalog.unnest(t.former_reprs || t.repr_number) as n (number)
    where n.number is not null and pg_catalog.has_column_privilege(c.oid, n.number, 'SELECT') is not true
  ) as is_repr_readable,
  a.by_policy,
  case when a.by_policy then rowhooks.queries_to_see(c.oid) end as queries,
  case when a.by_policy then rowhooks.renamed_keys(c.oid, t.former_keys) end as renamed
from rowhooks.tracked_table as t
-- Each by its oid: nothing is asked about other tables.
cross join lateral (
  select
    p.oid,
    p.relname,
    p.relnamespace
  from pg_catalog.pg_class as p
  where p.oid = t.relation
  offset 0
) as c
cross join lateral (
  select
    pg_catalog.has_table_privilege(c.oid, 'SELECT') as is_whole,
    pg_catalog.row_security_active(c.oid) as by_policy
) as a
where pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
  and pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
  -- The oid of a table that was dropped may be another one's by now.
  and (
    t.untracked_at is null
    or (
      c.relname = t.table_name
      and exists (select from pg_catalog.pg_namespace as n where n.oid = c.relnamespace and n.nspname = t.schema_name)
    )
  );
