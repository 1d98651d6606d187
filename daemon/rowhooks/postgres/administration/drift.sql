-- Functions of schema rowhooks that are not what this version installs.

-- name: present_functions
-- The functions of schema rowhooks, and whether each belongs to the role that it should belong to.
select
  p.oid::regprocedure::text as signature,
  p.proname::text as name,
  -- The sources are a third of a megabyte. As bytes: what somebody has made of one need not be text.
  encode(sha256(convert_to(p.prosrc, 'SQL_ASCII')), 'hex') as source,
  l.lanname::text as language,
  p.prosecdef as definer,
  p.provolatile::text as volatility,
  coalesce(p.proconfig, '{}') as settings,
  o.rolsuper as is_superusers,
  p.proowner = w.owner as is_owned,
  quote_ident(pg_get_userbyid(w.owner)) as owner
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
left join pg_roles as c on c.rolname = (select i.capture_role from rowhooks.installation as i)
cross join lateral (select case when p.proname ~ '^capture_[0-9]+(_statement)?$' then c.oid else n.nspowner end as owner) as w
join pg_roles as o on o.oid = p.proowner
join pg_language as l on l.oid = p.prolang
where n.nspname = 'rowhooks'
order by p.oid::regprocedure::text;
