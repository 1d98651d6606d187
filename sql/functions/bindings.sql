-- Purpose: the columns of a table, by name.
-- Parameters: target  the table
--             former  names and numbers that were known before: those of columns that were renamed since stay
-- Returns: names to numbers
create or replace function rowhooks.column_numbers(target oid, former jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select former || coalesce(pg_catalog.jsonb_object_agg(a.attname, a.attnum), '{}')
  from pg_catalog.pg_attribute as a
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped
$$;

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
-- one of these and has been renamed since. No function of ours is in it: others look through it who may call none.
create or replace view rowhooks.table_meant as
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
    -- While its own table is tracked, no other one that is tracked is meant.
    where t.id = k.id or not (named.is_live and l.is_live)
  ) as r
  where r.rank is not null
) as m;

-- Purpose: what the hooks of a tracked table call one of its columns: by its name, or by the one that it had when the hook
--          was put on the table.
-- Parameters: target_id    rowhooks.tracked_table.id
--             column_name  the column
-- Returns: the hooks that are on the table, and a name for each; two where it has been renamed
-- Reads:   rowhooks.job_hook_table, rowhooks.tracked_table
create or replace function rowhooks.column_to_hooks(target_id integer, column_name name)
returns table (job_hook_id integer, called name)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select x.job_hook_id, n.called
  from rowhooks.tracked_table as t
  join rowhooks.table_meant as m on m.kind = 'hook' and m.id = t.id and m.is_present
  join rowhooks.job_hook_table as x on x.job_hook_id = m.owner_id and x.tracked_table_id = m.named_id
  join rowhooks.tracked_table as k on k.id = m.named_id
  cross join lateral (
    select column_name
    union
    select o.name::pg_catalog.name
    from pg_catalog.jsonb_each_text(x.numbers) as o (name, number)
    join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attname = column_name and a.attnum = o.number::smallint
    where k.relation = t.relation
  ) as n (called)
  where t.id = target_id
$$;

-- Purpose: write down what a hook's or button's table and its columns are called.
-- Returns: the new row (BEFORE row-level trigger function of rowhooks.job_hook_table and rowhooks.job_button_table)
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.name_table() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
begin
  select t.* into entry from rowhooks.tracked_table as t where t.id = new.tracked_table_id;
  if not found then
    -- The foreign key says so.
    return new;
  end if;
  if tg_op = 'INSERT' or new.schema_name is null then
    select coalesce(n.nspname, entry.schema_name), coalesce(c.relname, entry.table_name)
    into new.schema_name, new.table_name
    from (select) as one
    left join pg_catalog.pg_class as c on c.oid = entry.relation
    left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace;
  end if;
  new.numbers := rowhooks.column_numbers(
    entry.relation,
    case
      when tg_op = 'UPDATE' and exists (
        select from rowhooks.tracked_table as t where t.id = old.tracked_table_id and t.relation = entry.relation
      ) then old.numbers
      else '{}'
    end
  );
  return new;
end
$$;

-- Purpose: the same when a hook gets other columns or conditions, or a button another text.
-- Returns: null (AFTER row-level trigger function of rowhooks.job_hook and rowhooks.job_button)
-- Writes:  rowhooks.job_hook_table or rowhooks.job_button_table
create or replace function rowhooks.name_columns() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_table_name = 'job_hook' then
    update rowhooks.job_hook_table as x set tracked_table_id = x.tracked_table_id where x.job_hook_id = new.id;
  else
    update rowhooks.job_button_table as x set tracked_table_id = x.tracked_table_id where x.job_button_id = new.id;
  end if;
  return null;
end
$$;

-- Purpose: note the partitions that tracked tables have now.
-- Returns: nothing
-- Writes:  rowhooks.tracked_table, where there are new ones
-- Where somebody's open transaction is at an entry it leaves that one to the next time, and waits for nobody.
create or replace function rowhooks.note_partitions() returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  with recursive part (id, child) as (
    select t.id, i.inhrelid
    from rowhooks.tracked_table as t
    join pg_catalog.pg_class as c on c.oid = t.relation and c.relkind = 'p'
    join pg_catalog.pg_inherits as i on i.inhparent = t.relation
    where t.untracked_at is null
    union
    select p.id, i.inhrelid from part as p join pg_catalog.pg_inherits as i on i.inhparent = p.child
  ),
  present as (
    select p.id, pg_catalog.array_agg(p.child order by p.child) as partitions from part as p group by p.id
  ),
  incomplete as materialized (
    select t.id, p.partitions
    from rowhooks.tracked_table as t
    join present as p on p.id = t.id and not t.partitions operator(pg_catalog.@>) p.partitions
    for no key update of t skip locked
  )
  update rowhooks.tracked_table as t
  set partitions = array(
    select o.oid
    from (select x.oid from pg_catalog.unnest(t.partitions) as x (oid) union select pg_catalog.unnest(p.partitions)) as o (oid)
    join pg_catalog.pg_class as c on c.oid = o.oid
    order by 1
  )
  from incomplete as p
  where p.id = t.id
$$;
