-- What `uninstall` finds in the catalogues. Nothing here calls a function of schema rowhooks.

-- name: dependents
-- Objects of others that DROP ... CASCADE would take along, by the dependencies that PostgreSQL records: what depends on
-- an object goes with it, and so does the whole that a part belongs to (the view of a rule).
with recursive gone (classid, objid, objsubid) as (
  select
    'pg_namespace'::regclass::oid as classid,
    'rowhooks'::regnamespace::oid as objid,
    0 as objsubid
  union
  select n.classid, n.objid, n.objsubid
  from gone as g
  cross join lateral (
    select d.classid, d.objid, d.objsubid
    from pg_depend as d
    where d.refclassid = g.classid and d.refobjid = g.objid and (g.objsubid = 0 or d.refobjsubid = g.objsubid)
      and d.deptype <> 'p'
    union all
    select d.refclassid, d.refobjid, d.refobjsubid
    from pg_depend as d
    where d.classid = g.classid and d.objid = g.objid and d.deptype = 'i'
  ) as n
)
select distinct pg_describe_object(g.classid, g.objid, g.objsubid) as described
from gone as g
left join pg_class as c on g.classid = 'pg_class'::regclass and c.oid = g.objid
left join pg_type as y on g.classid = 'pg_type'::regclass and y.oid = g.objid
left join pg_proc as p on g.classid = 'pg_proc'::regclass and p.oid = g.objid
left join pg_constraint as k on g.classid = 'pg_constraint'::regclass and k.oid = g.objid
left join pg_trigger as t on g.classid = 'pg_trigger'::regclass and t.oid = g.objid
left join pg_attrdef as f on g.classid = 'pg_attrdef'::regclass and f.oid = g.objid
left join pg_policy as o on g.classid = 'pg_policy'::regclass and o.oid = g.objid
left join pg_class as r on r.oid = coalesce(t.tgrelid, f.adrelid, o.polrelid)
where coalesce(c.relnamespace, y.typnamespace, p.pronamespace, k.connamespace, r.relnamespace, 0)
    <> 'rowhooks'::regnamespace
  and g.classid not in (
    'pg_namespace'::regclass, 'pg_rewrite'::regclass, 'pg_default_acl'::regclass, 'pg_publication_rel'::regclass
  )
  and not coalesce(t.tgisinternal, false)
  and (c.relkind is null or c.relkind not in ('i', 'I', 't') or g.objsubid <> 0)
  -- A table's row type and a type's array go by the other's name.
  and (y.oid is null or y.typrelid = 0 and y.typelem = 0)
  -- The triggers of the capture functions, wherever they were attached, do nothing without rowhooks.
  and not exists (select from pg_proc as x where x.oid = t.tgfoid and x.pronamespace = 'rowhooks'::regnamespace
    and x.proname ~ '^capture_[0-9]+(_statement)?$')
order by described;

-- name: drop_triggers
-- The triggers that call capture functions, as statements that drop them.
select format('drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname) as statement
from pg_trigger as t
join pg_proc as p on p.oid = t.tgfoid
join pg_class as c on c.oid = t.tgrelid
join pg_namespace as n on n.oid = c.relnamespace
where p.pronamespace = 'rowhooks'::regnamespace and p.proname ~ '^capture_[0-9]+(_statement)?$' and t.tgparentid = 0
order by t.tgrelid, t.tgname;

-- name: lock_relations
-- The tables of the schema, as statements that lock them.
select format('lock table only %I.%I in access exclusive mode', n.nspname, c.relname) as statement
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'rowhooks' and c.relkind in ('r', 'p')
order by c.relkind, c.oid;

-- name: holds
-- What a role has in this database that dropping it would take from others, and in other databases at all.
select
  d.datname,
  case
    when d.datname = current_database() then
      concat_ws(
        ' ', 'it', case when s.deptype = 'o' then 'owns' else 'is named by' end,
        pg_describe_object(s.classid, s.objid, s.objsubid)
      )
    else
      concat_ws(
        ' ', count(*) over (partition by d.datname), 'objects in database', quote_ident(d.datname), 'know it'
      )
  end as what
from pg_shdepend as s
join pg_database as d on d.oid = s.dbid
where s.refclassid = 'pg_authid'::regclass
  and s.refobjid = (select r.oid from pg_roles as r where r.rolname = %(role)s)
  and (d.datname <> current_database() or s.deptype not in ('a', 'i'))
order by what;

-- name: is_granted_something
-- Whether something in this database is granted to a role.
select 1
from pg_shdepend as s
join pg_roles as r on r.oid = s.refobjid and r.rolname = %(role)s
left join pg_database as d on d.oid = s.dbid
where s.refclassid = 'pg_authid'::regclass and (s.dbid = 0 or d.datname = current_database())
limit 1;
