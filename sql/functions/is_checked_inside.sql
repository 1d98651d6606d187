-- Purpose: say whether making a value of a type runs code of the type's owner: the check of a domain inside of it.
-- Parameters: type_id  the type, which is no domain itself: see rowhooks.base_type
-- Returns: true for an array, a composite type or a range with a domain somewhere in it that belongs to no superuser, or
--          where that cannot be told
create or replace function rowhooks.is_checked_inside(type_id oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive part (id) as (
    select type_id
    union
    select n.id
    from part as p
    join pg_catalog.pg_type as t on t.oid = p.id
    cross join lateral (
      select t.typbasetype
      union all
      select t.typelem
      union all
      select a.atttypid
      from pg_catalog.pg_attribute as a
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      union all
      select r.rngsubtype from pg_catalog.pg_range as r where t.oid in (r.rngtypid, r.rngmultitypid)
    ) as n (id)
    where n.id <> 0
  )
  select exists (
    select
    from part as p
    join pg_catalog.pg_type as t on t.oid = p.id
    left join pg_catalog.pg_class as c on c.oid = t.typrelid
    where not exists (select from pg_catalog.pg_roles as r where r.oid = t.typowner and r.rolsuper)
      -- Or the type has more attributes than the transaction's snapshot shows.
      and (t.typtype = 'd' or pg_catalog.has_column_privilege(c.oid, (c.relnatts + 1)::smallint, 'select') is not null)
  )
$$;
