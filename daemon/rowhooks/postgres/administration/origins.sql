-- What administration does with hooks and buttons alike. {origin} is job_hook or job_button, {links} and {origin_id} its
-- table of links and the column that means it there, {kind} its kind in rowhooks.table_meant, {..._function} a function for it
-- (see origins.py).

-- name: namesake
select o.id
from {origin} as o
where o.name = $1;

-- name: names
select o.name
from {origin} as o
order by o.name;

-- name: enable
select {enable_function}($1) as done;

-- name: disable
select {disable_function}($1) as done;

-- name: alter
select {alter_function}($1, $2) as id;

-- name: linked
-- By what a table is called now, else by what it was called: it may be gone.
select
  x.tracked_table_id,
  x.schema_name,
  x.table_name,
  m.relation,
  t.schema_name as last_schema,
  t.table_name as last_table
from {links} as x
join rowhooks.tracked_table as t on t.id = x.tracked_table_id
left join lateral (
  select p.relation::oid::bigint as relation
  from rowhooks.table_meant as m
  join rowhooks.tracked_table as p on p.id = m.id
  where m.kind = {kind} and m.owner_id = x.{origin_id} and m.named_id = x.tracked_table_id and m.is_present
) as m on true
where x.{origin_id} = $1;

-- name: relation
select $1::regclass::oid::bigint as relation;

-- name: places
select x.place
from unnest($1::name[], $2::name[]) with ordinality as x (schema, name, place)
where $3 in (format('%I.%I', x.schema, x.name), format('%s.%s', x.schema, x.name))
order by x.place;

-- name: tables
select rowhooks.qualified_name(coalesce(t.schema_name, x.schema_name), coalesce(t.table_name, x.table_name))
from {links} as x
left join rowhooks.table_meant as m
  on m.kind = {kind} and m.owner_id = x.{origin_id} and m.named_id = x.tracked_table_id and m.is_present
left join rowhooks.tracked_table as t on t.id = m.id
where x.{origin_id} = o.id
order by 1;

-- name: missing_tables
select rowhooks.qualified_name(x.schema_name, x.table_name) as name
from {links} as x
where x.{origin_id} = o.id and not exists (
  select from rowhooks.table_meant as m
  where m.kind = {kind} and m.owner_id = o.id and m.named_id = x.tracked_table_id and m.is_present
);
