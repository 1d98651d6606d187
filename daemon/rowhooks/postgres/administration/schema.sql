-- Installation and upgrade.

-- name: daemon_roles
-- The daemon's role: beside the owner it alone may read rowhooks.installation. The asking role may read the catalogue alone.
select a.grantee::pg_catalog.regrole::pg_catalog.text as role
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral pg_catalog.aclexplode(c.relacl) as a
where n.nspname = 'rowhooks' and c.relname = 'installation' and a.grantee not in (0, c.relowner);

-- name: set_notify
-- Chooses whether the bell is a NOTIFY, as it is now where nothing is given, and makes the capture functions.
select rowhooks.set_notify(coalesce(%(notify)s, i.notify)) as done
from rowhooks.installation as i;
