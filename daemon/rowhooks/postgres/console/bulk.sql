-- Acts on all runs that match. `matches` takes $1 to $11.

-- name: candidates
-- The newest runs that match, up to a place.
select r.id, coalesce(r.original_id, r.id) as first_id, r.status, r.created_at, r.finished_at is not null as is_finished
from {results} as r
where {matches} and ($12::timestamptz is null or (r.created_at, r.id) <= ($12, $13::bigint))
order by r.created_at desc, r.id desc
limit $14;

-- name: repeats
-- The runs that repeat some.
select r.id, r.original_id as first_id, r.created_at
from {results} as r
where r.original_id = any($1::bigint[]);

-- name: lines
select {columns}
from {results} as r
where r.id = any($1::bigint[])
order by r.created_at desc, r.id desc;
