-- What dumps leave of rowhooks in a database in which it is not installed. The catalogue alone is read.

-- name: state
-- Whether schema rowhooks is there, is ours, and has no rows. A table that ever had a row has a page. What is not a table is
-- left to `vet`.
select
  n.oid is not null as is_there,
  c.oid is not null as is_ours,
  coalesce(c.relkind = 'r', false) and pg_catalog.pg_relation_size(c.oid) = 0 as is_hollow
from (values ('rowhooks')) as ours (name)
left join pg_catalog.pg_namespace as n on n.nspname = ours.name
left join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = 'alembic_version';

-- name: triggers
-- Tables with triggers of ours, and the statements that drop these.
select
  pg_catalog.format('%I.%I', n.nspname, c.relname) as name,
  pg_catalog.format('drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname) as statement
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where {is_our_trigger}
order by name, statement;

-- name: event_triggers
-- Event triggers of ours, as statements that drop them.
select pg_catalog.format('drop event trigger %I', e.evtname) as statement
from pg_catalog.pg_event_trigger as e
where e.evtname in ('rowhooks_after_ddl', 'rowhooks_after_drop')
order by statement;

-- noqa: disable=PRS

-- name: is_our_trigger
-- Whether the trigger `t` is one of ours, by its name, because the function may be in any schema. The copies on partitions are
-- left out.
t.tgname ~ '^!rowhooks_(row|create|update|truncate|inserted|updated)_[0-9]+$' and not t.tgisinternal and t.tgparentid = 0
