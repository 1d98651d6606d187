-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: named
-- The tables of some names, [schema, table] each.
select c.oid::pg_catalog.int8 as relation
from pg_catalog.jsonb_array_elements(cast(:names as pg_catalog.jsonb)) as w (name)
inner join pg_catalog.pg_namespace as n
  on n.nspname operator(pg_catalog.=) (w.name operator(pg_catalog.->>) 0)::pg_catalog.name
inner join pg_catalog.pg_class as c
  on
    c.relnamespace operator(pg_catalog.=) n.oid
    and c.relname operator(pg_catalog.=) (w.name operator(pg_catalog.->>) 1)::pg_catalog.name
where c.relkind operator(pg_catalog.=) any ('{r,p,v,m,f}'::pg_catalog."char"[]);

-- name: foreign_keys
-- The foreign keys of some tables and of the tables that these refer to, in both directions. A partition has those of
-- the table that it belongs to. What PostgreSQL keeps for each partition that is referred to is left out.
with asked (oid) as (
  select r.oid from pg_catalog.unnest(cast(:relations as pg_catalog.oid[])) as r (oid)
),

near (oid) as (
  select a.oid from asked as a
  union
  select k.confrelid
  from asked as a
  inner join pg_catalog.pg_constraint as k
    on k.conrelid operator(pg_catalog.=) a.oid and k.contype operator(pg_catalog.=) 'f'
)

select
  k.conname::pg_catalog.text as name,
  k.conrelid::pg_catalog.int8 as relation,
  sn.nspname::pg_catalog.text as schema_name,
  sc.relname::pg_catalog.text as table_name,
  array(
    select a.attname::pg_catalog.text
    from pg_catalog.unnest(k.conkey) with ordinality as u (number, place)
    inner join pg_catalog.pg_attribute as a
      on a.attrelid operator(pg_catalog.=) k.conrelid and a.attnum operator(pg_catalog.=) u.number
    order by u.place
  ) as columns,
  k.confrelid::pg_catalog.int8 as target,
  tn.nspname::pg_catalog.text as target_schema,
  tc.relname::pg_catalog.text as target_name,
  array(
    select a.attname::pg_catalog.text
    from pg_catalog.unnest(k.confkey) with ordinality as u (number, place)
    inner join pg_catalog.pg_attribute as a
      on a.attrelid operator(pg_catalog.=) k.confrelid and a.attnum operator(pg_catalog.=) u.number
    order by u.place
  ) as target_columns,
  array(
    select pg_catalog.format('operator(%I.%s)', os.nspname, o.oprname)
    from pg_catalog.unnest(k.conpfeqop) with ordinality as u (oid, place)
    inner join pg_catalog.pg_operator as o on o.oid operator(pg_catalog.=) u.oid
    inner join pg_catalog.pg_namespace as os on os.oid operator(pg_catalog.=) o.oprnamespace
    order by u.place
  ) as equal,
  exists (
    select
    from pg_catalog.pg_index as i
    where
      i.indrelid operator(pg_catalog.=) k.conrelid
      and i.indisunique
      and i.indpred is null
      and i.indexprs is null
      and (i.indkey::pg_catalog.int2[])[0:i.indnkeyatts operator(pg_catalog.-) 1] operator(pg_catalog.<@) k.conkey
  ) as is_unique,
  k.conparentid operator(pg_catalog.<>) 0::pg_catalog.oid as is_of_partition
from pg_catalog.pg_constraint as k
left join pg_catalog.pg_constraint as p on p.oid operator(pg_catalog.=) k.conparentid
inner join pg_catalog.pg_class as sc on sc.oid operator(pg_catalog.=) k.conrelid
inner join pg_catalog.pg_namespace as sn on sn.oid operator(pg_catalog.=) sc.relnamespace
inner join pg_catalog.pg_class as tc on tc.oid operator(pg_catalog.=) k.confrelid
inner join pg_catalog.pg_namespace as tn on tn.oid operator(pg_catalog.=) tc.relnamespace
where
  k.contype operator(pg_catalog.=) 'f'
  and (p.oid is null or p.confrelid operator(pg_catalog.=) k.confrelid)
  and (
    k.conrelid operator(pg_catalog.=) any (select n.oid from near as n)
    or k.confrelid operator(pg_catalog.=) any (select n.oid from near as n)
  )
order by k.conrelid, k.conname;

-- name: tables
-- What some relations are, each with the columns that tell its rows apart: those of the primary key, else those of a
-- unique index in which no value can be null.
select
  c.oid::pg_catalog.int8 as relation,
  n.nspname::pg_catalog.text as schema_name,
  c.relname::pg_catalog.text as table_name,
  c.relkind::pg_catalog.text as kind,
  coalesce(k.names, '{}') as key
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
left join lateral (
  select array_agg(a.attname::pg_catalog.text order by u.place) as names
  from pg_catalog.pg_index as i
  cross join lateral pg_catalog.unnest(i.indkey::pg_catalog.int2[]) with ordinality as u (number, place)
  left join pg_catalog.pg_attribute as a
    on a.attrelid operator(pg_catalog.=) c.oid and a.attnum operator(pg_catalog.=) u.number
  where
    i.indrelid operator(pg_catalog.=) c.oid
    and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null and i.indexprs is null
    and u.place operator(pg_catalog.<=) i.indnkeyatts
  group by i.indexrelid, i.indisprimary, i.indisreplident
  having pg_catalog.bool_and(a.attnotnull)
  order by i.indisprimary desc, i.indisreplident desc, i.indexrelid asc
  limit 1
) as k on true
where c.oid operator(pg_catalog.=) any (cast(:relations as pg_catalog.oid[]));
