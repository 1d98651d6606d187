-- Purpose: which entries of the list of tracked tables a hook or button means: a table that is untracked and tracked again,
--          or dropped and made anew, has a new one each time.
-- Columns: kind        hook or button
--          owner_id    its id
--          named_id    the entry that it was put on
--          id          an entry that it means
--          is_present  that one's table is tracked now; there is one such at the most for a named_id. The others are there
--                      for what the log still holds of them.
-- While the entry's own table is tracked, whatever it is called now, it is that one. Otherwise it is the same table tracked
-- again; else the one that has the name that was given; or the last name of its own; else one that was tracked later under
-- one of these and has been renamed since. It calls no function of ours: roles read it that may call none.
create or replace view rowhooks.table_meant as
with dead as materialized (
  -- What is not tracked any more.
  select
    t.id,
    t.relation,
    t.former_names,
    pg_catalog.format('%I.%I', t.schema_name, t.table_name) as known_name
  from rowhooks.tracked_table as t
  where t.untracked_at is not null or not exists (
    select from pg_catalog.pg_class as c
    where c.oid = t.relation
  )
)

select
  x.kind,
  x.owner_id,
  x.tracked_table_id as named_id,
  m.id,
  m.is_present
from (
  select
    'hook'::pg_catalog.text as kind,
    h.job_hook_id as owner_id,
    h.tracked_table_id,
    pg_catalog.format('%I.%I', h.schema_name, h.table_name) as given_name
  from rowhooks.job_hook_table as h
  union all
  select
    'button'::pg_catalog.text as kind,
    b.job_button_id as owner_id,
    b.tracked_table_id,
    pg_catalog.format('%I.%I', b.schema_name, b.table_name) as given_name
  from rowhooks.job_button_table as b
) as x
inner join rowhooks.tracked_table as k on x.tracked_table_id = k.id
cross join lateral (
  select
    k.untracked_at is null and exists (
      select from pg_catalog.pg_class as c
      where c.oid = k.relation
    ) as is_live,
    pg_catalog.format('%I.%I', k.schema_name, k.table_name) as last_name
) as named
cross join lateral (
  -- While its own table is tracked, no other one that is tracked is meant. There may be thousands: they are not looked at.
  select
    k.id,
    true as is_present
  where named.is_live
  union all
  select
    d.id,
    false as is_present
  from dead as d
  where named.is_live and (
    d.relation = k.relation
    or d.known_name in (x.given_name, named.last_name)
    or d.id > k.id and array[x.given_name, named.last_name] && d.former_names
  )
  union all
  select
    r.id,
    r.is_live and pg_catalog.row_number() over (order by r.is_live desc, r.rank asc, r.id desc) = 1 as is_present
  from (
    select
      t.id,
      l.is_live,
      case
        when t.id = k.id then 1
        when t.relation = k.relation then 2
        when l.is_live and l.name = x.given_name then 3
        when l.is_live and l.name = named.last_name then 4
        when t.id > k.id and (
          l.known_name in (x.given_name, named.last_name) or array[x.given_name, named.last_name] && t.former_names
        ) then 5
        when not l.is_live and l.known_name in (x.given_name, named.last_name) then 6
      end as rank
    from rowhooks.tracked_table as t
    left join pg_catalog.pg_class as c on t.relation = c.oid
    left join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    cross join lateral (
      select
        t.untracked_at is null and c.oid is not null as is_live,
        pg_catalog.format('%I.%I', t.schema_name, t.table_name) as known_name,
        pg_catalog.format('%I.%I', n.nspname, c.relname) as name
    ) as l
    where not named.is_live
  ) as r
  where r.rank is not null
) as m;
