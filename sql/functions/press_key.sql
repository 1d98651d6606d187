-- Purpose: say as what a value of a column is compared with one that the presser gives.
-- Parameters: type_id  the column's type
-- Returns: the type's name; whether it is an array; whether the texts are compared, because making a value of the type would
--          run what its owner has written
create or replace function rowhooks.compared_type(type_id oid, out name text, out is_array boolean, out is_by_text boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    -- Without its modifier: a varchar(3) would cut a longer key off, and find another row.
    pg_catalog.format_type(y.oid, -1),
    y.typcategory = 'A' and y.typelem <> 0,
    rowhooks.is_checked_inside(y.oid)
  from pg_catalog.pg_type as y
  where y.oid = rowhooks.base_type(type_id)
$$;

-- Purpose: find the equality of a B-tree index.
-- Parameters: operator_class  that of the index's column
-- Returns: the operator's schema and name; no row where the index is of another kind
create or replace function rowhooks.equality_of(operator_class oid)
returns table (schema_name name, operator_name name)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select n.nspname, o.oprname
  from pg_catalog.pg_opclass as c
  join pg_catalog.pg_am as m on m.oid = c.opcmethod and m.amname = 'btree'
  join pg_catalog.pg_amop as e
    on e.amopfamily = c.opcfamily and e.amopstrategy = 3 and e.amoplefttype = c.opcintype and e.amoprighttype = c.opcintype
  join pg_catalog.pg_operator as o on o.oid = e.amopopr
  join pg_catalog.pg_namespace as n on n.oid = o.oprnamespace
  where c.oid = operator_class
$$;

-- Purpose: write the parts of the query that finds a row by its primary key.
-- Parameters: target  the table
-- Returns: names        the columns of the key, in its order; null where the table has no primary key
--          definitions  the columns of a record that holds the key; the types are those that the values are compared as
--          comparisons  the condition under which the row t has the key k
--          items        the key of the row t, as in the log
--          types        the types of the columns
--          typeof_key   expressions for the types that the columns of the row t have
-- Values are compared by the equality of the primary key's own index, whichever schema it is in, and as the type that a
-- domain is over: nothing becomes a value of the domain, and its check is not called. That a value of a domain becomes one
-- of its base type, and a value its text, is no cast that a user can make.
create or replace function rowhooks.key_to_find(
  target regclass, out names text[], out definitions text, out comparisons text, out items text, out types oid[],
  out typeof_key text
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    pg_catalog.array_agg(a.attname::pg_catalog.text order by k.position),
    pg_catalog.string_agg(
      pg_catalog.format(
        '%I %s',
        a.attname,
        case
          when not b.is_by_text then b.name
          when b.is_array then 'pg_catalog.text[]'
          else 'pg_catalog.text'
        end
      ),
      ', ' order by k.position
    ),
    pg_catalog.string_agg(
      pg_catalog.format(
        case
          when not b.is_by_text then '(t.%1$I)::%4$s operator(%2$I.%3$s) k.%1$I'
          when b.is_array then 'pg_catalog.concat(t.%1$I)::pg_catalog.text[] operator(pg_catalog.=) k.%1$I'
          else 'pg_catalog.concat(t.%1$I) operator(pg_catalog.=) k.%1$I'
        end,
        a.attname, coalesce(e.schema_name, 'pg_catalog'), coalesce(e.operator_name, '='), b.name
      ),
      ' and ' order by k.position
    ),
    pg_catalog.string_agg(
      rowhooks.recorded_item('t', a.attname, rowhooks.json_form(a.atttypid)), ', ' order by k.position
    ),
    pg_catalog.array_agg(a.atttypid order by k.position),
    pg_catalog.string_agg(pg_catalog.format('pg_catalog.pg_typeof(t.%I)', a.attname), ', ' order by k.position)
  from pg_catalog.pg_index as i
  cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
  join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
  cross join lateral rowhooks.compared_type(a.atttypid) as b
  left join lateral rowhooks.equality_of(i.indclass[k.position - 1]) as e on true
  where i.indrelid = target and i.indisprimary and k.position <= i.indnkeyatts
$$;

-- Purpose: write the part of the query for the column that stands for a row.
-- Parameters: target  the table
-- Returns: item         an expression for its value in the row t, as text as in the log; null where there is no such column
--          type_id      the column's type
--          typeof_repr  an expression for the type that the column of the row t has
-- Reads:   rowhooks.buttons
create or replace function rowhooks.repr_to_find(target regclass, out item text, out type_id oid, out typeof_repr text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    pg_catalog.format(
      '(select pg_catalog.to_jsonb(v.*) from (select %s) as v) operator(pg_catalog.->>) %L',
      rowhooks.recorded_item('t', a.attname, rowhooks.json_form(a.atttypid)), a.attname
    ),
    a.atttypid,
    pg_catalog.format('pg_catalog.pg_typeof(t.%I)', a.attname)
  from rowhooks.buttons as b
  join pg_catalog.pg_attribute as a on a.attrelid = b.relation and a.attname = b.repr_column and not a.attisdropped
  where b.relation = target
  limit 1
$$;

-- Purpose: read a key that a presser gives.
-- Parameters: given        the key: key columns to values, or the value of a key of one column, or either as text
--             target       the table
--             names        the columns of its key
--             definitions  see rowhooks.key_to_find
-- Returns: key columns to values
-- The presser's values are read by its own settings.
create or replace function rowhooks.key_of_press(given jsonb, target regclass, names text[], definitions text)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  key pg_catalog.jsonb := given;
begin
  if pg_catalog.cardinality(names) > 1 and pg_catalog.jsonb_typeof(key) = 'string' then
    key := (key #>> '{}')::pg_catalog.jsonb;
  end if;
  if pg_catalog.cardinality(names) = 1 and pg_catalog.jsonb_typeof(key) <> 'object' then
    key := pg_catalog.jsonb_build_object(names[1], key);
  end if;
  if pg_catalog.jsonb_typeof(key) <> 'object' then
    raise exception 'it is no JSON object' using errcode = 'invalid_parameter_value';
  end if;
  if
    (select pg_catalog.count(*) from pg_catalog.jsonb_object_keys(key)) <> pg_catalog.cardinality(names)
    or not key operator(pg_catalog.?&) names
  then
    raise exception 'it does not name the columns of the key' using errcode = 'invalid_parameter_value';
  end if;
  if exists (select from pg_catalog.jsonb_each(key) as v where pg_catalog.jsonb_typeof(v.value) = 'null') then
    raise exception 'a value is missing' using errcode = 'invalid_parameter_value';
  end if;
  -- In a statement of its own, so that an error of a type is told from an error of a policy.
  execute pg_catalog.format('select from pg_catalog.jsonb_to_record($1) as k (%s)', definitions) using key;
  return key;
exception when data_exception or integrity_constraint_violation then
  raise exception '% is no key of %: %', given #>> '{}', target, sqlerrm
    using
      errcode = 'invalid_parameter_value',
      hint = pg_catalog.format('Its key is (%s).', definitions);
end
$$;

-- Purpose: list the keys that a presser gives.
-- Parameters: given        what was inserted into rowhooks.press
--             target       the table
--             names        the columns of its key
--             definitions  see rowhooks.key_to_find
-- Returns: an array of what rowhooks.key_of_press returns, in the order in which they were given
create or replace function rowhooks.keys_of_press(given rowhooks.press, target regclass, names text[], definitions text)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if given.object_ids is null then
    return pg_catalog.jsonb_build_array(
      rowhooks.key_of_press(coalesce(given.object_id, pg_catalog.to_jsonb(given.object_text)), target, names, definitions)
    );
  end if;
  return (
    select pg_catalog.jsonb_agg(rowhooks.key_of_press(g.key, target, names, definitions) order by g.position)
    from pg_catalog.jsonb_array_elements(given.object_ids) with ordinality as g (key, position)
  );
end
$$;

-- Purpose: write the query that finds rows by their keys, each key by itself.
-- Parameters: target_name  the table, as SQL needs it
--             definitions, comparisons, items  see rowhooks.key_to_find
--             name_item    see rowhooks.repr_to_find
-- Returns: a query of one value for an array of keys ($1): an array of pairs, see rowhooks.press_with_rows
create or replace function rowhooks.query_to_find(
  target_name text, definitions text, comparisons text, items text, name_item text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return pg_catalog.format(
    'select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(f.key, f.name) order by g.position) '
    'from pg_catalog.jsonb_array_elements($1) with ordinality as g (key, position) '
    'cross join lateral pg_catalog.jsonb_to_record(g.key) as k (%s) '
    'left join lateral ('
    'select (select pg_catalog.to_jsonb(v.*) from (select %s) as v) as key, %s as name from %s as t where %s limit 1'
    ') as f on true',
    definitions, items, coalesce(name_item, 'null::pg_catalog.text'), target_name, comparisons
  );
end
$$;

-- Purpose: put what was found of rows into a press, and refuse it where a row is missing or there twice.
-- Parameters: given   what was inserted into rowhooks.press, with the presser
--             target  the table
--             names   the columns of its key
--             keys    what was looked for, an array
--             rows_found  as many pairs, each an array: the key as it stands in the row, null where there is none; the row's name
-- Returns: the press with the rows' keys and names
create or replace function rowhooks.press_with_rows(
  given rowhooks.press, target regclass, names text[], keys jsonb, rows_found jsonb
) returns rowhooks.press
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  are_many constant pg_catalog.bool := given.object_ids is not null;
  wrong pg_catalog.jsonb;
begin
  if rows_found @? 'strict $[*] ? (@[0] == null)' then
    select pg_catalog.jsonb_agg(k.key order by k.position)
    into wrong
    from pg_catalog.jsonb_array_elements(keys) with ordinality as k (key, position)
    join pg_catalog.jsonb_array_elements(rows_found) with ordinality as f (pair, position) on f.position = k.position
    where f.pair -> 0 = 'null';
    raise exception 'there is no row % in %, or role % may not see it%', wrong -> 0, target, given.presser,
      coalesce(' (nor ' || nullif(pg_catalog.jsonb_array_length(wrong) - 1, 0) || ' of the others)', '')
      using errcode = 'no_data_found', hint = 'See that the key is right, and what row security lets the role see.';
  end if;
  select
    pg_catalog.jsonb_agg(f.pair -> 0 order by f.position),
    -- As in the log: the key stands for a row that has no better name.
    pg_catalog.jsonb_agg(
      coalesce(
        f.pair ->> 1,
        (
          select pg_catalog.string_agg(f.pair -> 0 ->> k.name, ', ' order by k.position)
          from pg_catalog.unnest(names) with ordinality as k (name, position)
        )
      ) order by f.position
    )
  into given.object_ids, given.object_reprs
  from pg_catalog.jsonb_array_elements(rows_found) with ordinality as f (pair, position);
  given.object_table := target;
  given.object_id := null;
  given.object_repr := null;
  if not are_many then
    given.object_id := given.object_ids -> 0;
    given.object_repr := given.object_reprs ->> 0;
    given.object_ids := null;
    return given;
  end if;
  select o.key
  into wrong
  from pg_catalog.jsonb_array_elements(given.object_ids) as o (key)
  group by o.key
  having pg_catalog.count(*) > 1
  limit 1;
  if wrong is not null then
    raise exception 'row % of % is named twice', wrong, target
      using errcode = 'invalid_parameter_value', hint = 'Name each row once.';
  end if;
  return given;
end
$$;
