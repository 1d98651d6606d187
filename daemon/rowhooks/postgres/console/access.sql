-- name: power
-- The asking role, its login, and a superuser that it is or may become. Nothing of ours is read: a superuser is refused
-- before.
select
  current_user::pg_catalog.text as role,
  session_user::pg_catalog.text as login,
  r.rolsuper as is_superuser,
  case when r.rolsuper then r.rolname else (
    select s.rolname
    from pg_catalog.pg_roles as s
    where s.rolsuper and pg_catalog.pg_has_role(current_user, s.oid, 'MEMBER')
    order by s.rolname
    limit 1
  ) end::pg_catalog.text as superuser
from pg_catalog.pg_roles as r
where r.rolname = current_user;

-- name: access
-- What the console's roles make of the asking role
select a.role::pg_catalog.text as role, a.level, a.is_superuser from rowhooks.my_access as a;

-- name: reads_the_log
-- Whether the asking role reads the log of all tables, as the daemon does
select pg_catalog.has_table_privilege('rowhooks.object_change', 'SELECT') as reads_the_log;

-- name: planters
-- Roles that the login may take up and that may make, or have made, what others look at: a view, a policy, a function. Those
-- of the server itself (pg_...) are left out.
select r.rolname::pg_catalog.text as role
from pg_catalog.pg_roles as r
where r.rolname <> session_user and not pg_catalog.starts_with(r.rolname::pg_catalog.text, 'pg_')
  and pg_catalog.pg_has_role(
    session_user, r.oid,
    case when pg_catalog.current_setting('server_version_num')::integer >= 160000 then 'SET' else 'MEMBER' end
  )
  and (
    pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CREATE')
    or exists (select from pg_catalog.pg_namespace as n where pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE'))
    or exists (select from pg_catalog.pg_class as c where c.relowner = r.oid)
    or exists (select from pg_catalog.pg_proc as p where p.proowner = r.oid)
  )
order by role;
