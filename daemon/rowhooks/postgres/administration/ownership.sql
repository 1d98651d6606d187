-- Ownership: tables whose owner has changed, and roles that more than one database has.

-- name: former_owners
-- Tables whose change of owner has not been followed, with the command that follows it. The owner adds partitions, for
-- which it needs the right on the function.
select
  format(
    'rowhooks has not followed that %s belongs to %I now%s%s', t.relation, o.rolname,
    case when not has_function_privilege(o.oid, p.oid, 'execute') then ', who cannot add partitions' end,
    '; ' || (
      select string_agg(a.grantee::regrole::text, ', ' order by a.grantee::regrole::text)
      from aclexplode(p.proacl) as a
      where a.grantee not in (p.proowner, c.relowner, 0)
    ) || ' cannot be dropped'
  ) as what,
  array['psql', '-c', 'select rowhooks.refresh_tables()'] as way_out
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
join pg_roles as o on o.oid = c.relowner
join pg_proc as p
  on p.pronamespace = 'rowhooks'::regnamespace and p.proname = concat('capture_', t.id) and p.pronargs = 0
where t.untracked_at is null and {is_lent_to_another}
order by what;

-- name: members_of_the_owner
-- Direct members of the schema's owner. Before PostgreSQL 16 there is one grant of each, whoever gave it.
select
  n.nspowner::regrole::text as owner,
  m.member::regrole::text as member,
  string_agg(distinct format(
    'revoke %s from %s%s cascade', n.nspowner::regrole, m.member::regrole,
    case when current_setting('server_version_num')::integer >= 160000 then ' granted by ' || m.grantor::regrole end
  ), '; ') as revoking,
  (
    select string_agg(d.name, ', ' order by d.name)
    from (
      select distinct e.oid, e.name
      from ({elsewhere}) as e
      where e.classid = 'pg_namespace'::regclass and e.deptype = 'o' and e.role = n.nspowner
    ) as d
  ) as elsewhere
from pg_namespace as n
join pg_auth_members as m on m.roleid = n.nspowner
join pg_roles as r on r.oid = m.member and not r.rolsuper
where n.nspname = 'rowhooks'
group by n.nspowner, m.member
order by m.member::regrole::text;

-- name: shared_roles
-- Roles of this installation whose logins have the same rights in other databases of the cluster.
select
  string_agg(distinct quote_ident(g.rolname), ', ') as roles,
  string_agg(distinct quote_ident(l.rolname), ', ') as logins,
  string_agg(distinct e.name, ', ') as databases
from rowhooks.installation as i
join pg_roles as g on g.rolname in (i.daemon_role, i.receiver_role)
join pg_roles as l on l.rolcanlogin and not l.rolsuper and pg_has_role(l.oid, g.oid, 'member')
join ({elsewhere}) as e on e.deptype = 'a' and e.role = g.oid
where has_database_privilege(l.oid, e.oid, 'connect')
having count(*) > 0;

-- name: elsewhere
-- Other databases of the cluster that know a role, and how they know it. Templates are not counted.
select
  d.oid,
  quote_ident(d.datname) as name,
  s.refobjid as role,
  s.classid,
  s.deptype
from pg_shdepend as s
join pg_database as d on d.oid = s.dbid and d.datname <> current_database() and not d.datistemplate
where s.refclassid = 'pg_authid'::regclass;
