-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: columns
-- The columns of some tables, in order; of a domain the type below all domains, whose checks are PostgreSQL's business.
-- A type is known by its bare name if it is PostgreSQL's own, or that of an extension which has the same name. A type
-- from elsewhere may have that name too.
with extension_type (oid) as not materialized (
  select t.oid
  from pg_catalog.pg_type as t
  inner join pg_catalog.pg_depend as d on d.objid operator(pg_catalog.=) t.oid
  inner join pg_catalog.pg_extension as x on x.oid operator(pg_catalog.=) d.refobjid
  where
    d.classid operator(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
    and d.deptype operator(pg_catalog.=) 'e'
    and x.extname operator(pg_catalog.=) t.typname
)

select
  a.attrelid::pg_catalog.int8 as relation,
  a.attname::pg_catalog.text as name,
  a.attgenerated operator(pg_catalog.<>) '' as is_generated,
  a.atthasdef or a.attidentity operator(pg_catalog.<>) '' as has_default,
  pg_catalog.format('%I.%I', tn.nspname, t.typname) as quoted,
  case
    when
      tn.nspname operator(pg_catalog.=) 'pg_catalog'
      or t.oid operator(pg_catalog.=) any (select x.oid from extension_type as x)
      then t.typname::pg_catalog.text
  end as known_as,
  e.oid::pg_catalog.int8 as item,
  case when e.oid is not null then pg_catalog.format('%I.%I', en.nspname, e.typname) end as item_quoted,
  case
    when
      en.nspname operator(pg_catalog.=) 'pg_catalog'
      or e.oid operator(pg_catalog.=) any (select x.oid from extension_type as x)
      then e.typname::pg_catalog.text
  end as item_known_as,
  e.typdelim::pg_catalog.text as delimiter
from pg_catalog.pg_attribute as a
cross join lateral (
  with recursive beneath (oid) as (
    select a.atttypid
    union all
    select d.typbasetype
    from beneath as b
    inner join pg_catalog.pg_type as d on d.oid operator(pg_catalog.=) b.oid and d.typtype operator(pg_catalog.=) 'd'
  )

  select t.*
  from beneath as b
  inner join pg_catalog.pg_type as t on t.oid operator(pg_catalog.=) b.oid and t.typtype operator(pg_catalog.<>) 'd'
) as t
inner join pg_catalog.pg_namespace as tn on tn.oid operator(pg_catalog.=) t.typnamespace
left join lateral (
  with recursive beneath (oid) as (
    select i.oid
    from pg_catalog.pg_type as i
    where i.oid operator(pg_catalog.=) t.typelem and i.typarray operator(pg_catalog.=) t.oid
    union all
    select d.typbasetype
    from beneath as b
    inner join pg_catalog.pg_type as d on d.oid operator(pg_catalog.=) b.oid and d.typtype operator(pg_catalog.=) 'd'
  )

  select e.*
  from beneath as b
  inner join pg_catalog.pg_type as e on e.oid operator(pg_catalog.=) b.oid and e.typtype operator(pg_catalog.<>) 'd'
) as e on true
left join pg_catalog.pg_namespace as en on en.oid operator(pg_catalog.=) e.typnamespace
where
  a.attrelid operator(pg_catalog.=) any (cast(:relations as pg_catalog.oid[]))
  and a.attnum operator(pg_catalog.>) 0
  and not a.attisdropped
order by a.attrelid, a.attnum;
