-- The roles of an installation.

-- name: columns_of_installation
-- The columns of rowhooks.installation that say which roles there are, where it is the table that `init` made: the values of
-- these types are printed by PostgreSQL's own code.
select a.attname::text as name
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.oid = to_regclass('rowhooks.installation') and c.relkind = 'r'
  and a.attname ~ '_role(_created)?$' and a.atttypid in ('name'::regtype, 'bool'::regtype)
order by a.attnum;
