-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: has_privilege
-- Whether a role has a privilege on a table and may use its schema; and whether row security binds the role.
-- Row security does not bind (check_enable_rls() in PostgreSQL's source) superusers, roles with BYPASSRLS, and the table's
-- owner unless it is forced.
select
  pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') and pg_catalog.has_table_privilege(r.oid, c.oid, :privilege)
    as is_granted,
  c.relrowsecurity and not (
    r.rolsuper
    or r.rolbypassrls
    or (pg_catalog.pg_has_role(r.oid, c.relowner, 'usage') and not c.relforcerowsecurity)
  ) as is_bound
from pg_catalog.pg_roles as r
cross join pg_catalog.pg_namespace as n
inner join pg_catalog.pg_class as c on c.relnamespace operator(pg_catalog.=) n.oid
where
  r.rolname operator(pg_catalog.=) cast(:username as pg_catalog.text)
  and n.nspname operator(pg_catalog.=) cast(:schema as pg_catalog.text)
  and c.relname operator(pg_catalog.=) cast(:table as pg_catalog.text)
  and c.relkind operator(pg_catalog.=) any (cast('{r,p,v,m,f}' as pg_catalog."char"[]));

-- name: is_superuser
select r.rolsuper
from pg_catalog.pg_roles as r
where r.rolname operator(pg_catalog.=) cast(:username as pg_catalog.text);

-- name: groups
-- All roles of which a role is a member, directly or not.
-- Not pg_has_role(): it counts a superuser as a member of every role.
with recursive held (oid) as (
  select m.roleid
  from pg_catalog.pg_roles as r
  inner join pg_catalog.pg_auth_members as m on m.member operator(pg_catalog.=) r.oid
  where r.rolname operator(pg_catalog.=) cast(:username as pg_catalog.text)
  union
  select m.roleid
  from held
  inner join pg_catalog.pg_auth_members as m on m.member operator(pg_catalog.=) held.oid
)

select g.rolname
from held
inner join pg_catalog.pg_roles as g on g.oid operator(pg_catalog.=) held.oid
order by g.rolname;

-- The linter does not know `rows from`. unnest() takes several arrays only by a name that is not qualified.
-- noqa: disable=PRS,RF01
-- name: resolve
-- For each pair of a claimed role and a login: the claimed role where the login may act as it, else the login.
-- Names are compared as text: as a `name` a longer one would be cut to its length, and found.
select
  case
    when
      pg_catalog.pg_has_role(login.oid, claimed.oid, 'member')
      or pg_catalog.pg_has_role(login.oid, daemon.oid, 'member')
      then pair.claimed
    else pair.db_user
  end
from rows from (
  pg_catalog.unnest(cast(:claimed as pg_catalog.text[])), pg_catalog.unnest(cast(:db_users as pg_catalog.text[]))
) with ordinality as pair (claimed, db_user, place)
left join pg_catalog.pg_roles as claimed on claimed.rolname operator(pg_catalog.=) pair.claimed
left join pg_catalog.pg_roles as login
  on login.rolname operator(pg_catalog.=) pair.db_user and claimed.oid is not null
left join rowhooks.installation as i on true
left join pg_catalog.pg_roles as daemon on daemon.rolname operator(pg_catalog.=) i.daemon_role
order by pair.place;
