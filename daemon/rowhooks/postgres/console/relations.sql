-- name: relation
-- A table or view by schema ($1) and name ($2), if it has pages for the asking role. With what refers to it, and to what
-- it refers, if $3; with its buttons if $4.
select
  c.oid::bigint as oid,
  format('%I.%I', n.nspname, c.relname) as quoted,
  rowhooks.qualified_name(n.nspname, c.relname) as name,
  coalesce(pg_partition_root(c.oid), c.oid)::bigint as root_oid,
  c.relkind::text as kind,
  left(obj_description(c.oid, 'pg_class'), 1000) as comment,
  (
    select rowhooks.qualified_name(rn.nspname, r.relname)
    from pg_class as r
    join pg_namespace as rn on rn.oid = r.relnamespace
    where r.oid = pg_partition_root(c.oid) and r.oid <> c.oid
  ) as root,
  coalesce(k.names, '{}') as key_columns,
  k.definitions as key_definitions,
  k.comparisons as key_comparisons,
  k.items as key_items,
  coalesce((select jsonb_agg(to_jsonb(l) order by l.number) from ({columns}) as l), '[]') as columns,
  case when $3 then coalesce((select jsonb_agg(to_jsonb(f) order by f.name) from ({referred}) as f), '[]') else '[]' end as referred,
  case when $3 then coalesce((select jsonb_agg(to_jsonb(f) order by f.relation, f.name) from ({referring}) as f), '[]') else '[]' end
    as referring,
  case when $4 then coalesce((select jsonb_agg(to_jsonb(b)) from ({buttons}) as b), '[]') else '[]' end as buttons
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join rowhooks.key_to_find(c.oid) as k on c.relkind in ('r', 'p')
where n.nspname = $1::text and c.relname = $2::text and {is_shown};

-- noqa: disable=PRS
-- name: columns
-- The columns that the asking role may select, each with how its values are compared: by the default operators of their
-- type, which only a superuser can have made; by their text where a value of the type cannot be made without code of the
-- type's owner, or where the type has no order.
select
  a.attnum as number,
  a.attname as name,
  format_type(a.atttypid, a.atttypmod) as type,
  y.base_name as base_type,
  y.is_plain_text,
  y.is_bytes,
  a.attlen = -1 as is_long,
  y.operators,
  not coalesce(
    (select s.collisdeterministic from pg_collation as s where s.oid = a.attcollation), true
  ) as is_loosely_collated,
  not a.attnotnull as is_nullable,
  a.attnum in (
    select i.indkey[0] from pg_index as i where i.indrelid = c.oid and i.indisvalid and i.indpred is null
  ) as is_indexed,
  left(col_description(c.oid, a.attnum), 300) as comment
from pg_attribute as a
join ({types}) as y on y.id = a.atttypid
where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and has_column_privilege(c.oid, a.attnum, 'SELECT')

-- name: types
-- The types of the columns, each once: a table may have many columns.
select
  d.id,
  b.name as base_name,
  t.oid in ('text'::regtype, 'varchar'::regtype) as is_plain_text,
  t.oid = 'bytea'::regtype as is_bytes,
  case when not b.is_by_text and not p.has_parts then ({operators}) end as operators
from (
  select distinct n.atttypid as id from pg_attribute as n where n.attrelid = c.oid and n.attnum > 0 and not n.attisdropped
) as d
join pg_type as t on t.oid = case when d.id < 16384 then d.id else rowhooks.base_type(d.id) end
-- Nothing has to be found out of PostgreSQL's own types.
cross join lateral (
  select format_type(d.id, -1) as name, false as is_by_text where d.id < 16384
  union all
  select f.name, f.is_by_text from rowhooks.compared_type(d.id) as f where d.id >= 16384
) as b
cross join lateral (
  -- Whether the parts of a composite type can be compared is not looked into.
  select t.typtype = 'c' or exists (
    select from pg_type as e
    where e.oid = t.typelem and t.typsubscript = 'array_subscript_handler'::regproc
      and e.typtype not in ('e', 'r', 'm') and e.oid <> all(array({types_with_order}))
      and not exists (
        select from pg_cast as w where w.castsource = e.oid and w.castmethod = 'b' and w.castcontext = 'i'
      )
  ) as has_parts
) as p

-- name: operators
-- The operators of the default class of a type, by their numbers in a B-tree.
select jsonb_object_agg(p.amopstrategy, jsonb_build_array(pn.nspname, po.oprname))
from (
  select o.opcfamily, o.opcintype
  from pg_opclass as o
  join pg_am as m on m.oid = o.opcmethod and m.amname = 'btree'
  where o.opcdefault
    and (
      o.opcintype = t.oid
      or o.opcintype = case
        when t.typsubscript = 'array_subscript_handler'::regproc then 'anyarray'::regtype
        when t.typtype = 'e' then 'anyenum'::regtype
        when t.typtype = 'r' then 'anyrange'::regtype
        when t.typtype = 'm' then 'anymultirange'::regtype
      end
      or exists (
        select from pg_cast as w
        where w.castsource = t.oid and w.casttarget = o.opcintype and w.castmethod = 'b' and w.castcontext = 'i'
      )
    )
  order by o.opcintype = t.oid desc, o.opcintype asc
  limit 1
) as f
join pg_amop as p
  on p.amopfamily = f.opcfamily and p.amoplefttype = f.opcintype and p.amoprighttype = f.opcintype
  and p.amopstrategy between 1 and 5
join pg_operator as po on po.oid = p.amopopr
join pg_namespace as pn on pn.oid = po.oprnamespace

-- name: types_with_order
select d.opcintype
from pg_opclass as d
join pg_am as m on m.oid = d.opcmethod and m.amname = 'btree'
where d.opcdefault

-- name: referred
-- The foreign keys of the table.
select {foreign_key}
from pg_constraint as q
left join pg_constraint as u on u.oid = q.conparentid
join ({readable_tables}) as t on t.oid = q.confrelid
where q.conrelid = c.oid and q.contype = 'f' and u.conrelid is distinct from q.conrelid

-- name: referring
-- The foreign keys that lead to the table.
select {foreign_key}
from pg_constraint as q
left join pg_constraint as u on u.oid = q.conparentid
join ({readable_tables}) as t on t.oid = q.conrelid
where q.confrelid = c.oid and q.contype = 'f' and u.confrelid is distinct from q.confrelid

-- name: readable_tables
-- The tables that the asking role may select from.
select o.oid, rowhooks.qualified_name(n.nspname, o.relname) as name
from pg_class as o
join pg_namespace as n on n.oid = o.relnamespace
where has_schema_privilege(n.oid, 'USAGE') and has_any_column_privilege(o.oid, 'SELECT')

-- name: buttons
-- The buttons of the table, of which a partition is a part.
select b.* from rowhooks.buttons as b where b.relation = coalesce(pg_partition_root(c.oid), c.oid)

-- name: foreign_key
-- A foreign key, `q`, and the table at its other end, `t`: its columns, and those that they refer to; whether these are the
-- primary key of their table.
q.conname as name,
t.name as relation,
array(
  select a.attname::text
  from unnest(q.conkey) with ordinality as g (number, place)
  join pg_attribute as a on a.attrelid = q.conrelid and a.attnum = g.number
  order by g.place
) as columns,
array(
  select a.attname::text
  from unnest(q.confkey) with ordinality as g (number, place)
  join pg_attribute as a on a.attrelid = q.confrelid and a.attnum = g.number
  order by g.place
) as target_columns,
exists (
  select from pg_index as i
  where i.indrelid = q.confrelid and i.indisprimary
    and (i.indkey::smallint[])[0:i.indnkeyatts - 1] @> q.confkey and cardinality(q.confkey) = i.indnkeyatts
) as is_primary
