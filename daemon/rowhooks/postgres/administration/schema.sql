-- Installation and upgrade.

-- name: roles_that_look_on
-- The roles that may read what is configured, the daemon's and that of viewers; none where the asking role has one of them. The
-- asking role may read the catalogue alone.
select pg_catalog.quote_ident(r.rolname) as role
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral pg_catalog.aclexplode(c.relacl) as a
join pg_catalog.pg_roles as r on r.oid = a.grantee
where n.nspname = 'rowhooks' and c.relname = 'installation' and a.grantee not in (0, c.relowner)
  and not pg_catalog.has_table_privilege(c.oid, 'SELECT')
order by r.rolname;

-- name: set_notify
-- Chooses whether the bell is a NOTIFY, as it is now where nothing is given, and makes the capture functions.
select rowhooks.set_notify(coalesce(%(notify)s, i.notify)) as done
from rowhooks.installation as i;
