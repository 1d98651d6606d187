-- name: ask_for
select rowhooks.replay($1, $2::bigint[]) as runs;

-- name: made_up_for
select rowhooks.forget_missed($1, $2, $3) as forgotten;

-- name: unreadable
-- The tables among $1 that the asking role may not read as a whole, unless it may read the log itself.
select c.oid::regclass::text as name, quote_ident(current_user) as role
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
where t.id = any($1::integer[])
  and not has_table_privilege('rowhooks.object_change', 'SELECT')
  and not (has_schema_privilege(c.relnamespace, 'USAGE') and has_table_privilege(c.oid, 'SELECT'))
order by 1;
