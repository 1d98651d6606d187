-- name: last
select coalesce(max(p.id), 0) from pg_temp.rowhooks_listed_press as p;

-- name: listed
-- The presses after one, in order.
select p.button, n.nspname::text, r.relname::text, p.object_id, p.object_repr, p.idempotency_key, p.inputs, p.user_name
from pg_temp.rowhooks_listed_press as p
inner join pg_class as r on p.tracked_table::oid = r.oid
inner join pg_namespace as n on r.relnamespace = n.oid
where p.id > $1
order by p.id;
