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
