-- name: initially_deferred
-- The constraints that are declared initially deferred, quoted, in a list.
select string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ')
from pg_constraint as c
inner join pg_namespace as n on c.connamespace = n.oid
where c.condeferred;
