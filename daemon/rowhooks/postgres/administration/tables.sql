-- name: owner_of
-- The owner of a table by its name as people write it. A schema that the login may not use is in the catalogue all the same.
select format('%I', o.rolname) as owner, o.rolsuper as is_superuser
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_roles as o on o.oid = c.relowner
where $1 in (n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname));

-- name: trackable
-- Ordinary, partitioned and foreign tables that rowhooks could track.
select concat(n.nspname, '.', c.relname) as name, format('%I.%I', n.nspname, c.relname) as quoted
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'rowhooks')
order by 1;

-- name: columns
select
  t.quoted,
  array(
    select a.attname::text
    from pg_attribute as a
    where a.attrelid = t.quoted::regclass and a.attnum > 0 and not a.attisdropped
    order by a.attnum
  ) as columns
from unnest($1::text[]) as t (quoted);

-- name: texts
-- Tables that are not tracked, with their columns of text and the like that are not excluded.
select
  t.quoted,
  c.relname::text as name,
  array(
    select a.attname::text
    from pg_attribute as a
    join pg_type as y on y.oid = a.atttypid
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname <> all($1::name[])
      and y.typcategory in ('S', 'U', 'A', 'C')
    order by a.attnum
  ) as columns
from unnest($2::text[]) with ordinality as t (quoted, place)
join pg_class as c on c.oid = t.quoted::regclass
where not exists (
  select from rowhooks.tracked_table as k where k.relation = c.oid and k.untracked_at is null
)
order by t.place;

-- name: quoted
select format('%I.%I', n.nspname, c.relname) as quoted
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = $1;

-- name: names
-- Of tables that are tracked, or were.
select distinct rowhooks.qualified_name(t.schema_name, t.table_name) as name
from rowhooks.tracked_table as t
order by 1;

-- name: entry
select t.id
from rowhooks.tracked_table as t
where t.relation = $1::regclass and t.untracked_at is null;

-- name: track
select rowhooks.track(
  $1::regclass, $2, identity => $3::text[], always => $4, exclude => $5::text[], ignore => $6::text[],
  capture => $7
);

-- name: track_future
insert into rowhooks.tracking_rule (pattern, audit_receivers, always, capture)
values ($1, $2, $3, $4)
on conflict (pattern) do update set
  audit_receivers = excluded.audit_receivers, always = excluded.always, capture = excluded.capture;

-- name: ddl_is_followed
select exists(
  select from pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl' and e.evtenabled <> 'D'
) as is_so;

-- name: tracked
select
  rowhooks.qualified_name(t.schema_name, t.table_name) as name,
  t.identity,
  t.key_columns::text[],
  t.excluded_columns::text[],
  t.ignored_columns::text[],
  t.audit_receivers,
  t.always,
  t.capture,
  case
    when t.capture = 'row' then 'row'
    when rowhooks.form_in_force(t.*) = 'statement' then 'statement'
    else concat('row: ', coalesce(rowhooks.why_not_by_statement(t.*), 'it was not safe for a time; track the table again'))
  end as form,
  t.tracked_at
from rowhooks.tracked_table as t
where t.untracked_at is null
order by 1;
