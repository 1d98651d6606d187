-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: key_columns
-- How each column of some tables is compared if it is part of the key.
-- The operator is the equality of the key's own index, in whichever schema it is; the primary key's comes first.
-- A value is read as its type where that type runs a superuser's code: a base type, an enum, an array of such, or a type
-- that a superuser owns. Other values are compared as text.
select
  a.attrelid::pg_catalog.int8 as relation,
  a.attname::pg_catalog.text as name,
  coalesce(e.equal, 'operator(pg_catalog.=)') as equal,
  case
    when b.by_text and b.is_array then 'pg_catalog._text'
    when b.by_text then 'pg_catalog.text'
    else pg_catalog.format('%I.%I', n.nspname, b.typname)
  end as type,
  b.by_text
from pg_catalog.pg_attribute as a
cross join lateral (
  with recursive beneath (type) as (
    select a.atttypid
    union all
    select t.typbasetype
    from beneath as d
    inner join pg_catalog.pg_type as t on t.oid operator(pg_catalog.=) d.type
    where t.typtype operator(pg_catalog.=) 'd'
  )

  select
    t.typname,
    t.typnamespace,
    t.typcategory operator(pg_catalog.=) 'A' and t.typelem operator(pg_catalog.<>) 0 as is_array,
    not (
      r.rolsuper
      or coalesce(m.typtype, t.typtype) operator(pg_catalog.=) any ('{b,e}'::pg_catalog."char"[])
    ) as by_text
  from beneath as d
  inner join pg_catalog.pg_type as t on t.oid operator(pg_catalog.=) d.type
  inner join pg_catalog.pg_roles as r on r.oid operator(pg_catalog.=) t.typowner
  left join pg_catalog.pg_type as m
    on m.oid operator(pg_catalog.=) t.typelem and t.typcategory operator(pg_catalog.=) 'A'
  where t.typtype operator(pg_catalog.<>) 'd'
) as b
inner join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) b.typnamespace
left join lateral (
  select pg_catalog.format('operator(%I.%s)', os.nspname, o.oprname) as equal
  from pg_catalog.pg_index as i
  cross join lateral pg_catalog.unnest(i.indkey::pg_catalog.int2[]) with ordinality as k (attnum, position)
  inner join pg_catalog.pg_opclass as c on c.oid operator(pg_catalog.=) i.indclass[k.position operator(pg_catalog.-) 1]
  inner join pg_catalog.pg_am as m on m.oid operator(pg_catalog.=) c.opcmethod and m.amname operator(pg_catalog.=) 'btree'
  inner join pg_catalog.pg_amop as e
    on e.amopfamily operator(pg_catalog.=) c.opcfamily
    and e.amopstrategy operator(pg_catalog.=) 3
    and e.amoplefttype operator(pg_catalog.=) c.opcintype
    and e.amoprighttype operator(pg_catalog.=) c.opcintype
  inner join pg_catalog.pg_operator as o on o.oid operator(pg_catalog.=) e.amopopr
  inner join pg_catalog.pg_namespace as os on os.oid operator(pg_catalog.=) o.oprnamespace
  where
    i.indrelid operator(pg_catalog.=) a.attrelid
    and k.attnum operator(pg_catalog.=) a.attnum
    and k.position operator(pg_catalog.<=) i.indnkeyatts
  order by i.indisprimary desc, i.indisunique desc, i.indexrelid asc
  limit 1
) as e on true
where a.attrelid operator(pg_catalog.=) any (cast(:relations as pg_catalog.oid[])) and a.attnum operator(pg_catalog.>) 0;
